"""Which of the nuclei that touch are one, and which are several, by the necks between them.

A nucleus is convex and evenly bright, so two that touch have a neck between them: narrower than either, or darker. The
landscape in which both show is the distance to the outline times the root of the brightness. Between two peaks of it lies
a pass; its height as a share of the lower peak is 1 where there is no neck, and knows no unit.
"""

import heapq
from collections.abc import Iterator

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from harness.core.label_images import renumber

# Shares of the diameter of the field's median nucleus, which has 25 px in BBBC039: what is smoothed away from the distance
# and from the image, so that neither a dent of a pixel nor the texture of chromatin makes a neck.
SMOOTH_DISTANCE, SMOOTH_IMAGE = 0.04, 0.08
SMALLEST = 0.05  # of the median nucleus' area: what is smaller is part of its neighbour, not a nucleus


def recut(split: float, join: float, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Divide nuclei that have a neck, and join those that touch without one.

    Parameters
    ----------
    split : float
        A nucleus is divided where a pass is lower than this share of the lower of its two peaks.
    join : float
        Two nuclei that touch become one where the pass between them is at least this share. Above `split`, so that a line
        that the labels have already needs less of a neck than a new one.
    image : (H, W) ndarray
    labels : (H, W) int32 ndarray

    Returns
    -------
    (H, W) int32 ndarray
        The same foreground, nuclei 1..n.
    """
    if not labels.any():
        return labels
    area = np.median(np.bincount(labels.ravel())[np.unique(labels)[1:]])
    bright = _brightness(image, labels, SMOOTH_IMAGE * np.sqrt(4 / np.pi * area))
    blur = SMOOTH_DISTANCE * np.sqrt(4 / np.pi * area)
    inside = _landscape(labels, bright, blur)
    pieces = _joined(inside, _basins(inside, labels), labels, split, SMALLEST * area)
    foreground = (labels > 0).astype(np.int32)
    return renumber(_joined(_landscape(foreground, bright, blur), pieces, foreground, join, 0))


def _brightness(image: np.ndarray, labels: np.ndarray, sigma: float) -> np.ndarray:
    """Root of the intensity above the background's median; the least that is above it where the image is darker."""
    smooth = ndimage.gaussian_filter(image.astype(np.float64), sigma)
    above = smooth - (np.median(smooth[labels == 0]) if (labels == 0).any() else smooth.min())
    positive = above[above > 0]
    return np.sqrt(np.maximum(above, positive.min() if positive.size else 1.0))


def _landscape(regions: np.ndarray, bright: np.ndarray, sigma: float) -> np.ndarray:
    """Distance to the nearest pixel of another region, smoothed, times the brightness; 0 outside."""
    inner = (ndimage.minimum_filter(regions, 3) == ndimage.maximum_filter(regions, 3)) & (regions > 0)
    distance = np.where(regions > 0, ndimage.distance_transform_edt(inner) + 1, 0)
    return ndimage.gaussian_filter(distance, sigma) * bright * (regions > 0)


def _basins(landscape: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Every region divided among the peaks in it, pieces 1..n."""
    peaks = (ndimage.maximum_filter(landscape, 3) == landscape) & (regions > 0)
    basins = watershed(-landscape, ndimage.label(peaks, np.ones((3, 3)))[0], mask=regions > 0)
    _, pieces = np.unique(regions.astype(np.int64) * (basins.max() + 1) + basins, return_inverse=True)
    return renumber(np.where(regions > 0, pieces.reshape(regions.shape) + 1, 0).astype(np.int32))


def _joined(landscape: np.ndarray, pieces: np.ndarray, regions: np.ndarray, share: float, smallest: float) -> np.ndarray:
    """Join touching pieces of a region, the highest pass first, until every pass is below a share of the lower peak.

    A piece under `smallest` px is joined whatever the pass.
    """
    ids = np.arange(pieces.max() + 1)
    peaks, areas = ndimage.maximum(landscape, pieces, ids), np.bincount(pieces.ravel()).astype(float)
    passes: dict[int, dict[int, float]] = {id_: {} for id_ in ids.tolist()}
    for a, b, height in _passes(landscape, pieces, regions):
        passes[a][b] = passes[b][a] = height

    def ratio(a: int, b: int) -> float:
        return 1.0 if min(areas[a], areas[b]) < smallest else passes[a][b] / min(peaks[a], peaks[b])

    queue = [(-ratio(a, b), a, b) for a in passes for b in passes[a] if a < b]
    heapq.heapify(queue)
    owners = ids.copy()
    while queue and -queue[0][0] >= share:
        known, a, b = heapq.heappop(queue)
        if b not in passes.get(a, {}) or -known != ratio(a, b):
            continue  # one of them is part of another by now, or the pass is a higher one
        owners[b] = a
        peaks[a], areas[a] = max(peaks[a], peaks[b]), areas[a] + areas[b]
        for c, height in passes.pop(b).items():
            del passes[c][b]
            if c != a:
                passes[a][c] = passes[c][a] = max(height, passes[a].get(c, 0.0))
        for c in passes[a]:
            heapq.heappush(queue, (-ratio(a, c), min(a, c), max(a, c)))
    while (owners != owners[owners]).any():
        owners = owners[owners]
    return owners[pieces]


def _passes(landscape: np.ndarray, pieces: np.ndarray, regions: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Pairs of pieces of one region that touch, each with the highest point of the line between them."""
    count = int(pieces.max()) + 1
    keys, heights = [], []
    for first, second in _NEIGHBOURS:
        a, b = pieces[first], pieces[second]
        touch = (a != b) & (regions[first] == regions[second]) & (a > 0) & (b > 0)
        low, high = np.minimum(a, b)[touch].astype(np.int64), np.maximum(a, b)[touch]
        keys.append(low * count + high)
        heights.append(np.minimum(landscape[first], landscape[second])[touch])
    key, height = np.concatenate(keys), np.concatenate(heights)
    order = np.lexsort((height, key))
    last = np.flatnonzero(np.diff(key[order], append=-1))
    for where in order[last]:
        yield *divmod(int(key[where]), count), float(height[where])


# Pixels and their neighbours: to the right, below, and below on either side.
_NEIGHBOURS = (
    (np.s_[:, :-1], np.s_[:, 1:]),
    (np.s_[:-1], np.s_[1:]),
    (np.s_[:-1, :-1], np.s_[1:, 1:]),
    (np.s_[:-1, 1:], np.s_[1:, :-1]),
)
