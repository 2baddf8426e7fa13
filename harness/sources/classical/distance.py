"""Exact Euclidean distance transforms in two passes, fast where the distances are those of nuclei."""

import numpy as np
from numba import njit
from scipy import ndimage


def distances(mask: np.ndarray) -> np.ndarray:
    """Euclidean distance of each pixel to the nearest one that is off; the image border is not off.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    ndarray of float64, shape (H, W)
        The same as SciPy's, to the bit; its own answer when no pixel is off.
    """
    if mask.all():
        return ndimage.distance_transform_edt(mask)
    return _rows(_columns(mask))


@njit(cache=True, nogil=True)
def _columns(mask: np.ndarray) -> np.ndarray:
    """Distance to the nearest pixel that is off in the same column."""
    rows, columns = mask.shape
    distance = np.full((rows + 2, columns), rows + columns)
    for i in range(rows):
        for j in range(columns):
            distance[i + 1, j] = distance[i, j] + 1 if mask[i, j] else 0
    for i in range(rows, 0, -1):
        for j in range(columns):
            distance[i, j] = min(distance[i, j], distance[i + 1, j] + 1)
    return distance[1:-1]


@njit(cache=True, nogil=True)
def _rows(distance: np.ndarray) -> np.ndarray:
    """Best of the columns within reach: none further away than the best so far can be nearer."""
    rows, columns = distance.shape
    nearest = np.zeros(distance.shape)
    for i in range(rows):
        for j in range(columns):
            best = distance[i, j] ** 2
            step = 1
            while step * step < best:
                if j >= step:
                    best = min(best, distance[i, j - step] ** 2 + step * step)
                if j + step < columns:
                    best = min(best, distance[i, j + step] ** 2 + step * step)
                step += 1
            nearest[i, j] = np.sqrt(best)
    return nearest


def nearest(mask: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """The nearest pixel that is on, where it lies within reach.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)
    reach : float
        In px.

    Returns
    -------
    squared : ndarray of int32, shape (H, W)
        Squared distance in px; a number larger than that of the reach where none is within it.
    where : ndarray of int64, shape (H, W)
        Its place in the flat image, of several as near the one that SciPy chooses; nothing of meaning beyond the reach.
    """
    reach = min(int(np.ceil(reach)), sum(mask.shape))
    return _nearest_in_rows(_nearest_in_columns(mask), reach)


@njit(cache=True, nogil=True)
def _nearest_in_columns(mask: np.ndarray) -> np.ndarray:
    """Row of the nearest pixel that is on in the same column, of two the upper one; far above the image where there is none."""
    rows, columns = mask.shape
    nearest = np.full((rows, columns), -2 * (rows + columns), np.int32)
    for i in range(rows):
        for j in range(columns):
            if mask[i, j]:
                nearest[i, j] = i
            elif i:
                nearest[i, j] = nearest[i - 1, j]
    for i in range(rows - 2, -1, -1):
        for j in range(columns):
            below = nearest[i + 1, j]
            if below - i < i - nearest[i, j] and below > i:
                nearest[i, j] = below
    return nearest


@njit(cache=True, nogil=True)
def _nearest_in_rows(row: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Best of the columns within reach, of several the leftmost: none further away than the best so far can be nearer."""
    rows, columns = row.shape
    beyond = reach * reach + 1
    squared, where = np.full((rows, columns), beyond, np.int32), np.zeros((rows, columns), np.int64)
    for i in range(rows):
        last = -reach - 1  # column that has anything within reach
        for j in range(columns + reach):
            if j < columns and abs(i - row[i, j]) <= reach:
                last = j
            k = j - reach
            if k < 0 or last < k - reach:
                continue
            best = (i - row[i, k]) ** 2
            place = k
            step = 1
            while step * step <= best and step <= reach:
                left, right = k - step, k + step
                if left >= 0:
                    found = (i - row[i, left]) ** 2 + step * step
                    if found <= best:
                        best, place = found, left
                if right < columns:
                    found = (i - row[i, right]) ** 2 + step * step
                    if found < best:
                        best, place = found, right
                step += 1
            if best < beyond:
                squared[i, k], where[i, k] = best, row[i, place] * columns + place
    return squared, where
