"""A trained network applied to whole fields."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.core.machine import has_bfloat16
from harness.method import tiles, windows
from harness.method.classmap import NUCLEUS

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


# Fields of which nothing is published: fewer pixels, and what the processor does fastest.


class Seen(NamedTuple):
    """What a network sees in a field.

    Attributes
    ----------
    classes : (H, W) uint8 ndarray
        Class map.
    nucleus : (H, W) float16 ndarray
        Probability of class nucleus.
    """

    classes: np.ndarray
    nucleus: np.ndarray


def precision() -> str:
    """What convolutions are computed in fastest here: "bfloat16" where TensorFlow runs on a processor made for it."""
    import keras

    from harness.network.backend import on_gpu

    return "bfloat16" if keras.backend.backend() == "tensorflow" and has_bfloat16() and not on_gpu() else "float32"


def for_windows(model: "keras.Model", precision: str) -> "keras.Model":
    """The same network for images of any size, its convolutions but the last one computed in a precision.

    Parameters
    ----------
    model : keras.Model
        A U-Net as `harness.network.unet.unet` builds it, perhaps of a fixed size.
    precision : str
        "bfloat16", or "float32": as the network is.
    """
    import keras

    def copied(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if precision == "bfloat16" and config.get("kernel_size", (1, 1)) != (1, 1):
            config["dtype"] = "mixed_bfloat16"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, input_tensors=keras.Input((None, None, 1)), clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def predict_windows(model: "keras.Model", image: np.ndarray, largest: int = windows.LARGEST) -> Seen:
    """Class map of a field through windows that fit it, see `harness.method.windows`: close to `predict_field`, not equal.

    Parameters
    ----------
    model : keras.Model
        From `for_windows`.
    image : (H, W) ndarray
        Intensities as stored.
    largest : int
        Pixels in a window at most.

    Returns
    -------
    Seen
    """
    seen = Seen(np.empty(image.shape, np.uint8), np.empty(image.shape, np.float16))
    cover = windows.cover(image.shape, largest)
    for window, part in zip(cover, windows.normalised(image, [each.seen for each in cover]), strict=True):
        y_pred = np.asarray(model.predict_on_batch(part[None, ..., None]))[0][window.inside]  # (h, w, 3)
        seen.classes[window.decided] = _class_map(y_pred)
        seen.nucleus[window.decided] = y_pred[..., NUCLEUS]
    return seen


def _class_map(y_pred: np.ndarray) -> np.ndarray:
    return y_pred.argmax(-1).astype(np.uint8)
