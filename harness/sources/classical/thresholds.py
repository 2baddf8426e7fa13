"""The global minimum-cross-entropy threshold, as CellProfiler 3.1.9 and 4 find it (Li and Tam 1998).

Both iterate `s <- (b - f) / (ln b - ln f)`, with `b` the mean of the pixels up to `s` and `f` that of the others, on
intensities from which their minimum is taken. They differ in where they stop, and 3.1.9 returns a value about
1/256 of the range above the fixed point.

The means come from sums in single precision, pairwise in blocks of 128 within buffers of 8192, as the NumPy of
CellProfiler's time took them. NumPy 2 sums in another order, and one unit in the last place of the threshold is a
pixel now and then.
"""

import numpy as np
from numba import njit

from harness.core.errors import HarnessError
from harness.sources.classical.settings import Settings

_BUFFER, _BLOCK = 8192, 128
_HALF_GREY_LEVEL = 0.5 / 65536


def threshold(image: np.ndarray, settings: Settings) -> float:
    """Threshold of an image, corrected and bounded.

    Parameters
    ----------
    image : ndarray of float32, shape (H, W)
        Intensities on the scale 0 to 1.
    settings : Settings

    Returns
    -------
    float
    """
    values = image.ravel()
    found = _of_logarithms(values) if settings.log_transform else minimum_cross_entropy(values, settings.version)
    lower, upper = settings.bounds
    return float(min(max(found * settings.correction, lower), upper))


def minimum_cross_entropy(values: np.ndarray, version: str) -> float:
    """Minimum-cross-entropy threshold of some pixels, without correction or bounds.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (N,)
    version : {"3.1.9", "4"}

    Returns
    -------
    float
        The common value when all are equal.

    Raises
    ------
    HarnessError
        The values are so large that their sum overflows.
    """
    lowest = values.min()
    with np.errstate(over="ignore"):
        above = values - lowest
    if not above.any():
        return float(lowest)
    if not np.isfinite(mean(above)):
        raise HarnessError(f"image has intensities from {lowest:g} to {values.max():g}, whose sum overflows: scale them to 0..1")
    if version == "3.1.9":
        return _early_stop(above) + float(lowest)
    half_gap = float(np.diff(np.unique(values)).min()) / 2
    return float(_fixed_point(above, max(half_gap, _HALF_GREY_LEVEL)) + lowest)


def _not_in_range(values: np.ndarray) -> HarnessError:
    return HarnessError(
        f"image has intensities up to {values.max():g}, no scale on which a threshold can be found: scale them to 0..1"
    )


def _of_logarithms(values: np.ndarray) -> float:
    """CellProfiler 4's log option: a floor 1/256 of the range above the minimum, then logarithms stretched to 0..1."""
    lowest, highest = float(values.min()), float(values.max())
    floor = lowest + (highest - lowest) / 256 + float(np.finfo(values.dtype).eps)
    if floor <= 0:
        raise HarnessError(
            f"image has intensities down to {lowest:g}, which have no logarithm: "
            "leave log_transform out, or shift the image to start at 0"
        )
    logs = np.log(np.maximum(values, values.dtype.type(floor)))
    least, span = logs.min(), logs.max() - logs.min()
    if span == 0:
        return float(values[0])
    stretched = (logs.astype(np.float64) - float(least)) / (float(logs.max()) - float(least))
    return float(np.exp(minimum_cross_entropy(stretched, "4") * float(span) + float(least)))


def _early_stop(above: np.ndarray) -> float:
    """3.1.9: the tolerance, 1/512 of the range, is also added to every step."""
    tolerance = 0.5 * float(above.max()) / 256
    new = mean(above)
    old = new + 2 * tolerance
    while abs(new - old) > tolerance:
        old = new
        split = old + tolerance
        step = float(_between(*_split_means(above, split)))
        new = step - tolerance if step < 0 else step + tolerance
    return split


def _fixed_point(above: np.ndarray, tolerance: float) -> np.floating:
    """4: iterate until a step is at most half a grey level, or half the smallest gap between values if that is more."""
    new, old = above.dtype.type(mean(above)), -2 * tolerance
    while abs(new - old) > tolerance:
        old = new
        new = _between(*_split_means(above, old))
    return new


def _between(low: np.floating, high: np.floating) -> np.floating:
    """Where the cross entropy is least between two means: their logarithmic mean."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (low - high) / (np.log(low) - np.log(high))


def _split_means(values: np.ndarray, split: float | np.floating) -> tuple[np.floating, np.floating]:
    """Means, in the precision of the values, of those up to `split` and of those above it."""
    as_value = values.dtype.type
    return tuple(map(as_value, _means(values, as_value(split))))


@njit(cache=True, nogil=True)
def _means(values: np.ndarray, split: np.floating) -> tuple[float, float]:
    low, high = np.empty_like(values), np.empty_like(values)
    n_low = n_high = 0
    for value in values:
        low[n_low] = value
        high[n_high] = value
        n_low += value <= split
        n_high += value > split
    return mean(low[:n_low]), mean(high[:n_high])


@njit(cache=True, nogil=True)
def mean(values: np.ndarray) -> float:
    """Mean, rounded to the precision of the values; NaN when there are none."""
    total = np.zeros(1, values.dtype)
    for start in range(0, values.size, _BUFFER):
        total[0] += _pairwise_sum(values[start : start + _BUFFER])
    total[0] = total[0] / values.size if values.size else np.nan
    return total[0]


@njit(cache=True, nogil=True)
def _pairwise_sum(values: np.ndarray) -> float:
    """Halve (at multiples of 8) down to blocks, sum these, and add up sums of equal depth."""
    sums, depths = np.zeros(64, values.dtype), np.zeros(64, np.int64)
    sizes, levels = np.zeros(64, np.int64), np.zeros(64, np.int64)
    sizes[0], waiting, done, start = values.size, 1, 0, 0
    while waiting:
        waiting -= 1
        size, level = sizes[waiting], levels[waiting]
        if size > _BLOCK:
            half = size // 2
            half -= half % 8
            sizes[waiting], sizes[waiting + 1] = size - half, half
            levels[waiting] = levels[waiting + 1] = level + 1
            waiting += 2
            continue
        sums[done], depths[done] = _block_sum(values[start : start + size]), level
        start += size
        while done and depths[done] == depths[done - 1]:
            done -= 1
            sums[done] += sums[done + 1]
            depths[done] -= 1
        done += 1
    return sums[0]


@njit(cache=True, nogil=True)
def _block_sum(values: np.ndarray) -> float:
    """Eight interleaved running sums, added up as a tree; then what is left over."""
    whole = values.size - values.size % 8
    lanes = np.zeros(8, values.dtype)
    for i in range(0, whole, 8):
        for k in range(8):
            lanes[k] += values[i + k]
    total = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
    for i in range(whole, values.size):
        total += values[i]
    return total
