"""Tiles that stay on the device: a training step is told which ones, and takes, turns and learns from them there."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import KerasTensor, ops

from harness.method import tiles
from harness.network.loss import LOSSES

if TYPE_CHECKING:
    from harness.network.training import TileSet

AT_ONCE = 50


class Resident(keras.Model):
    """A network together with the tiles that it learns from and is validated on.

    Its input says which: (B, 2) int32, tile and orientation (0 to 3: quarter turns counter-clockwise, 4 to 7: the same after a
    flip left to right). To `fit` it is given (B, K, 2): the K steps are one dispatch.

    Parameters
    ----------
    network : keras.Model
        From (B, S, S, 1) normalised tiles to (B, S, S, 3) class probabilities.
    tile_sets : list of TileSet
        Their tiles are numbered through, and normalised.
    loss : str
        One of `harness.network.loss.LOSSES`.
    """

    def __init__(self, network: keras.Model, tile_sets: Sequence["TileSet"], loss: str) -> None:
        super().__init__()
        self.segmentation_loss = LOSSES[loss]
        self.network = network
        self.images = self._on_device("float32", [tile_set.images for tile_set in tile_sets], _normalised)
        self.class_maps = self._on_device("uint8", [tile_set.class_maps for tile_set in tile_sets], np.asarray)
        self.built = True

    def _on_device(self, dtype: str, arrays: list[np.ndarray], prepared: Callable[[np.ndarray], np.ndarray]) -> keras.Variable:
        """Part by part: what is handed over at once, TensorFlow holds three times meanwhile."""
        parts = (array[start : start + AT_ONCE] for array in arrays for start in range(0, len(array), AT_ONCE))
        stored = ops.concatenate([ops.convert_to_tensor(prepared(part)) for part in parts])  # (N, S, S)
        return self.add_weight(
            shape=stored.shape, dtype=dtype, initializer=lambda *_, **__: stored, trainable=False, autocast=False
        )

    def call(self, examples: KerasTensor, training: bool | None = None) -> KerasTensor:
        """Class probabilities, (B, S, S, 3), of (B, 2) pairs of tile and orientation."""
        images = _taken(self.images, examples)  # (B, S, S)
        return self.network(images[..., None], training=training)  # (B, S, S, 3)

    def compute_loss(
        self,
        x: KerasTensor | None = None,
        y: None = None,
        y_pred: KerasTensor | None = None,
        sample_weight: None = None,
        training: bool = True,
    ) -> KerasTensor:
        """The segmentation loss and the L2 terms; the class maps are those that the input says."""
        y_true = _taken(self.class_maps, x)  # (B, S, S)
        return ops.sum([self.segmentation_loss(y_true, y_pred), *self.losses])

    def train_step(self, *inputs: Any) -> Any:
        """Several steps in one dispatch."""
        return _several(super().train_step, *inputs)

    def test_step(self, *inputs: Any) -> Any:
        """Several steps in one dispatch."""
        return _several(super().test_step, *inputs)


def _normalised(images: np.ndarray) -> np.ndarray:
    return np.stack([tiles.normalise(image) for image in images])


def _taken(stored: keras.Variable, examples: KerasTensor) -> KerasTensor:
    """Tiles by index, each in its orientation; selects rather than branches, so that a batch may be spread over devices."""
    taken, orientation = ops.take(stored, examples[:, 0], axis=0), examples[:, 1][:, None, None]  # (B, S, S), (B, 1, 1)
    taken = ops.where(orientation >= 4, ops.flip(taken, 2), taken)
    taken = ops.where(orientation % 4 >= 2, ops.flip(taken, (1, 2)), taken)
    return ops.where(orientation % 2 == 1, ops.rot90(taken, 1, (1, 2)), taken)


def _scanned(step: Callable[..., tuple[dict, tuple]], state: tuple, examples: KerasTensor) -> tuple[dict, tuple]:
    def next_step(state: tuple, chosen: KerasTensor) -> tuple[tuple, dict]:
        logs, state = step(state, chosen)
        return state, logs

    state, logs = ops.scan(next_step, state, ops.swapaxes(examples, 0, 1))  # over (K, B, 2); each of the logs is (K,)
    return {name: values[-1] for name, values in logs.items()}, state


def _looped(step: Callable[..., dict], examples: KerasTensor) -> dict:
    if examples.shape[1] == 1:
        return step(examples[:, 0])
    return {"loss": ops.fori_loop(0, examples.shape[1], lambda k, _: step(examples[:, k])["loss"], ops.zeros(()))}


# On JAX a step is given the state of everything that changes, and gives it back.
_several: Callable[..., Any] = _scanned if keras.backend.backend() == "jax" else _looped
