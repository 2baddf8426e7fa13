"""Label image -> class map: background, nucleus, separation of touching nuclei (paper, section 3)."""

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from harness.core.errors import HarnessError

BACKGROUND, NUCLEUS, SEPARATION = 0, 1, 2
IGNORE = 3  # in training maps only: a pixel that the loss leaves out
TOO_LARGE = 2**24  # for an id: tables are indexed by them


def class_map(labels: np.ndarray) -> np.ndarray:
    """Classes of the pixels of a label image.

    Separation is every pixel, inside a nucleus or in the gap, whose 3x3 neighbourhood holds two different
    nuclei; nucleus is the rest of the nuclei. What lies outside the image counts as nothing.

    Parameters
    ----------
    labels : (H, W) integer array
        Label image, 0 background; the ids need not be consecutive.

    Returns
    -------
    classes : (H, W) uint8 array
        `BACKGROUND`, `NUCLEUS` or `SEPARATION`.

    Raises
    ------
    HarnessError
        If `labels` is not a label image, see `check_labels`.

    Examples
    --------
    >>> class_map(np.array([[1, 1, 2, 2, 0]]))
    array([[1, 2, 2, 1, 0]], dtype=uint8)
    """
    labels = check_labels(labels)
    highest = maximum_filter(labels, size=3, mode="constant", cval=0)
    without_background = np.where(labels > 0, labels, TOO_LARGE)
    lowest = minimum_filter(without_background, size=3, mode="constant", cval=TOO_LARGE)
    classes = (labels > 0).astype(np.uint8)
    classes[highest > lowest] = SEPARATION
    return classes


def training_map(labels: np.ndarray, ignore: np.ndarray) -> np.ndarray:
    """Class map of `labels` with `IGNORE` where the (H, W) boolean array `ignore` is set; uint8."""
    classes = class_map(labels)
    if np.shape(ignore) != classes.shape:
        raise HarnessError(
            f"ignore mask of shape {np.shape(ignore)} for labels of shape {classes.shape}: give both for the same pixels"
        )
    classes[np.asarray(ignore, dtype=bool)] = IGNORE
    return classes


def check_labels(labels: np.ndarray) -> np.ndarray:
    """`labels` as int32; a HarnessError unless it is a 2-D array of integers from 0 to below `TOO_LARGE`."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise HarnessError(
            f"not a label image: {labels.dtype} of shape {labels.shape}; "
            "give a 2-D array of integers, 0 for background and one id per nucleus"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() < TOO_LARGE:
        raise HarnessError(
            f"not a label image: ids from {labels.min()} to {labels.max()}; "
            f"give 0 for background and ids from 1 to {TOO_LARGE - 1}"
        )
    return labels.astype(np.int32, copy=False)
