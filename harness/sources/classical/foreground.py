"""From an image and its threshold to labelled regions of foreground."""

from functools import lru_cache

import numpy as np

from harness.core.label_images import touching_edge
from harness.sources.classical.components import label_background
from harness.sources.classical.filters import areas, take
from harness.sources.classical.settings import Settings
from harness.sources.classical.smoothing import convolve, gaussian

_SIGMA_OF_SCALE = 1 / 0.6744 / 2


def foreground(image: np.ndarray, threshold: float, settings: Settings) -> np.ndarray:
    """Pixels at or above the threshold after smoothing, small holes filled.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Intensities on the scale 0 to 1.
    threshold : float
    settings : Settings

    Returns
    -------
    ndarray of bool, shape (H, W)
    """
    # At scale 0 version 4 compares the image itself, 3.1.9 its quotient, which lies a rounding error below.
    plain = settings.version == "4" and settings.threshold_smoothing == 0
    mask = (image if plain else smooth(image, settings.threshold_smoothing * _SIGMA_OF_SCALE)) >= threshold
    if settings.fill_holes == "both":
        mask = fill_small_holes(mask, settings.max_diameter**2)
    return mask


def smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian of an image that is zero outside, divided by the same Gaussian of ones.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
    sigma : float
        In pixels.

    Returns
    -------
    ndarray of float64, shape (H, W)
    """
    return convolve(image, gaussian(sigma)) / _weight(image.shape, sigma)


@lru_cache(maxsize=1)
def _weight(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    return convolve(np.ones(shape), gaussian(sigma)) + np.finfo(float).eps


def fill_small_holes(mask: np.ndarray, area: float) -> np.ndarray:
    """Fill 4-connected holes of fewer than `area` pixels that do not touch the image border."""
    holes, count = label_background(mask)
    fill = areas(holes, count + 1) < area
    fill[touching_edge(holes)] = False
    fill[0] = True
    return take(fill, holes)
