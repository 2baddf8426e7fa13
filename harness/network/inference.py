"""A trained network applied to whole fields."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from harness.method import tiles

if TYPE_CHECKING:
    import keras

TILES_AT_ONCE = 16


def tiles_at_once() -> int:
    """How many tiles are predicted together: a CPU gains nothing from more than one."""
    from harness.network.backend import on_gpu

    return TILES_AT_ONCE if on_gpu() else 1


def side_of(model: "keras.Model") -> int:
    """Side in px of the tiles that a network was trained on; `tiles.SIZE` where it takes any."""
    return model.input_shape[1] or tiles.SIZE


def predict_field(model: "keras.Model", image: np.ndarray, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Class maps of a field's tiles, and of the whole field stitched from them.

    Probabilities are held for one row of tiles at a time, class maps for the field.

    Parameters
    ----------
    model : keras.Model
        From normalised tiles to class probabilities.
    image : (H, W) ndarray
        Intensities as stored; fields smaller than a tile are padded by reflection.
    size : int, optional
        Side of a tile in px; that of the network when left out.

    Returns
    -------
    tile_maps : (N, size, size) uint8 ndarray
        Class map of each tile, as the paper scores them; in the order of `tiles.tile_corners`.
    field_map : (H, W) uint8 ndarray
        Class map of the field, from the blended probabilities.
    """
    tile_maps, size = [], size or side_of(model)

    def probabilities() -> Iterator[np.ndarray]:
        windows = tiles.windows(image, size)
        while batch := list(islice(windows, tiles_at_once())):
            normalised = np.stack([tiles.normalise(tile) for tile in batch])[..., None]  # (B, S, S, 1)
            for y_pred in np.asarray(model.predict_on_batch(normalised)):  # (S, S, 3)
                tile_maps.append(_class_map(y_pred))
                yield y_pred

    bands = tiles.stitch_bands(probabilities(), image.shape, size)  # (h, W, 3) each
    field_map = np.concatenate([_class_map(band) for band in bands])  # (H, W)
    return np.stack(tile_maps), field_map  # (N, S, S), (H, W)


def _class_map(y_pred: np.ndarray) -> np.ndarray:
    return y_pred.argmax(-1).astype(np.uint8)
