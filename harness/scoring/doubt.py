"""How likely each nucleus of a label image is wrong, told without annotation.

From how far other label sources agree on it, how round and how large it is, how sharp its outline and how even its inside:
a logistic regression whose constants come from the training fields of BBBC039 (docs/afternoon.md has the command and what it
finds elsewhere).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects, gaussian_gradient_magnitude

from harness.core.label_images import touching_edge
from harness.scoring.metrics import overlaps

SIGMA = 1.0  # px, of the gradient
REACH = 5  # px, beyond which nothing counts for it
WEAKEST = 0.1  # of the outline: what shows a wrong part of it
# Where there is no contrast, quotients by it are cut: a step through the Gaussian has an edge of 0.4.
SHARPEST, MOST_UNEVEN = 0.5, 5.0
OUTSIDE = 0.5  # of a nucleus that another source sees, for it to count as one that is missing

# Of the chance that no annotated nucleus has an IoU above 0.7 with it, the bound of Caicedo et al. (2019).
CONSTANT = 23.43
WEIGHTS = {
    "agreement": -7.07,
    "roundness": -19.89,
    "edge": -17.89,
    "unevenness": 3.63,
    "large": 2.25,
    "small": 2.45,
    "at_edge": -1.3,
}


def measure(labels: np.ndarray, others: Sequence[np.ndarray], image: np.ndarray) -> pd.DataFrame:
    """Measure the nuclei of a label image.

    Parameters
    ----------
    labels : (H, W) int32 ndarray
    others : sequence of (H, W) int32 ndarray
        Label images of the same field by other sources, one at least.
    image : (H, W) ndarray
        Intensities.

    Returns
    -------
    DataFrame
        A line per nucleus: label, y, x (centroid, px), area (px), and the features of `WEIGHTS`.
        agreement: mean over the others of the largest IoU with one of their nuclei. roundness: area over that of the ellipse
        of the same moments. edge: gradient on the weakest tenth of the outline over the contrast, 1/px. unevenness: standard
        deviation over contrast. large, small: logarithm of the area over the field's median, as far as it is above, below.
        at_edge: 1 at the edge of the field, else 0.
    """
    areas = np.bincount(labels.ravel(), minlength=1)
    there = np.flatnonzero(areas[1:]) + 1
    area = np.maximum(areas, 1)
    sums = _summing(labels)
    rows, columns = np.indices(labels.shape)
    y, x = sums(rows) / area, sums(columns) / area
    contrast, deviation = _intensities(labels, image.astype(float), sums, area)
    size = np.log(area / np.median(areas[there])) if len(there) else np.zeros(len(area))
    table = {
        "label": np.arange(len(area)),
        "y": y,
        "x": x,
        "area": areas,
        "agreement": np.mean([best_iou(labels, other) for other in others], axis=0),
        "roundness": areas / _ellipse(sums, rows, columns, y, x, area),
        "edge": np.minimum(_weakest_edge(labels, image.astype(float)) / contrast, SHARPEST),
        "unevenness": np.minimum(deviation / contrast, MOST_UNEVEN),
        "large": size.clip(min=0),
        "small": (-size).clip(min=0),
        "at_edge": _at_edge(labels, len(area)),
    }
    return pd.DataFrame(table).iloc[there].reset_index(drop=True)


def doubt(measured: pd.DataFrame) -> np.ndarray:
    """Chance of each nucleus of being wrong, (n,) float64, from what `measure` gave."""
    features = measured[list(WEIGHTS)].to_numpy(float)
    return 1 / (1 + np.exp(-(CONSTANT + features @ np.array(list(WEIGHTS.values())))))


def sharpness(labels: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The feature edge of `measure` of each nucleus, (nuclei,) float64 in the order of their ids.

    It is worked out nucleus by nucleus, so a large field takes little memory.

    Parameters
    ----------
    labels : (H, W) int32 ndarray
    image : (H, W) ndarray
        Intensities.
    """
    background = _background(labels, image)
    found = []
    for number, box in enumerate(find_objects(labels), 1):
        if box:
            around = tuple(slice(max(0, side.start - REACH), side.stop + REACH) for side in box)
            found.append(_sharpness(labels[around] == number, image[around].astype(float), background))
    return np.array(found, float)


