"""Label image -> class map: background, nucleus, separation of touching nuclei (paper, section 2.3)."""

import numpy as np

from harness.core.errors import HarnessError
from harness.core.label_images import TOO_LARGE, check_labels, over_squares

BACKGROUND, NUCLEUS, SEPARATION = 0, 1, 2
IGNORE = 3  # in training maps only: a pixel that the loss leaves out


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
        If `labels` is not a label image, see `harness.core.label_images.check_labels`.

    Examples
    --------
    Where two nuclei touch, one pixel of each is separation; a gap of one pixel is, too, one of two is not:

    >>> class_map(np.array([[5, 5, 7, 7]]))
    array([[1, 2, 2, 1]], dtype=uint8)
    >>> class_map(np.array([[5, 5, 0, 7, 7]]))
    array([[1, 1, 2, 1, 1]], dtype=uint8)
    >>> class_map(np.array([[5, 5, 0, 0, 7, 7]]))
    array([[1, 1, 0, 0, 1, 1]], dtype=uint8)
    """
    labels = check_labels(labels)
    highest = over_squares(labels, np.maximum)
    lowest = over_squares(np.where(labels > 0, labels, TOO_LARGE), np.minimum, TOO_LARGE)
    classes = (labels > 0).astype(np.uint8)
    classes[highest > lowest] = SEPARATION
    return classes


def training_map(labels: np.ndarray, ignore: np.ndarray) -> np.ndarray:
    """The class map that a network learns from.

    Parameters
    ----------
    labels : (H, W) integer array
        Label image, see `class_map`.
    ignore : (H, W) boolean array
        Pixels about which the label source says nothing.

    Returns
    -------
    (H, W) uint8 array
        The class map, with `IGNORE` where `ignore` is set.

    Raises
    ------
    HarnessError
        If the two are not of the same shape, or `labels` is not a label image.

    Examples
    --------
    >>> training_map(np.array([[5, 5, 7, 7]]), np.array([[False, False, False, True]]))
    array([[1, 2, 2, 3]], dtype=uint8)
    """
    classes = class_map(labels)
    if np.shape(ignore) != classes.shape:
        raise HarnessError(
            f"ignore mask of shape {np.shape(ignore)} for labels of shape {classes.shape}: give both for the same pixels"
        )
    classes[np.asarray(ignore, dtype=bool)] = IGNORE
    return classes
