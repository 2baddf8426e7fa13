"""Training: the only place that knows Keras' training loop.

A training that was stopped, in whatever way, goes on from its last whole epoch with the same bits as one that was not.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from harness.core import clock
from harness.method import tiles
from harness.method.classmap import IGNORE
from harness.network import backend, states
from harness.network.loss import of_one_answer
from harness.network.resident import Resident
from harness.network.unet import unet

STEPS_PER_DISPATCH = 50
CALMER = "a profile with a smaller learning rate, or more warm-up, may hold it"
COLLAPSED = 3  # times its smallest validation loss: more than overfitting does, less than seeing background alone
JUDGED_FROM = 100  # steps of a training; a shorter one is not expected to learn


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
    """How much a network is trained, and how it is computed; the fields are those of `experiments/profiles.toml`."""

    epochs: int
    steps_per_epoch: int
    batch: int
    learning_rate: float
    decay: str
    warmup_steps: int
    validation_tiles: int
    augmented_validation: bool
    threads: int
    precision: str


class Moment(NamedTuple):
    """Where a training stands: epoch and step (from 1), mean loss of the epoch so far, tiles per second, seconds left."""

    epoch: int
    step: int
    loss: float
    tiles_per_second: float
    seconds_left: float


def train(
    training: TileSet,
    validation: TileSet,
    schedule: Schedule,
    network: dict[str, int],
    seed: int,
    folder: str | Path,
    loss: str = "log-dice",
    on_epoch: Callable[[dict], object] | None = None,
    on_step: Callable[[Moment], object] | None = None,
    say: Callable[[str], object] = print,
) -> tuple[keras.Model, list[dict]]:
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
        Where the state of this training lives; see `harness.network.states`.
    loss : str
        One of `harness.network.loss.LOSSES`; the paper's when left out.
    on_epoch, on_step : callable, optional
        Called after every epoch with its history record, and after every dispatch of steps with a `Moment`.
    say : callable
        Is told when a damaged state was set aside.

    Returns
    -------
    model : keras.Model
        With the weights of the best epoch; for prediction, without optimiser and loss.
    history : list of dict
        Per epoch: epoch, loss, val_loss (both with the L2 terms, as Keras reports them), learning_rate, and
        seconds of the epoch: on the wall, of its training steps alone, of processor time, of other processes' meanwhile;
        and the device it was computed on.

    Raises
    ------
    HarnessError
        Another process is training into the same folder.
    FloatingPointError
        A loss is no finite number any more (the epochs before it are kept), or the training has collapsed: its last validation
        loss is over `COLLAPSED` times its smallest, as of a network that has come to see background alone; or the smallest is
        no smaller than that of one answer for all pixels.
    """
    folder = Path(folder)
    backend.settle(schedule.threads)
    backend.share_batches(schedule.batch)
    with states.claimed(folder):
        model, optimiser = prepared(schedule, network, seed, size=training.images.shape[1])
        history = states.finished(folder, schedule.epochs) or states.restore(folder, model, optimiser, say)
        if len(history) < schedule.epochs:
            keeper = _Keeper(folder, model, schedule, history, on_epoch, on_step)
            _fit(model, optimiser, training, validation, schedule, seed, loss, keeper)
        _check_end(history, validation, schedule, loss)
        states.load_best(folder, model, history)
    model.jit_compile = backend.compiles_by_xla()
    return model, history


def _check_end(history: list[dict], validation: TileSet, schedule: Schedule, loss: str) -> None:
    """The best epoch of a training that collapsed was hardly trained: to be told, not to be averaged with others."""
    best, last = states.best(history), history[-1]
    if last["val_loss"] > COLLAPSED * best["val_loss"] > 0:
        raise FloatingPointError(
            f"the training collapsed: validation loss {last['val_loss']:.3g} in its last epoch, {best['val_loss']:.3g} in epoch "
            f"{best['epoch']}; {CALMER}"
        )
    if schedule.epochs * schedule.steps_per_epoch < JUDGED_FROM:
        return
    alike = of_one_answer(_validated_pixels(validation, schedule), loss)
    if best["val_loss"] >= alike:
        raise FloatingPointError(
            f"the training learned nothing: its smallest validation loss is {best['val_loss']:.3g}, and {alike:.3g} that of the "
            f"best single answer for all pixels; {CALMER}"
        )


