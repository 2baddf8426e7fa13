"""Fields cut into tiles, and tiles put together again.

The paper (section 2.1) crops each field into four windows of 512x512 px and uses every flip and rotation of them. Fields
that are smaller than that have smaller tiles, see `side_for`.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

SIZE = 512
STEP = 16  # the network halves a tile four times
ORIENTATIONS = 8


def side_for(shapes: Iterable[tuple[int, ...]]) -> int:
    """Side of the tiles of some fields: the paper's, or, where every field is smaller, just enough for the largest.

    Padding costs as much time as pixels do, and tells the network nothing new.

    Parameters
    ----------
    shapes : iterable of tuple of int
        Height and width of each field in px; no more are asked for once one is too large.

    Returns
    -------
    int
        Px; a multiple of `STEP`, `SIZE` at most.

    Examples
    --------
    >>> side_for([(256, 256), (256, 320)]), side_for([(360, 360)]), side_for([(520, 696)])
    (320, 368, 512)
    """
    longest = 0
    for shape in shapes:
        longest = max(longest, *shape)
        if longest > SIZE - STEP:
            return SIZE
    return math.ceil(longest / STEP) * STEP or SIZE


def tile_corners(shape: tuple[int, ...], size: int = SIZE) -> list[tuple[int, int]]:
    """Corners of the fewest evenly spaced windows that cover a field.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the field in px.
    size : int
        Side of the square window in px.

    Returns
    -------
    list of (int, int)
        Row and column of each window's first pixel, row by row. A side shorter than the window gets the single corner 0.

    Examples
    --------
    The four windows of the paper, and a field smaller than one:

    >>> tile_corners((520, 696))
    [(0, 0), (0, 184), (8, 0), (8, 184)]
    >>> tile_corners((300, 600))
    [(0, 0), (0, 88)]
    """
    rows, columns = (_starts(length, size) for length in shape)
    return [(row, column) for row in rows for column in columns]


def _starts(length: int, size: int) -> list[int]:
    count = math.ceil(length / size)
    return [round(start) for start in np.linspace(0, max(length - size, 0), count)]


def cut(field: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Cut a field into its tiles; fields smaller than a tile are padded by reflection.

    Parameters
    ----------
    field : (H, W) ndarray
        Image, label image or class map.
    size : int
        Side of a tile in px.

    Returns
    -------
    (N, size, size) ndarray
        Copies of the windows at `tile_corners`, of the field's dtype.

    Examples
    --------
    The windows overlap; a side that is too short is padded by reflection:

    >>> cut(np.array([[1, 2, 3], [4, 5, 6]]), size=2)
    array([[[1, 2],
            [4, 5]],
    <BLANKLINE>
           [[2, 3],
            [5, 6]]])
    >>> cut(np.array([[1, 2, 3]]), size=3)[0]
    array([[1, 2, 3],
           [1, 2, 3],
           [1, 2, 3]])
    """
    return np.stack(list(windows(field, size)))


def windows(field: np.ndarray, size: int = SIZE) -> Iterator[np.ndarray]:
    """The tiles of `cut` one by one, as views of the field."""
    padding = [(0, max(size - length, 0)) for length in field.shape]
    padded = np.pad(field, padding, mode="reflect") if np.any(padding) else field
    return (padded[y : y + size, x : x + size] for y, x in tile_corners(field.shape, size))


def normalise(tile: np.ndarray) -> np.ndarray:
    """Subtract a tile's own mean and divide by its own standard deviation.

    Parameters
    ----------
    tile : (H, W) ndarray
        Intensities of any real dtype.

    Returns
    -------
    (H, W) float32 ndarray
        Mean 0 and standard deviation 1; all zeros where the tile is constant.

    Examples
    --------
    >>> normalise(np.array([[100, 100], [300, 300]], dtype=np.uint16))
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    """
    centred = tile.astype(np.float64) - tile.mean(dtype=np.float64)
    deviation = centred.std()
    return (centred / deviation if deviation > 0 else centred).astype(np.float32)


def stitch_bands(tiles: Iterable[np.ndarray], shape: tuple[int, ...], size: int = SIZE) -> Iterator[np.ndarray]:
    """Blend the overlapping tiles of a field, giving away the rows that are done: no more is held than a row of tiles.

    Each tile weighs least at its rim, where the network sees the least context, so no seam shows where it ends.

    Parameters
    ----------
    tiles : iterable of (size, size, C) ndarray
        (S, S, C) each, values per pixel and channel, in the order of `tile_corners`; asked for when they are needed.
    shape : tuple of int
        Height and width of the field in px.
    size : int
        Side of a tile in px.

    Yields
    ------
    (h, W, C) float32 ndarray
        The next rows of the field: the weighted mean of the tiles that cover a pixel.

    Examples
    --------
    A tile of zeros and one of ones, which overlap by two columns:

    >>> (band,) = stitch_bands([np.zeros((4, 4, 1)), np.ones((4, 4, 1))], (4, 6), size=4)
    >>> band[0, :, 0].round(2)
    array([0.  , 0.  , 0.33, 0.67, 1.  , 1.  ], dtype=float32)
    """
    rows, columns = (_starts(length, size) for length in shape)
    ramp = np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)).astype(np.float32)
    weight = np.outer(ramp, ramp)[..., None]  # (size, size, 1)
    tiles = iter(tiles)
    first = next(tiles)
    total = np.zeros((size, max(shape[1], size), first.shape[2] + 1), np.float32)  # the last channel is the weight
    tiles = chain([first], tiles)
    for y, below in zip(rows, [*rows[1:], shape[0]], strict=True):
        for x, tile in zip(columns, tiles, strict=False):
            total[:, x : x + size, :-1] += tile * weight
            total[:, x : x + size, -1:] += weight
        done = below - y
        yield total[:done, : shape[1], :-1] / total[:done, : shape[1], -1:]
        total = np.concatenate([total[done:], np.zeros_like(total[:done])])
