"""Outlines of nuclei moved to a level of each nucleus' own contrast, or to where the image is steepest."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.measure import label as parts_of_equal_value
from skimage.segmentation import watershed

SMOOTHING = 0.7  # px: sigma of the Gaussian under which a level is looked for
RING = 11 / 3  # times the reach: how far out the background is taken


def outlines_at(level: float, reach: float, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Move outlines to a level of each nucleus' own contrast; nuclei that touch keep touching.

    Background is the median of a ring around the nucleus, its level the median of the nucleus without its outermost pixels.

    Parameters
    ----------
    level, reach : float
        Shares of a nucleus' contrast and of its equivalent diameter; see `harness.sources.refinements.HalfContrast`.
    image : (H, W) ndarray
    labels : (H, W) int32 ndarray

    Returns
    -------
    (H, W) int32 ndarray
        Each nucleus without holes and in one part.
    """
    if not labels.any():
        return labels
    smooth = ndimage.gaussian_filter(image.astype(np.float64), SMOOTHING)
    nucleus, band = labels > 0, _band(reach, labels)
    ring = ~nucleus & (band.squared > _square_below(band.reaches).take(band.owner))
    ring &= band.squared <= _square_up_to(RING * band.reaches).take(band.owner)
    levels = _levels(level, smooth, band.owner, ring, nucleus & ~band.edge)
    kept = nucleus & (~band.near | band.contact | np.isnan(levels).take(band.owner))
    moved = kept | (band.near & (smooth > levels.take(band.owner)))
    return _whole(np.where(moved, band.owner, 0).astype(np.int32))