def _sharpness(mask, image, background):
    contrast = max(image[mask].mean() - background, _least_contrast(background))
    gradient = np.sort(gaussian_gradient_magnitude(image, SIGMA)[_outline(mask)])
    return min((gradient[int(WEAKEST * len(gradient))] if len(gradient) else 0) / contrast, SHARPEST)


def missing(labels: np.ndarray, others: Sequence[np.ndarray], measured: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Nuclei that other sources see where a label image has none.

    Parameters
    ----------
    labels : (H, W) int32 ndarray
    others : sequence of (H, W) int32 ndarray
    measured : sequence of DataFrame
        The nuclei of each of the others: `measure`, with a column doubt.

    Returns
    -------
    DataFrame
        Lines of `measured`, each place once; doubt is now that of the label image: what the other source's is not.
    """
    taken, found = labels > 0, []
    for other, table in zip(others, measured, strict=True):
        outside = np.bincount(other[~taken], minlength=other.max() + 1)
        new = table[outside[table["label"]] >= OUTSIDE * table["area"]]
        taken = taken | np.isin(other, new["label"])
        found.append(new.assign(doubt=1 - new["doubt"]))
    return pd.concat(found, ignore_index=True)


def best_iou(labels: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Largest IoU of each nucleus of `labels`, by its id, with one of `other`; (1 + largest id,) float64."""
    mine, theirs = (np.bincount(each.ravel(), minlength=1) for each in (labels, other))
    best = np.zeros(len(mine))
    g, r, pixels = overlaps(labels, other)
    np.maximum.at(best, g, pixels / (mine[g] + theirs[r] - pixels))
    return best


def _summing(labels):
    """A function that sums an image over each label."""
    flat, count = labels.ravel(), int(labels.max(initial=0)) + 1
    return lambda values: np.bincount(flat, weights=np.ravel(values), minlength=count)


def _ellipse(sums, rows, columns, y, x, area):
    """Area of the ellipse of the same second moments; 1/12 is that of a pixel."""
    yy, xx = sums(rows * rows) / area - y**2 + 1 / 12, sums(columns * columns) / area - x**2 + 1 / 12
    yx = sums(rows * columns) / area - y * x
    return 4 * np.pi * np.sqrt(np.maximum(yy * xx - yx**2, 1e-6))


def _intensities(labels, image, sums, area):
    background = _background(labels, image)
    mean = sums(image) / area
    contrast = np.maximum(mean - background, _least_contrast(background))
    return contrast, np.sqrt(np.maximum(sums(image**2) / area - mean**2, 0))


def _background(labels, image):
    return float(np.median(image[labels == 0]) if (labels == 0).any() else image.min())


def _least_contrast(background):
    return 1e-3 * max(abs(background), 1)


def _weakest_edge(labels, image):
    """The `WEAKEST` quantile of the gradient on each nucleus' outline."""
    outline = _outline(labels)
    ids, gradient = labels[outline], gaussian_gradient_magnitude(image, SIGMA)[outline]
    order = np.lexsort((gradient, ids))
    length = np.bincount(ids, minlength=int(labels.max(initial=0)) + 1)
    at = np.cumsum(length) - length + (WEAKEST * length).astype(int)
    return np.where(length > 0, np.append(gradient[order], 0)[np.minimum(at, len(order))], 0)


def _outline(labels):
    """Pixels of nuclei with one of the four neighbours elsewhere."""
    inside = np.pad(labels, 1, mode="edge")
    shifted = (inside[:-2, 1:-1], inside[2:, 1:-1], inside[1:-1, :-2], inside[1:-1, 2:])
    return (labels > 0) & np.any([labels != each for each in shifted], axis=0)


def _at_edge(labels, count):
    touching = np.zeros(count)
    touching[touching_edge(labels)] = 1
    return touching
