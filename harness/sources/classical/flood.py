"""Flooding from seeds by a priority queue: the watershed of scikit-image up to 0.24, which CellProfiler 3 and 4 use.

From 0.25 on scikit-image gives a pixel at least its parent's priority, which moves the lines between objects
whose seeds are not at the bottom of the landscape. Here, as before, a pixel's priority is its own height, then its age.
"""

import numpy as np
from numba import njit

_AGE_BITS = 32
_LAST = np.int64(2**63 - 1)
_OUTSIDE, _WAITING = -1, -2


def flood(height: np.ndarray, seeds: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Grow seeds over the regions that hold them, lowest pixels first, without lines between the objects.

    Regions do not touch, so each is flooded by itself, and one with a single seed becomes that object. But where
    two seeds of a region are equally high, the one that CellProfiler's heap yields first depends on all that is
    in it: then all regions share one heap.

    Parameters
    ----------
    height : ndarray of float, shape (H, W)
    seeds : ndarray of int32, shape (H, W)
        0, or the number of the seed; seeds outside the regions do not count.
    regions : ndarray of int32, shape (H, W)
        8-connected components; 0 is never flooded.

    Returns
    -------
    ndarray of int32, shape (H, W)
        The number of the seed that reached the pixel; 0 outside the regions and in those without a seed.
    """
    pixels = np.flatnonzero(seeds > 0)
    pixels = pixels[regions.ravel()[pixels] > 0]
    numbers, heights, homes = (a.ravel()[pixels] for a in (seeds, height, regions))
    apart = not _twins(homes, heights)
    owners = np.full(regions.max(initial=0) + 1, _OUTSIDE, np.int32)
    owners[homes] = np.where(np.bincount(homes)[homes] == 1, numbers, 0) if apart else 0
    labels, contested, areas = _paint(regions, owners)
    levels = _levels(height.ravel()[contested])
    basins = homes if apart else np.zeros_like(homes)
    order = np.argsort(basins, kind="stable")
    order = order[owners[homes[order]] == 0]
    areas = areas if apart else areas.sum(keepdims=True)
    _flood(labels, contested, levels, pixels[order], numbers[order], basins[order], areas)
    return np.maximum(labels[1:-1, 1:-1], 0)


def _twins(homes: np.ndarray, heights: np.ndarray) -> bool:
    """Whether a region has two seeds that are equally high."""
    order = np.lexsort((heights, homes))
    return bool(((np.diff(homes[order]) == 0) & (np.diff(heights[order]) == 0)).any())


def _levels(heights: np.ndarray) -> np.ndarray:
    """Heights replaced by their ranks, equal ones by equal ranks."""
    order = np.argsort(heights)
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.cumsum(np.diff(heights[order], prepend=heights[order[:1]]) > 0)
    return ranks


@njit(cache=True, nogil=True)
def _paint(regions: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label image with a frame, each region in its owner's number; the contested pixels (0), and how many by region."""
    rows, columns = regions.shape
    labels = np.full((rows + 2, columns + 2), np.int32(_OUTSIDE))
    contested = np.empty(regions.size, np.int32)
    areas = np.zeros(len(owners), np.int64)
    count = 0
    for i in range(rows):
        for j in range(columns):
            region = regions[i, j]
            if region:
                labels[i + 1, j + 1] = owners[region]
                if owners[region] == 0:
                    contested[count] = i * columns + j
                    areas[region] += 1
                    count += 1
    return labels, contested[:count], areas


@njit(cache=True, nogil=True)
def _flood(
    labels: np.ndarray,
    contested: np.ndarray,
    levels: np.ndarray,
    pixels: np.ndarray,
    numbers: np.ndarray,
    basins: np.ndarray,
    areas: np.ndarray,
) -> None:
    """Flood the contested pixels in place, basin by basin, from the seeds at `pixels`.

    A pixel that waits for its label holds its level instead, counted down from _WAITING.
    """
    width = labels.shape[1]
    flat = labels.ravel()
    for k in range(len(contested)):
        flat[_framed(contested[k], width)] = _WAITING - levels[k]
    keys, places = np.empty(len(contested) + 1, np.int64), np.empty(len(contested) + 1, np.int64)
    size = 0
    for k in range(len(pixels)):
        seed = _framed(pixels[k], width)
        size = _push(keys, places, size, _key(flat[seed], 0), seed)
        flat[seed] = numbers[k]
        if k + 1 == len(pixels) or basins[k + 1] != basins[k]:
            _drain(flat, width, keys, places, size, areas[basins[k]] - size)
            size = 0


@njit(cache=True, nogil=True)
def _framed(pixel: int, width: int) -> int:
    """Index in the framed image of a pixel's index in the image."""
    return (pixel // (width - 2) + 1) * width + pixel % (width - 2) + 1


@njit(cache=True, nogil=True, inline="always")
def _key(waiting: int, age: int) -> np.int64:
    return np.int64(_WAITING - waiting) << _AGE_BITS | age


@njit(cache=True, nogil=True)
def _drain(labels: np.ndarray, width: int, keys: np.ndarray, places: np.ndarray, size: int, waiting: int) -> None:
    """Pop the lowest, oldest pixel, label and push its unlabelled neighbours, until no pixel waits for a label."""
    steps = np.array((-width, -1, 1, width, -width - 1, -width + 1, width - 1, width + 1))
    age = 0
    while size and age < waiting:
        pixel = places[0]
        label = labels[pixel]
        size = _pop(keys, places, size)
        for k in range(8):
            neighbour = pixel + steps[k]
            if labels[neighbour] <= _WAITING:
                age += 1
                size = _push(keys, places, size, _key(labels[neighbour], age), neighbour)
                labels[neighbour] = label


# A binary heap of keys (height, then age) and the places of their pixels. Equal keys, which only seeds can have,
# take the order that the textbook sifting leaves them in: it shows in CellProfiler's labels.


@njit(cache=True, nogil=True, inline="always")
def _push(keys: np.ndarray, places: np.ndarray, size: int, key: np.int64, place: int) -> int:
    child = size
    while child > 0:
        parent = (child - 1) >> 1
        if key >= keys[parent]:
            break
        keys[child], places[child] = keys[parent], places[parent]
        child = parent
    keys[child], places[child] = key, place
    return size + 1


@njit(cache=True, nogil=True, inline="always")
def _pop(keys: np.ndarray, places: np.ndarray, size: int) -> int:
    size -= 1
    key, place = keys[size], places[size]
    keys[size] = _LAST
    parent, child = 0, 1
    while child < size:
        child += int(keys[child + 1] < keys[child])
        if keys[child] >= key:
            break
        keys[parent], places[parent] = keys[child], places[child]
        parent, child = child, 2 * child + 1
    keys[parent], places[parent] = key, place
    return size
