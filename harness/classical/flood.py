"""Flooding from seeds by a priority queue: the watershed of scikit-image up to 0.24, which CellProfiler 3 and 4 use.

From 0.25 on scikit-image gives a pixel at least its parent's priority, which moves the lines between objects
whose seeds are not at the bottom of the landscape. Here, as before, a pixel's priority is its own height, then its age.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def flood(height, seeds, mask):
    """Grow seeds over a mask, lowest pixels first, without lines between the objects.

    Parameters
    ----------
    height : ndarray of float64, shape (H, W)
    seeds : ndarray of int32, shape (H, W)
        0, or the number of the seed.
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    ndarray of int32, shape (H, W)
        0 outside the mask and in parts of it without a seed.
    """
    rows, columns = height.shape
    width = columns + 2
    labels = np.full((rows + 2) * width, -1, np.int32)
    values = np.empty((rows + 2) * width, height.dtype)
    n = 0
    for i in range(rows):
        for j in range(columns):
            if mask[i, j]:
                labels[(i + 1) * width + j + 1] = seeds[i, j]
                values[(i + 1) * width + j + 1] = height[i, j]
                n += 1
    steps = np.array((-width, -1, 1, width, -width - 1, -width + 1, width - 1, width + 1))
    heap_value, heap_age, heap_pixel = np.empty(n + 1, height.dtype), np.empty(n + 1, np.int32), np.empty(n + 1, np.int32)
    size = 0
    for pixel in range(labels.size):
        if labels[pixel] > 0:
            size = _push(heap_value, heap_age, heap_pixel, size, values[pixel], 0, pixel)
    age = 0
    while size:
        pixel = heap_pixel[0]
        size = _pop(heap_value, heap_age, heap_pixel, size)
        for step in steps:
            neighbour = pixel + step
            if labels[neighbour] == 0:
                age += 1
                labels[neighbour] = labels[pixel]
                size = _push(heap_value, heap_age, heap_pixel, size, values[neighbour], age, neighbour)
    return np.maximum(labels, 0).reshape(rows + 2, width)[1:-1, 1:-1].copy()


@njit(cache=True, nogil=True)
def _smaller(v, a, i, j):
    return v[i] < v[j] or (v[i] == v[j] and a[i] < a[j])


@njit(cache=True, nogil=True)
def _swap(v, a, p, i, j):
    v[i], v[j] = v[j], v[i]
    a[i], a[j] = a[j], a[i]
    p[i], p[j] = p[j], p[i]


@njit(cache=True, nogil=True)
def _push(v, a, p, size, value, age, pixel):
    v[size], a[size], p[size] = value, age, pixel
    child = size
    while child > 0:
        parent = (child - 1) // 2
        if not _smaller(v, a, child, parent):
            break
        _swap(v, a, p, child, parent)
        child = parent
    return size + 1


@njit(cache=True, nogil=True)
def _pop(v, a, p, size):
    size -= 1
    _swap(v, a, p, 0, size)
    i = 0
    while True:
        smallest, left, right = i, 2 * i + 1, 2 * i + 2
        if left >= size:
            break
        if _smaller(v, a, left, i):
            smallest = left
        if right < size and _smaller(v, a, right, smallest):
            smallest = right
        if smallest == i:
            break
        _swap(v, a, p, i, smallest)
        i = smallest
    return size
