"""Tiles that stay on the device: a training step is told which ones, and takes, turns and learns from them there."""

import keras
import numpy as np
from keras import ops

from harness.method import tiles
from harness.network.loss import LOSSES

AT_ONCE = 50


class Resident(keras.Model):
    """A network together with the tiles that it learns from and is validated on.

    Its input says which: (B, 2) int32, tile and orientation as in `harness.method.tiles.orient`. To `fit` it is given (B, K, 2):
    the K steps are one dispatch.

    Parameters
    ----------
    network : keras.Model
        From (B, S, S, 1) normalised tiles to (B, S, S, 3) class probabilities.
    tile_sets : list of TileSet
        Their tiles are numbered through, and normalised.
    loss : str
        One of `harness.network.loss.LOSSES`.
    """

    def __init__(self, network, tile_sets, loss):
        super().__init__()
        self.segmentation_loss = LOSSES[loss]
        self.network = network
        self.images = self._on_device("float32", [tile_set.images for tile_set in tile_sets], _normalised)
        self.class_maps = self._on_device("uint8", [tile_set.class_maps for tile_set in tile_sets], np.asarray)
        self.built = True

    def _on_device(self, dtype, arrays, prepared):
        """Part by part: what is handed over at once, TensorFlow holds three times meanwhile."""
        parts = (array[start : start + AT_ONCE] for array in arrays for start in range(0, len(array), AT_ONCE))
        stored = ops.concatenate([ops.convert_to_tensor(prepared(part)) for part in parts])
        return self.add_weight(
            shape=stored.shape, dtype=dtype, initializer=lambda *_, **__: stored, trainable=False, autocast=False
        )

    def call(self, examples, training=None):
        """Class probabilities of (tile, orientation) pairs."""
        return self.network(_taken(self.images, examples)[..., None], training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The segmentation loss and the L2 terms; the class maps are those that the input says."""
        return ops.sum([self.segmentation_loss(_taken(self.class_maps, x), y_pred), *self.losses])

    if keras.backend.backend() == "jax":

        def train_step(self, state, data):
            """Several steps in one dispatch."""
            return _scanned(super().train_step, state, data[0])

        def test_step(self, state, data):
            """Several steps in one dispatch."""
            return _scanned(super().test_step, state, data[0])
    else:

        def train_step(self, data):
            """Several steps in one dispatch."""
            return _looped(super().train_step, data[0])

        def test_step(self, data):
            """Several steps in one dispatch."""
            return _looped(super().test_step, data[0])


def _normalised(images):
    return np.stack([tiles.normalise(image) for image in images])


def _taken(stored, examples):
    """Tiles by index, each in its orientation; selects rather than branches, so that a batch may be spread over devices."""
    taken, orientation = ops.take(stored, examples[:, 0], axis=0), examples[:, 1][:, None, None]
    taken = ops.where(orientation >= 4, ops.flip(taken, 2), taken)
    taken = ops.where(orientation % 4 >= 2, ops.flip(taken, (1, 2)), taken)
    return ops.where(orientation % 2 == 1, ops.rot90(taken, 1, (1, 2)), taken)


def _scanned(step, state, examples):
    def next_step(state, chosen):
        logs, state = step(state, (chosen,))
        return state, logs

    state, logs = ops.scan(next_step, state, ops.swapaxes(examples, 0, 1))
    return {name: values[-1] for name, values in logs.items()}, state


def _looped(step, examples):
    if examples.shape[1] == 1:
        return step((examples[:, 0],))
    return {"loss": ops.fori_loop(0, examples.shape[1], lambda k, _: step((examples[:, k],))["loss"], ops.zeros(()))}
