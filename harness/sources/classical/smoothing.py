"""Gaussian smoothing in one pass over the rows, to the bit what SciPy makes of it."""

import numpy as np
from numba import njit

_TRUNCATE = 4.0


def gaussian(sigma: float) -> np.ndarray:
    """Kernel of a Gaussian, cut off after four standard deviations, of sum 1.

    Parameters
    ----------
    sigma : float
        In pixels; 0 is no smoothing.

    Returns
    -------
    ndarray of float64, shape (2 * radius + 1,)
    """
    radius = int(_TRUNCATE * sigma + 0.5)
    if radius == 0:
        return np.ones(1)
    offsets = np.arange(-radius, radius + 1)
    bell = np.exp(-0.5 / (sigma * sigma) * offsets**2)
    return bell / bell.sum()


@njit(cache=True, nogil=True)
def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve the columns, then the rows, with a symmetric kernel; the image is 0 outside.

    Sums are in double precision and rounded to the type of the image after the columns and after the rows.

    Parameters
    ----------
    image : ndarray of float32 or float64, shape (H, W)
    kernel : ndarray of float64, shape (2 * radius + 1,)

    Returns
    -------
    ndarray of the type of the image, shape (H, W)
    """
    rows, columns = image.shape
    radius = len(kernel) // 2
    smoothed, outside = np.empty_like(image), np.zeros(columns, image.dtype)
    line, sums = np.zeros(columns + 2 * radius, image.dtype), np.empty(columns)
    for i in range(rows):
        _weigh(sums, image[i], kernel[radius])
        for k in range(radius, 0, -1):
            above = image[i - k] if i >= k else outside
            below = image[i + k] if i + k < rows else outside
            _add(sums, above, below, kernel[radius - k])
        line[radius : radius + columns] = sums
        _weigh(sums, line[radius : radius + columns], kernel[radius])
        for k in range(radius, 0, -1):
            _add(sums, line[radius - k : radius - k + columns], line[radius + k : radius + k + columns], kernel[radius - k])
        smoothed[i] = sums
    return smoothed


@njit(cache=True, nogil=True, inline="always")
def _weigh(sums: np.ndarray, values: np.ndarray, weight: float) -> None:
    for j in range(len(sums)):
        sums[j] = np.float64(values[j]) * weight


@njit(cache=True, nogil=True, inline="always")
def _add(sums: np.ndarray, before: np.ndarray, after: np.ndarray, weight: float) -> None:
    for j in range(len(sums)):
        sums[j] += (np.float64(before[j]) + np.float64(after[j])) * weight
