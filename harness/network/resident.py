"""Tiles that stay on the device: a training step is told which ones, and takes, turns and learns from them there."""

import keras
from keras import ops

from harness.network.loss import dice_loss


class Resident(keras.Model):
    """A network together with the tiles that it learns from and is validated on.

    Its input says which: (B, 2) int32, tile and orientation as in `harness.tiles.orient`. To `fit` it is given (B, K, 2):
    the K steps are one dispatch.

    Parameters
    ----------
    network : keras.Model
        From (B, S, S, 1) normalised tiles to (B, S, S, 3) class probabilities.
    images : (N, S, S) float32 ndarray
        Normalised.
    class_maps : (N, S, S) uint8 ndarray
    """

    def __init__(self, network, images, class_maps):
        super().__init__()
        self.network = network
        self.images, self.class_maps = (
            self.add_weight(shape=array.shape, dtype=array.dtype.name, trainable=False, autocast=False,
                            initializer=lambda shape, dtype, array=array: ops.convert_to_tensor(array))
            for array in (images, class_maps))
        self.built = True

    def call(self, examples, training=None):
        return self.network(_taken(self.images, examples)[..., None], training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of the paper and the L2 terms; the class maps are those that the input says."""
        return ops.sum([dice_loss(_taken(self.class_maps, x), y_pred), *self.losses])

    if keras.backend.backend() == "jax":
        def train_step(self, state, data):
            return _scanned(super().train_step, state, data[0])

        def test_step(self, state, data):
            return _scanned(super().test_step, state, data[0])
    else:
        def train_step(self, data):
            return _looped(super().train_step, data[0])

        def test_step(self, data):
            return _looped(super().test_step, data[0])


def _taken(tiles, examples):
    """Tiles by index, each in its orientation; selects rather than branches, so that a batch may be spread over devices."""
    taken, orientation = ops.take(tiles, examples[:, 0], axis=0), examples[:, 1][:, None, None]
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
