"""Connected components, numbered in raster order of their first pixels as `scipy.ndimage.label` numbers them."""

import numpy as np
from numba import njit


def label(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """8-connected components of a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    labels : ndarray of int32, shape (H, W)
    count : int
    """
    return _label(mask, True, 1)


def label_background(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """4-connected components of the pixels that are not in a mask; see `label`."""
    return _label(mask, False, 0)


@njit(cache=True, nogil=True)
def _label(mask: np.ndarray, value: bool, reach: int) -> tuple[np.ndarray, int]:
    """Join the runs of each row to the runs above that they touch, within `reach` columns."""
    rows, columns = mask.shape
    start, stop, parent, first = _runs(mask, value)
    for row in range(1, rows):
        above, run = first[row - 1], first[row]
        while above < first[row] and run < first[row + 1]:
            if start[run] < stop[above] + reach and start[above] < stop[run] + reach:
                _join(parent, above, run)
            if stop[above] < stop[run]:
                above += 1
            else:
                run += 1
    return _paint(start, stop, parent, first, columns)


@njit(cache=True, nogil=True)
def _runs(mask: np.ndarray, value: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Runs of pixels of a value: their columns, their parents (themselves), and the first run of each row."""
    rows, columns = mask.shape
    capacity = rows * (columns // 2 + 1)
    start, stop = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
    first = np.zeros(rows + 1, np.int64)
    run = 0
    for i in range(rows):
        inside = False
        for j in range(columns):
            if (mask[i, j] == value) != inside:
                if inside:
                    stop[run] = j
                    run += 1
                else:
                    start[run] = j
                inside = not inside
        if inside:
            stop[run] = columns
            run += 1
        first[i + 1] = run
    return start, stop, np.arange(run), first


@njit(cache=True, nogil=True)
def _root(parent: np.ndarray, run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


@njit(cache=True, nogil=True)
def _join(parent: np.ndarray, a: int, b: int) -> None:
    """The earlier root becomes the parent, so that a component is named by its first run."""
    a, b = _root(parent, a), _root(parent, b)
    parent[max(a, b)] = min(a, b)


@njit(cache=True, nogil=True)
def _paint(start: np.ndarray, stop: np.ndarray, parent: np.ndarray, first: np.ndarray, columns: int) -> tuple[np.ndarray, int]:
    labels = np.zeros((len(first) - 1, columns), np.int32)
    number = np.zeros(len(parent), np.int32)
    count = 0
    for row in range(len(labels)):
        for run in range(first[row], first[row + 1]):
            root = _root(parent, run)
            if root == run:
                count += 1
                number[run] = count
            labels[row, start[run] : stop[run]] = number[root]
    return labels, count
