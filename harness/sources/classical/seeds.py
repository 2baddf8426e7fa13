"""Seeds: the highest points of the distance transform or of the smoothed image, one pixel each."""

from functools import lru_cache

import numpy as np
from numba import njit
from scipy import ndimage

from harness.sources.classical.components import label
from harness.sources.classical.settings import Settings
from harness.sources.classical.smoothing import convolve

_FULL_WIDTH = 2.35
_LOW_RESOLUTION_OVER = 10


@lru_cache(maxsize=1)
def jitter(shape: tuple[int, ...]) -> np.ndarray:
    """The noise, under 0.001 pixel, by which CellProfiler makes maxima of a distance transform unique."""
    return np.random.RandomState(0).uniform(0, 0.001, shape)


def smooth_for_seeds(image: np.ndarray, settings: Settings) -> np.ndarray:
    """Image smoothed by a Gaussian that is cut off at about one standard deviation.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
    settings : Settings

    Returns
    -------
    ndarray of float32, shape (H, W)
    """
    size: float | None = settings.seed_smoothing
    if size is None:
        size = _FULL_WIDTH * settings.min_diameter / 3.5
    if size == 0:
        return image
    kernel = _kernel(size)
    return (convolve(image, kernel) / _weight(image.shape, size)).astype(np.float32)


def _kernel(size: float) -> np.ndarray:
    sigma, half = size / _FULL_WIDTH, max(int(size / 2), 1)
    offsets = np.arange(-half, half + 1)
    return 1 / np.sqrt(2 * np.pi) / sigma * np.exp(-0.5 * offsets**2 / sigma**2)


@lru_cache(maxsize=1)
def _weight(shape: tuple[int, ...], size: float) -> np.ndarray:
    return convolve(np.ones(shape), _kernel(size))


def find_seeds(height: np.ndarray, regions: np.ndarray, settings: Settings) -> np.ndarray:
    """Number the local maxima of a height within labelled regions.

    Parameters
    ----------
    height : ndarray of float, shape (H, W)
        Distances or smoothed intensities.
    regions : ndarray of int32, shape (H, W)
        Maxima are sought in each region by itself.
    settings : Settings

    Returns
    -------
    ndarray of int32, shape (H, W)
        0, or the number of the seed.
    """
    if settings.low_resolution and settings.min_diameter > _LOW_RESOLUTION_OVER:
        maxima = _maxima_at_low_resolution(height, regions, settings)
    else:
        distance = settings.min_diameter / 1.5 if settings.suppression is None else settings.suppression
        maxima = local_maxima(height, regions, _disk(distance))
    return label(shrink(maxima))[0]


def _maxima_at_low_resolution(height: np.ndarray, regions: np.ndarray, settings: Settings) -> np.ndarray:
    """Local maxima on the grid on which the smallest object is 10 pixels wide, brought back by cubic interpolation."""
    scale = _LOW_RESOLUTION_OVER / settings.min_diameter
    distance = 7 if settings.suppression is None else settings.suppression * scale + 0.5
    grid = np.mgrid[0 : height.shape[0] * scale, 0 : height.shape[1] * scale] / scale
    coarse = ndimage.map_coordinates(height, grid)
    maxima = local_maxima(coarse, ndimage.map_coordinates(regions, grid, order=0), _disk(distance))
    back = np.mgrid[0 : height.shape[0], 0 : height.shape[1]] / (height.shape[0] / maxima.shape[0])
    return ndimage.map_coordinates(maxima.astype(float), back) > 0.5


def _disk(distance: float) -> np.ndarray:
    """Offsets within a suppression distance, but not 0; nearest first, so that most pixels are dismissed early."""
    radius = max(1, distance - 0.5)
    reach = int(radius)
    i, j = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    squared = i * i + j * j
    nearest = np.argsort(squared, kind="stable")
    nearest = nearest[(squared[nearest] <= radius * radius) & (squared[nearest] > 0)]
    return np.stack((i, j), axis=1)[nearest]


@njit(cache=True, nogil=True)
def local_maxima(height: np.ndarray, regions: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Pixels of a region that are positive and that no pixel of the same region, at these offsets, exceeds."""
    rows, columns = height.shape
    maxima = np.zeros(height.shape, np.bool_)
    for i in range(rows):
        for j in range(columns):
            region, here = regions[i, j], height[i, j]
            if region == 0 or here <= 0:
                continue
            highest = True
            for k in range(len(offsets)):
                y, x = i + offsets[k, 0], j + offsets[k, 1]
                if 0 <= y < rows and 0 <= x < columns and height[y, x] > here and regions[y, x] == region:
                    highest = False
                    break
            maxima[i, j] = highest
    return maxima


def shrink(mask: np.ndarray) -> np.ndarray:
    """Shrink each 8-connected blob to a point, or to a ring when it has a hole (CellProfiler's binary_shrink)."""
    points = np.pad(mask, 1)
    _shrink(points, _removable())
    return points[1:-1, 1:-1]


# The eight neighbours, clockwise from the row above: NW, N, NE, E, SE, S, SW, W.
_RING = np.array(((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)))


@lru_cache(maxsize=1)
def _removable() -> np.ndarray:
    """For each of the four passes and each pattern of neighbours on, whether the pixel between them goes."""
    on = (np.arange(256)[:, None] >> np.arange(8)) & 1 == 1
    one_run = (on & ~np.roll(on, 1, axis=1)).sum(axis=1) == 1
    passes = []
    for turn in range(0, 8, 2):
        nw, _, _, e, se, s, _, w = (on[:, (k + turn) % 8] for k in range(8))
        passes.append(one_run & ((w & ~e) | (nw & ~e & ~s & ~se)))
    return np.array(passes)


@njit(cache=True, nogil=True)
def _shrink(points: np.ndarray, removable: np.ndarray) -> None:
    """Remove pixels in place, pass by pass, until none is removable; each pass decides before it removes."""
    pixels = np.argwhere(points)
    doomed = np.zeros(len(pixels), np.bool_)
    changed = True
    while changed:
        changed = False
        for table in removable:
            for n in range(len(pixels)):
                i, j = pixels[n]
                pattern = 0
                for k in range(8):
                    pattern |= points[i + _RING[k, 0], j + _RING[k, 1]] << k
                doomed[n] = points[i, j] and table[pattern]
            for n in range(len(pixels)):
                if doomed[n]:
                    points[pixels[n][0], pixels[n][1]] = False
                    changed = True