def _validated_pixels(validation: TileSet, schedule: Schedule) -> np.ndarray:
    """Pixels of each class in each batch of validation, (M, 3)."""
    seen = validation_examples(len(validation.images), schedule)[:, 0]
    pixels = np.stack([np.bincount(tile.ravel(), minlength=IGNORE + 1)[:IGNORE] for tile in validation.class_maps])  # (N, 3)
    return pixels[seen].reshape(-1, schedule.batch, IGNORE).sum(axis=1)


def prepared(
    schedule: Schedule, network: dict[str, int], seed: int, size: int | None = None
) -> tuple[keras.Model, keras.Optimizer]:
    """The U-Net with its initial weights, and Adam with the profile's learning rate, built for it."""
    model = unet(**network, seed=seed, size=size, precision=schedule.precision)
    optimiser = keras.optimizers.Adam(_learning_rate(schedule))
    optimiser.build(model.trainable_variables)
    return model, optimiser


def _learning_rate(schedule: Schedule) -> float | keras.optimizers.schedules.LearningRateSchedule:
    if schedule.decay == "constant":
        return schedule.learning_rate
    steps = schedule.epochs * schedule.steps_per_epoch
    return keras.optimizers.schedules.CosineDecay(
        0.0 if schedule.warmup_steps else schedule.learning_rate,
        steps - schedule.warmup_steps,
        warmup_target=schedule.learning_rate if schedule.warmup_steps else None,
        warmup_steps=schedule.warmup_steps,
    )


