"""What the harness does by parts or on a device, done at once with NumPy."""

import numpy as np

from harness.method import tiles


def orient(tile: np.ndarray, orientation: int) -> np.ndarray:
    """One of the 8 flips and rotations of a square tile (the symmetries of the square).

    Parameters
    ----------
    tile : (S, S) ndarray
    orientation : int
        0 to 3: quarter turns counter-clockwise; 4 to 7: the same after a flip left to right.

    Returns
    -------
    (S, S) ndarray
    """
    flipped = tile[:, ::-1] if orientation >= 4 else tile
    return np.rot90(flipped, orientation % 4)


def stitch(cut: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The whole field at once."""
    return np.concatenate(list(tiles.stitch_bands(cut, shape, cut.shape[1])))
