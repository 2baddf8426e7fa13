"""Windows that fit a field, for predictions that no paper's row is made of: a field of BBBC039 is one of them, not four tiles.

Tiles overlap as the paper has it: four of 512x512 px compute 1.05 Mpx for a field of 0.36.
"""

import math
from collections.abc import Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from harness.method import tiles

LARGEST = 1152 * 1152  # px in a window: what bounds the memory of the network
STEP = 16  # px, what sides are multiples of: the network halves them four times
MARGIN = 64  # px around what a window decides; see docs/your-own-data.md for what a smaller one changes


class Window(NamedTuple):
    """A part of a field, as rows and columns of it.

    Attributes
    ----------
    seen : (slice, slice)
        What the network is shown.
    decided : (slice, slice)
        What its answer is taken for: no two windows decide the same pixel.
    """

    seen: tuple[slice, slice]
    decided: tuple[slice, slice]

    @property
    def inside(self) -> tuple[slice, slice]:
        """`decided` in the coordinates of `seen`."""
        return tuple(slice(d.start - s.start, d.stop - s.start) for s, d in zip(self.seen, self.decided, strict=True))  # type: ignore[return-value]


def cover(shape: tuple[int, ...], largest: int = LARGEST, margin: int = MARGIN) -> list[Window]:
    """The windows that decide a field with the fewest pixels computed, row by row.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the field in px.
    largest : int
        Pixels in a window at most, as far as its margins and `STEP` allow.
    margin : int
        Context in px beyond what a window decides, where the field goes on; a multiple of `STEP`.

    Examples
    --------
    A field of BBBC039, and one that is too large for one window:

    >>> [window.seen for window in cover((520, 696))]
    [(slice(0, 520, None), slice(0, 696, None))]
    >>> for window in cover((512, 3000)):
    ...     print(window.seen[1], window.decided[1])
    slice(0, 1568, None) slice(0, 1504, None)
    slice(1440, 3000, None) slice(1504, 3000, None)
    """
    side = max(STEP, math.isqrt(largest) - 2 * margin)
    counts = [range(1, math.ceil(length / side) + 1) for length in shape]
    spans = [[_spans(length, count, margin) for count in of_axis] for length, of_axis in zip(shape, counts, strict=True)]
    fitting = [pair for pair in product(*spans) if _longest(pair[0]) * _longest(pair[1]) <= largest]
    rows, columns = min(fitting or [(spans[0][-1], spans[1][-1])], key=lambda pair: _computed(pair[0]) * _computed(pair[1]))
    return [Window((y[0], x[0]), (y[1], x[1])) for y in rows for x in columns]


def _spans(length: int, count: int, margin: int) -> list[tuple[slice, slice]]:
    """What each of some windows sees and decides along an axis; all of it begins at multiples of `STEP`."""
    edges = [round(edge / STEP) * STEP for edge in np.linspace(0, length, count + 1)[:-1]] + [length]
    return [
        (slice(max(0, start - margin), min(length, stop + margin)), slice(start, stop))
        for start, stop in pairwise(edges)
        if start < stop
    ]


def padded(length: int) -> int:
    """The next multiple of `STEP`."""
    return -(-length // STEP) * STEP


def _longest(spans: list[tuple[slice, slice]]) -> int:
    return max(padded(seen.stop - seen.start) for seen, _ in spans)


def _computed(spans: list[tuple[slice, slice]]) -> int:
    return sum(padded(seen.stop - seen.start) for seen, _ in spans)


def normalised(image: np.ndarray, seen: list[tuple[slice, slice]], size: int = tiles.SIZE) -> Iterator[np.ndarray]:
    """Parts of a field for the network: normalised as its tiles would be, padded by reflection to multiples of `STEP`.

    A network has learned from tiles of which each is normalised by its own mean and standard deviation. So a window is shown
    the normalised tiles, put together as `harness.method.tiles.stitch_bands` puts their answers together. What it is shown
    does not depend on where it ends.

    Parameters
    ----------
    image : (H, W) ndarray
        Intensities.
    seen : list of (slice, slice)
        The parts.
    size : int
        Side of a tile in px.

    Yields
    ------
    (h, w) float32 ndarray
        Of each part.
    """
    rows, columns = (_shares(length, size) for length in image.shape)  # (H, R), (W, C)
    lines = np.array([_line(tile) for tile in tiles.windows(image, size)])  # (R C, 2)
    slope, offset = lines.T.reshape(2, rows.shape[1], columns.shape[1])  # (R, C) each
    for y, x in seen:
        below, across = rows[y], columns[x].T
        part = image[y, x] * (below @ slope @ across) - below @ offset @ across
        yield np.pad(part.astype(np.float32), [(0, padded(length) - length) for length in part.shape], mode="reflect")


def _line(tile: np.ndarray) -> tuple[float, float]:
    """Slope and offset of `harness.method.tiles.normalise`: what a grey value is multiplied by, what is then taken away."""
    mean, deviation = tile.mean(dtype=np.float64), tile.std(dtype=np.float64)
    slope = 1 / deviation if deviation > 0 else 1.0
    return slope, mean * slope


def _shares(length: int, size: int) -> np.ndarray:
    """How much each row (column) of tiles weighs at each pixel of an axis, (length, tiles): 1 in all."""
    starts = [corner[0] for corner in tiles.tile_corners((length, 1), size)]
    places = np.arange(length)[:, None] - np.array(starts)  # (length, tiles)
    weights = np.minimum(places + 1, size - places).clip(min=0)
    return weights / weights.sum(axis=1, keepdims=True)
