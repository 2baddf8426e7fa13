"""Label images: 2-D integers, 0 for background and one id per nucleus; checked, renumbered, cleared of the edge, written."""

from pathlib import Path

import numpy as np

from harness.core.errors import HarnessError
from harness.core.files import whole

TOO_LARGE = 2**24  # for an id: tables are indexed by them


def check_labels(labels: np.ndarray) -> np.ndarray:
    """Refuse what is no label image.

    Parameters
    ----------
    labels : (H, W) integer array-like

    Returns
    -------
    (H, W) int32 ndarray

    Raises
    ------
    HarnessError
        If it is not 2-D, not of integers, or an id is negative or not below `TOO_LARGE`.

    Examples
    --------
    >>> check_labels(np.array([[0, 1]], dtype=np.uint8)).dtype
    dtype('int32')
    >>> check_labels(np.array([[0.2, 0.8]]))
    Traceback (most recent call last):
        ...
    harness.core.errors.HarnessError: not a label image: float64 of shape (1, 2); give a 2-D array of integers, ...
    """
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


def renumber(labels: np.ndarray) -> np.ndarray:
    """Ids 1..n in the order of the old ones, however large these are.

    Parameters
    ----------
    labels : (H, W) integer ndarray
        Nothing negative.

    Returns
    -------
    (H, W) int32 ndarray

    Examples
    --------
    >>> renumber(np.array([[0, 7, 7], [70000, 0, 7]]))
    array([[0, 1, 1],
           [2, 0, 1]], dtype=int32)
    """
    ids, position = np.unique(labels, return_inverse=True)
    return (position.reshape(labels.shape) + (0 not in ids)).astype(np.int32)


def new_ids(keep: np.ndarray) -> np.ndarray:
    """A table of new ids, to be indexed with a label image: 1..n for the ids to keep, in their order, 0 for the others.

    Parameters
    ----------
    keep : (N,) bool ndarray
        By id; that of the background, `keep[0]`, is False.

    Returns
    -------
    (N,) int32 ndarray

    Examples
    --------
    >>> labels = np.array([[1, 0, 2, 2, 0, 3, 3]])
    >>> areas = np.bincount(labels.ravel())
    >>> areas
    array([2, 1, 2, 2])
    >>> new_ids((areas > 1) & (np.arange(4) > 0))[labels]
    array([[0, 0, 1, 1, 0, 2, 2]], dtype=int32)
    """
    return np.where(keep, np.cumsum(keep), 0).astype(np.int32)


def touching_edge(labels: np.ndarray) -> np.ndarray:
    """The ids that have a pixel in the first or last row or column, ascending; 0 is one of them where background has.

    Parameters
    ----------
    labels : (H, W) integer ndarray

    Returns
    -------
    (N,) ndarray

    Examples
    --------
    >>> touching_edge(np.array([[1, 1, 0], [2, 3, 0], [0, 0, 0]]))
    array([0, 1, 2])
    """
    edges = (labels[:1], labels[-1:], labels[:, :1], labels[:, -1:])
    return np.unique(np.concatenate([edge.ravel() for edge in edges]))


def remove_touching_edge(labels: np.ndarray) -> np.ndarray:
    """A label image without the nuclei at its edge; the others keep their ids.

    Parameters
    ----------
    labels : (H, W) integer array-like

    Returns
    -------
    (H, W) int32 ndarray

    Raises
    ------
    HarnessError
        If `labels` is not a label image, see `check_labels`.

    Examples
    --------
    >>> remove_touching_edge(np.array([[1, 1, 0, 0], [0, 0, 3, 0], [2, 0, 0, 0]]))
    array([[0, 0, 0, 0],
           [0, 0, 3, 0],
           [0, 0, 0, 0]], dtype=int32)
    """
    labels = check_labels(labels)
    ids = np.arange(labels.max(initial=0) + 1, dtype=np.int32)
    ids[touching_edge(labels)] = 0
    return ids[labels]


def over_squares(image: np.ndarray, operation: np.ufunc, outside: int = 0) -> np.ndarray:
    """`np.minimum` or `np.maximum` over the 3x3 square around each pixel; by shifts, four times as fast as scipy.ndimage.

    Parameters
    ----------
    image : (H, W) ndarray
        Integers or booleans.
    operation : numpy.ufunc
        Of two arrays, in any order.
    outside : int
        What lies outside the image counts as this.

    Returns
    -------
    (H, W) ndarray
        Of the image's dtype.

    Examples
    --------
    >>> over_squares(np.array([[0, 0, 0, 5]]), np.maximum)
    array([[0, 0, 5, 5]])
    """
    padded = np.pad(image, 1, constant_values=outside)
    rows = operation(operation(padded[:-2], padded[1:-1]), padded[2:])
    return operation(operation(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def over_crosses(image: np.ndarray, operation: np.ufunc) -> np.ndarray:
    """As `over_squares`, over a pixel and its four neighbours; 0 outside.

    Examples
    --------
    >>> over_crosses(np.array([[0, 0, 0, 5], [0, 0, 0, 0]]), np.maximum)
    array([[0, 0, 5, 5],
           [0, 0, 0, 5]])
    """
    padded = np.pad(image, 1)
    columns = operation(operation(padded[:-2, 1:-1], padded[2:, 1:-1]), image)
    return operation(columns, operation(padded[1:-1, :-2], padded[1:-1, 2:]))


def write_label_image(path: Path, labels: np.ndarray) -> None:
    """Write a label image or a mask, whole or not at all, compressed without loss.

    Parameters
    ----------
    path : Path
        `.tif`, with 16 bits or 32 where the ids need them (a mask with 8), or `.png`, with 8 bits or 16. Its folder is made
        if need be.
    labels : (H, W) integer or bool ndarray

    Raises
    ------
    HarnessError
        More nuclei than a PNG holds, 65,535; or the file cannot be written.
    """
    import tifffile  # a network that MLflow loads imports this module, and writes nothing
    from imageio.v3 import imwrite

    top = int(labels.max(initial=0))
    if path.suffix != ".png":
        dtype = np.uint8 if labels.dtype == bool else np.uint16 if top < 2**16 else np.uint32
        with whole(path) as partial:
            tifffile.imwrite(partial, labels.astype(dtype), compression="zlib")
    elif top < 2**16:
        with whole(path) as partial:
            imwrite(partial, labels.astype(np.uint8 if top < 2**8 else np.uint16), extension=".png", optimize=True)
    else:
        raise HarnessError(f"field {path.stem}: {top} nuclei are more than a PNG holds; cut it into smaller fields")
