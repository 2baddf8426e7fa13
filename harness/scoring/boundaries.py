"""How far predicted outlines lie from annotated ones, in pixels.

The outline of a mask is its pixels with a 4-neighbour that is not in it; what lies outside the image is not. Distances are
Euclidean, between the centres of pixels. MONAI and MedPy define both in the same way. docs/metrics.md says what was compared.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from harness.core.label_images import over_crosses
from harness.scoring.metrics import same_shape

TOLERANCE = 1.0  # px, of the normalised surface distance
FARTHEST = 5.0  # px, half of the smallest diameter a nucleus of the paper has: an outline farther away is another nucleus'


class Distances(NamedTuple):
    """What lies between two outlines.

    Attributes
    ----------
    of_true, of_pred : (M,) and (N,) float64 ndarray
        Of each pixel of an outline the distance to the other outline in px, positive where the predicted outline is
        the outer one. Where the other side has no outline: the diagonal of the image, as far as anything can be.
    """

    of_true: np.ndarray
    of_pred: np.ndarray


def outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a (H, W) boolean mask with a 4-neighbour outside it, or at the edge of the image; (H, W) boolean.

    Examples
    --------
    >>> outline(np.ones((3, 4), bool)).astype(int)
    array([[1, 1, 1, 1],
           [1, 0, 0, 1],
           [1, 1, 1, 1]])
    """
    return mask & ~over_crosses(mask, np.minimum)


def outline_distances(y_true: np.ndarray, y_pred: np.ndarray) -> Distances:
    """Signed distances between the outlines of two masks.

    Parameters
    ----------
    y_true, y_pred : (H, W) boolean ndarray
        Foreground of the same pixels.

    Returns
    -------
    Distances

    Raises
    ------
    HarnessError
        The masks differ in shape.

    Examples
    --------
    >>> y_true, y_pred = np.zeros((2, 3, 6), bool)
    >>> y_true[1, 2:4] = y_pred[1, 1:4] = True
    >>> outline_distances(y_true, y_pred).of_pred
    array([1., 0., 0.])
    """
    y_true, y_pred = same_shape(np.asarray(y_true, bool), np.asarray(y_pred, bool))
    of_true, of_pred = (np.argwhere(outline(mask)) for mask in (y_true, y_pred))
    far = float(np.hypot(*y_true.shape))
    return Distances(
        _to_nearest(of_true, of_pred, far, y_pred[tuple(of_true.T)]),
        _to_nearest(of_pred, of_true, far, ~y_true[tuple(of_pred.T)]),
    )


def _to_nearest(points, others, far, outward):
    """Distances of points to the nearest of the others, with their sign; of an outline to itself 0, never -0."""
    found = KDTree(others).query(points)[0] if len(points) and len(others) else np.full(len(points), far)
    return np.where(outward | (found == 0), found, -found)


def outline_offset(distances: Distances) -> float:
    """How far the predicted outline lies outside the annotated one, in px; negative: inside.

    The mean over the pixels of both outlines, those left out that are farther than `FARTHEST` from the other one: they
    belong to missed and to extra nuclei.

    Examples
    --------
    >>> outline_offset(Distances(np.array([1.0, 1.0, 40.0]), np.array([2.0, 0.0])))
    1.0
    """
    both = np.concatenate(distances)
    near = both[np.abs(both) <= FARTHEST]
    return float(near.mean()) if len(near) else float("nan")


def normalised_surface_distance(distances: Distances, thresh: float = TOLERANCE) -> float:
    """Share of the pixels of both outlines that lie within `thresh` px of the other one (NSD).

    The surface Dice of Nikolov et al. (2018), arXiv:1809.04430, each pixel of an outline counting the same as in Seidlitz
    et al. (2021), arXiv:2111.05408. 0 where only one side has an outline, NaN where neither has.

    Examples
    --------
    >>> normalised_surface_distance(Distances(np.array([0.0, 3.0]), np.array([1.0, -1.0])))
    0.75
    """
    both = np.abs(np.concatenate(distances))
    return float((both <= thresh).mean()) if len(both) else float("nan")


def hausdorff_95(distances: Distances) -> float:
    """95th percentile of the distances from one outline to the other, in px: the larger of both directions (HD95).

    The diagonal of the image where only one side has an outline, NaN where neither has.

    Examples
    --------
    >>> hausdorff_95(Distances(np.array([0.0, 0.0]), np.array([2.0, -2.0])))
    2.0
    """
    sides = [np.percentile(np.abs(side), 95) for side in distances if len(side)]
    return float(max(sides, default=np.nan))