def steepest_outlines(reach: float, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Move outlines to where the image is steepest; nuclei that touch keep touching.

    The watershed of the gradient's magnitude, grown from each nucleus' pixels that are out of reach of its outline, and from the
    background that is.

    Parameters
    ----------
    reach : float
        See `harness.sources.refinements.SteepestGradient`.
    image : (H, W) ndarray
    labels : (H, W) int32 ndarray

    Returns
    -------
    (H, W) int32 ndarray
        Each nucleus without holes and in one part.
    """
    if not labels.any():
        return labels
    gradient = ndimage.gaussian_gradient_magnitude(image.astype(np.float64), SMOOTHING)
    band, background = _band(reach, labels), labels.max() + 1
    kept = (labels > 0) & (~band.near | band.contact)
    rootless = np.bincount(labels[kept], minlength=background) == 0  # by id: too small to have pixels out of reach
    kept |= (labels > 0) & rootless.take(labels)
    seeds = np.where(kept, labels, np.where(band.near | (labels > 0), 0, background))
    grown = watershed(gradient, seeds)
    return _whole(np.where(grown == background, 0, grown).astype(np.int32))


class _Band(NamedTuple):
    """Where outlines are, and what is within reach of them.

    Attributes
    ----------
    owner : (H, W) ints
        The nucleus of a pixel; of background, the one next to it, or any where none is as near as a ring reaches.
    near, contact, edge : (H, W) bools
        Within its nucleus' reach of an outline; next to a pixel where nuclei touch; pixels of a nucleus at its outline.
    squared : (H, W) ints
        Squared distance to the next outline.
    reaches : (N + 1,) floats
        By id, in px.
    """

    owner: np.ndarray
    near: np.ndarray
    contact: np.ndarray
    edge: np.ndarray
    squared: np.ndarray
    reaches: np.ndarray


def _band(reach: float, labels: np.ndarray) -> _Band:
    from harness.sources.classical.distance import nearest  # numba is a second that whoever names a step need not wait for

    edge, contact = _edges(labels)
    reaches = reach * np.sqrt(4 / np.pi * np.bincount(labels.ravel()))
    reaches[0] = 0  # of what no nucleus is near
    squared, where = nearest(edge, RING * reaches.max())  # on either side of it
    owner = np.where(labels > 0, labels, labels.take(where)).astype(np.intp)  # an index, five times
    near = squared <= _square_up_to(reaches).take(owner)
    return _Band(owner, near, contact.take(where), edge, squared, reaches)


def _edges(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a nucleus with a side to something else, and those of them with a side to another nucleus."""
    nucleus = labels > 0
    edge, contact = np.zeros((2, *labels.shape), bool)
    for above, below in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differ = labels[above] != labels[below]
        touch = differ & nucleus[above] & nucleus[below]
        for side in (above, below):
            edge[side] |= differ
            contact[side] |= touch
    return edge & nucleus, contact


# Distances are compared by their squares, integers that 32 bits hold up to 46,000 px: a root of every pixel takes too long.


def _square_up_to(distances: np.ndarray) -> np.ndarray:
    """The largest integers whose roots are no larger than some distances, to the last bit of the root."""
    squares = np.floor(distances**2).astype(np.int64)
    squares -= np.sqrt(squares) > distances
    return (squares + (np.sqrt(squares + 1) <= distances)).astype(np.int32)


def _square_below(distances: np.ndarray) -> np.ndarray:
    """The largest integers whose roots are smaller than some distances."""
    squares = _square_up_to(distances)
    return squares - (np.sqrt(squares) == distances)


def _levels(level: float, smooth: np.ndarray, owner: np.ndarray, ring: np.ndarray, core: np.ndarray) -> np.ndarray:
    """By id: the intensity at which the outline of a nucleus lies; NaN for one of two pixels' width, which has no core."""
    count = owner.max() + 1
    background = _medians(smooth, ring, owner, count)
    alone = ~np.isnan(background)  # crowded nuclei have no ring
    background[~alone] = np.median(background[alone]) if alone.any() else smooth.min()
    return background + level * (_medians(smooth, core, owner, count) - background)


def _medians(values: np.ndarray, where: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Median of the values under each of `count` ids; NaN where there are none."""
    places = np.flatnonzero(where)
    found = labels.take(places)
    order = np.argsort(found.astype(np.min_scalar_type(count)), kind="stable")  # of 16 bits or less without comparing
    groups = np.split(values.take(places[order]), np.cumsum(np.bincount(found, minlength=count))[:-1])
    return np.array([_median(group) if len(group) else np.nan for group in groups])


def _median(values: np.ndarray) -> float:
    """NumPy's own takes five times as long for some hundred values."""
    middle, odd = divmod(len(values), 2)
    if odd:
        return np.partition(values, middle)[middle]
    low, high = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return (low + high) / 2


def _whole(labels: np.ndarray) -> np.ndarray:
    """Every nucleus without holes, and of its parts the largest."""
    parts = parts_of_equal_value(labels, connectivity=1)
    ids = np.zeros(parts.max() + 1, labels.dtype)
    ids[parts] = labels
    by_size = np.lexsort((-np.bincount(parts.ravel()), ids))
    largest = by_size[np.unique(ids[by_size], return_index=True)[1]]
    whole = np.where(np.isin(np.arange(len(ids)), largest).take(parts), labels, 0)
    windows = ndimage.find_objects(labels)
    for id_ in _with_gaps(windows, labels):
        window = windows[id_ - 1]
        filled = ndimage.binary_fill_holes(whole[window] == id_)
        whole[window][filled & (labels[window] == 0)] = id_
    return whole


def _with_gaps(windows: Sequence[tuple[slice, ...] | None], labels: np.ndarray) -> np.ndarray:
    """The ids that may have holes: in their windows lies background that is cut off from the rest."""
    from harness.sources.classical.components import label_background

    gaps = _corners(ndimage.find_objects(label_background(labels > 0)[0]))
    nuclei = _corners(windows)
    inside = (gaps[:, None, 0] > nuclei[:, 0]) & (gaps[:, None, 1] < nuclei[:, 1])
    return 1 + np.flatnonzero(inside.all(axis=-1).any(axis=0))


def _corners(windows: Sequence[tuple[slice, ...] | None]) -> np.ndarray:
    """First pixel and end of windows, (N, 2, 2); of none, what nothing lies in."""
    nothing = (slice(0, 0), slice(0, 0))
    sides = [[(side.start, side.stop) for side in window or nothing] for window in windows]
    return np.array(sides, int).reshape(-1, 2, 2).swapaxes(1, 2)
