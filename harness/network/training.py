"""Training: the only place that knows Keras' training loop.

The state of a training is a folder `epoch-NNN` (weights, optimiser, history) that appears whole or not at all, so a
training that was stopped goes on from the last whole epoch with the same bits as one that was not.
"""

import json
import math
import os
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from harness import tiles
from harness.network.loss import dice_loss
from harness.network.unet import unet


class TileSet(NamedTuple):
    """Tiles to learn from or to validate on.

    Attributes
    ----------
    images : (N, S, S) ndarray
        Intensities as stored.
    class_maps : (N, S, S) uint8 ndarray
        0 background, 1 nucleus, 2 separation, 3 ignored.
    """

    images: np.ndarray
    class_maps: np.ndarray


class Schedule(NamedTuple):
    """How much a network is trained; the fields are those of `experiments/profiles.toml`."""

    epochs: int
    steps_per_epoch: int
    batch: int
    learning_rate: float
    decay: str
    warmup_steps: int
    validation_tiles: int
    augmented_validation: bool


def example_order(count, first, length, seed):
    """Tiles and orientations of a stretch of training.

    Every pass visits each tile once in a new order; over eight passes each tile comes in each of its eight flips and
    rotations once, so eight passes are the paper's epoch of 8 x 400 tiles. Order and orientation have streams of
    their own, and both depend on the position alone, so training can go on from anywhere.

    Parameters
    ----------
    count : int
        Number of tiles.
    first, length : int
        Position of the first example and number of examples.
    seed : int

    Returns
    -------
    (length, 2) int ndarray
        Tile index and orientation (0 to 7) of each example.
    """
    passes = range(first // count, (first + length - 1) // count + 1)
    examples = np.concatenate([_one_pass(count, number, seed) for number in passes])
    skipped = first - passes[0] * count
    return examples[skipped:skipped + length]


def _one_pass(count, number, seed):
    order = np.random.default_rng([seed, 2, number]).permutation(count)
    rounds, turn = divmod(number, tiles.ORIENTATIONS)
    every = np.tile(np.arange(tiles.ORIENTATIONS), (count, 1))
    orientations = np.random.default_rng([seed, 3, rounds]).permuted(every, axis=1)
    return np.stack([order, orientations[order, turn]], axis=1)


class Examples(keras.utils.PyDataset):
    """Batches of normalised tiles with their class maps, in a given order.

    Parameters
    ----------
    tile_set : TileSet
    order : callable
        From an epoch's number to the (M, 2) tile indices and orientations of that epoch.
    batch : int
        Tiles a step.
    """

    def __init__(self, tile_set, order, batch):
        super().__init__()
        self.tile_set, self.order, self.batch = tile_set, order, batch
        self.start(0)

    def start(self, epoch):
        """Make `epoch` the one whose batches are handed out."""
        self.examples = self.order(epoch)

    def __len__(self):
        return math.ceil(len(self.examples) / self.batch)

    def __getitem__(self, index):
        chosen = self.examples[index * self.batch:(index + 1) * self.batch]
        images = [tiles.orient(tiles.normalise(self.tile_set.images[t]), o) for t, o in chosen]
        class_maps = [tiles.orient(self.tile_set.class_maps[t], o) for t, o in chosen]
        return np.stack(images)[..., None], np.stack(class_maps)


def train(training, validation, schedule, network, seed, folder, on_epoch=None):
    """Train a U-Net, or go on with a training that was stopped, and keep the epoch with the smallest validation loss.

    Parameters
    ----------
    training, validation : TileSet
    schedule : Schedule
    network : dict
        Widths of the U-Net: `base`, `last`.
    seed : int
        Seed of the initial weights, order, orientations and dropout; each has a stream of its own.
    folder : path-like
        Where the state of this training lives.
    on_epoch : callable, optional
        Called after every epoch with its history record.

    Returns
    -------
    model : keras.Model
        With the weights of the best epoch; for prediction, without optimiser and loss.
    history : list of dict
        Per epoch: epoch, loss, val_loss (both with the L2 terms, as Keras reports them), learning_rate, seconds.
    """
    keras.utils.set_random_seed(seed)
    model = compiled(schedule, network, seed, size=training.images.shape[1])
    state = _State(Path(folder), on_epoch)
    done = state.restore(model)
    if done < schedule.epochs:
        per_epoch = schedule.steps_per_epoch * schedule.batch
        batches = Examples(training, lambda epoch: example_order(
            len(training.images), epoch * per_epoch, per_epoch, seed), schedule.batch)
        batches.start(done)
        state.batches = batches
        model.fit(batches, validation_data=_validation(validation, schedule), initial_epoch=done,
                  epochs=schedule.epochs, callbacks=[state], shuffle=False, verbose=0)
    best = unet(**network, seed=seed, size=training.images.shape[1])
    best.jit_compile = compiles_by_xla()
    _load(best.variables, state.best_weights())
    return best, state.history


def compiled(schedule, network, seed, size=None):
    """Build the U-Net ready to train: Adam, the loss of the paper, the profile's learning rate."""
    _settle_backend()
    model = unet(**network, seed=seed, size=size)
    optimiser = keras.optimizers.Adam(_learning_rate(schedule))
    model.compile(optimiser, loss=dice_loss, jit_compile=compiles_by_xla())
    optimiser.build(model.trainable_variables)
    return model


def compiles_by_xla():
    """XLA is left out on TensorFlow: on a CPU it is several times slower than the rest of TensorFlow."""
    return keras.backend.backend() == "jax"


def _settle_backend():
    """Same seeds, same bits."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def _learning_rate(schedule):
    if schedule.decay == "constant":
        return schedule.learning_rate
    steps = schedule.epochs * schedule.steps_per_epoch
    return keras.optimizers.schedules.CosineDecay(
        0.0 if schedule.warmup_steps else schedule.learning_rate, steps - schedule.warmup_steps,
        warmup_target=schedule.learning_rate if schedule.warmup_steps else None,
        warmup_steps=schedule.warmup_steps)


def _validation(validation, schedule):
    """Unless augmented, the tiles are evenly spread over the split; as many as the profile asks for."""
    count = len(validation.images)
    if schedule.augmented_validation:
        chosen = [(tile, turn) for tile in range(count) for turn in range(tiles.ORIENTATIONS)]
    else:
        wanted = min(schedule.validation_tiles or count, count)
        chosen = [(tile, 0) for tile in np.linspace(0, count - 1, wanted).round().astype(int)]
    return Examples(validation, lambda epoch: np.array(chosen), schedule.batch)


class _State(keras.callbacks.Callback):
    """Writes the state after every epoch: the last one to go on from, the best one to use."""

    def __init__(self, folder, on_epoch):
        super().__init__()
        self.folder, self.on_epoch, self.batches, self.history = folder, on_epoch, None, []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        record = {"epoch": epoch + 1, "loss": float(logs["loss"]), "val_loss": float(logs["val_loss"]),
                  "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
                  "seconds": round(time.perf_counter() - self.started, 3)}
        self.history.append(record)
        self._write()
        self.batches.start(epoch + 1)
        if self.on_epoch:
            self.on_epoch(record)

    def _write(self):
        whole = self._epoch_folder(len(self.history))
        partial = whole.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _save(partial / "weights.npz", self.model.variables)
        _save(partial / "optimiser.npz", self.model.optimizer.variables)
        (partial / "history.json").write_text(json.dumps(self.history))
        os.replace(partial, whole)
        for folder in self._whole_epochs()[:-2]:
            if folder != self._epoch_folder(self._best_epoch()):
                shutil.rmtree(folder)

    def restore(self, model):
        """Load the last whole epoch, if there is one; returns how many epochs are done."""
        whole = self._whole_epochs()
        if not whole:
            return 0
        _load(model.variables, whole[-1] / "weights.npz")
        _load(model.optimizer.variables, whole[-1] / "optimiser.npz")
        self.history = json.loads((whole[-1] / "history.json").read_text())
        return len(self.history)

    def best_weights(self):
        return self._epoch_folder(self._best_epoch()) / "weights.npz"

    def _best_epoch(self):
        return min(self.history, key=lambda record: record["val_loss"])["epoch"]

    def _epoch_folder(self, epoch):
        return self.folder / f"epoch-{epoch:03d}"

    def _whole_epochs(self):
        return sorted(folder for folder in self.folder.glob("epoch-*") if not folder.suffix)


def _save(path, variables):
    with path.open("wb") as file:
        np.savez(file, **{f"{i:03d}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)})
        file.flush()
        os.fsync(file.fileno())


def _load(variables, path):
    with np.load(path) as arrays:
        for index, variable in enumerate(variables):
            variable.assign(arrays[f"{index:03d}"])