def _fit(
    model: keras.Model,
    optimiser: keras.Optimizer,
    training: TileSet,
    validation: TileSet,
    schedule: Schedule,
    seed: int,
    loss: str,
    keeper: "_Keeper",
) -> None:
    count, batch, steps, done = len(training.images), schedule.batch, schedule.steps_per_epoch, len(keeper.history)
    learned = example_order(count, done * steps * batch, (schedule.epochs - done) * steps * batch, seed)  # (M, 2)
    validated = validation_examples(len(validation.images), schedule)  # (M, 2)
    seen, validated[:, 0] = np.unique(validated[:, 0], return_inverse=True)
    validation = TileSet(validation.images[seen], validation.class_maps[seen])
    validated[:, 0] += count
    on_device(model, optimiser, training, validation, loss=loss).fit(
        dispatches(learned, batch, steps),
        batch_size=batch,
        steps_per_epoch=steps // per_dispatch(steps),
        initial_epoch=done,
        epochs=schedule.epochs,
        validation_data=dispatches(validated, batch, len(validated) // batch),
        validation_batch_size=batch,
        callbacks=[keeper],
        shuffle=False,
        verbose=0,
    )


def on_device(model: keras.Model, optimiser: keras.Optimizer, *tile_sets: TileSet, loss: str = "log-dice") -> Resident:
    """A network ready to `fit` on tiles that stay on the device; see `harness.network.resident.Resident`.

    Parameters
    ----------
    model : keras.Model
    optimiser : keras.Optimizer
    *tile_sets : TileSet
        Their tiles are numbered through.
    loss : str
        One of `harness.network.loss.LOSSES`.
    """
    learner = Resident(model, tile_sets, loss)
    learner.compile(optimiser, jit_compile=backend.compiles_by_xla())
    return learner


def per_dispatch(steps: int) -> int:
    """How many of an epoch's steps are one call of the device: on a GPU the calls would cost more than the steps."""
    return math.gcd(steps, STEPS_PER_DISPATCH) if backend.on_gpu() else 1


def dispatches(examples: np.ndarray, batch: int, steps: int) -> Any:
    """Examples as `Resident.fit` takes them in batches of `batch`: those of K steps are one dispatch.

    Parameters
    ----------
    examples : (M, 2) ndarray
        Tile and orientation, in the order of the steps; M is a multiple of `batch * per_dispatch(steps)`.
    batch : int
        B, tiles a step.
    steps : int
        Steps of an epoch.

    Returns
    -------
    tf.data.Dataset or ndarray
        Of (M / K, K, 2) int32; see `harness.network.backend.batches`.
    """
    at_once = per_dispatch(steps)
    chosen = examples.reshape(-1, at_once, batch, 2).swapaxes(1, 2).reshape(-1, at_once, 2)  # (M / K, K, 2)
    return backend.batches(chosen.astype(np.int32), batch)


def validation_examples(count: int, schedule: Schedule) -> np.ndarray:
    """Tiles and orientations that a training is validated on: (M, 2) ints, M a multiple of the batch.

    Unless augmented, the tiles are evenly spread over the split; as many as the profile asks for. A last batch that is not
    full is filled up from the beginning.
    """
    if schedule.augmented_validation:
        chosen = [(tile, turn) for tile in range(count) for turn in range(tiles.ORIENTATIONS)]
    else:
        wanted = min(schedule.validation_tiles or count, count)
        chosen = [(tile, 0) for tile in np.linspace(0, count - 1, wanted).round().astype(int)]
    return np.resize(chosen, (math.ceil(len(chosen) / schedule.batch) * schedule.batch, 2))


def example_order(count: int, first: int, length: int, seed: int) -> np.ndarray:
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
    return examples[skipped : skipped + length]


def _one_pass(count: int, number: int, seed: int) -> np.ndarray:
    order = np.random.default_rng([seed, 2, number]).permutation(count)  # (count,)
    rounds, turn = divmod(number, tiles.ORIENTATIONS)
    every = np.tile(np.arange(tiles.ORIENTATIONS), (count, 1))
    orientations = np.random.default_rng([seed, 3, rounds]).permuted(every, axis=1)  # (count, 8)
    return np.stack([order, orientations[order, turn]], axis=1)  # (count, 2)


class _Keeper(keras.callbacks.Callback):
    """Writes the state after every epoch, and tells how far a training is."""

    async_safe = True  # else Keras would wait for the device after every dispatch

    def __init__(
        self,
        folder: Path,
        network: keras.Model,
        schedule: Schedule,
        history: list[dict],
        on_epoch: Callable[[dict], object] | None,
        on_step: Callable[[Moment], object] | None,
    ) -> None:
        super().__init__()
        self.folder, self.network, self.schedule, self.history = folder, network, schedule, history
        self.on_epoch, self.on_step = on_epoch, on_step

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.began, self.before = time.perf_counter(), len(self.history) * self.schedule.steps_per_epoch
        self.at_once = per_dispatch(self.schedule.steps_per_epoch)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch_began = clock.read()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Where validation begins, the last step is done: the device may work ahead of what it is told."""
        keras.ops.convert_to_numpy(self.model.optimizer.iterations)
        self.trained = time.perf_counter() - self.epoch_began.wall

    def on_train_batch_end(self, batch: int, logs: dict) -> None:
        if not self.on_step:
            return
        now, schedule = time.perf_counter(), self.schedule
        step = (batch + 1) * self.at_once
        done = len(self.history) * schedule.steps_per_epoch + step
        left = (schedule.epochs * schedule.steps_per_epoch - done) * (now - self.began) / (done - self.before)
        self.on_step(
            Moment(len(self.history) + 1, step, float(logs["loss"]), step * schedule.batch / (now - self.epoch_began.wall), left)
        )

    def on_epoch_end(self, epoch: int, logs: dict) -> None:
        spent = clock.since(self.epoch_began)
        record: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": float(logs["loss"]),
            "val_loss": float(logs["val_loss"]),
            "learning_rate": float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)),
            "seconds": spent.wall,
            "train_seconds": round(self.trained, 3),  # without validation
            "cpu_seconds": spent.cpu,
            "other_seconds": spent.others,
            "device": backend.device(),  # a training may be taken up on another machine
        }
        if not math.isfinite(record["loss"] + record["val_loss"]):
            raise FloatingPointError(
                f"the training diverged: loss {record['loss']}, validation {record['val_loss']} in epoch {epoch + 1}; {CALMER}"
            )
        self.history.append(record)
        states.save(self.folder, self.network, self.model.optimizer, self.history)
        if self.on_epoch:
            self.on_epoch(record)
