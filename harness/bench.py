"""How long each stage takes here: medians over repeats, side by side in one run."""

import time
from typing import NamedTuple

import numpy as np

from harness import metrics, tiles
from harness.classmap import class_map
from harness.postprocess import nuclei_from_class_map

PARTS = ("classical", "scoring", "train", "infer")


class Measured(NamedTuple):
    """One line of the benchmark: what was timed, per what, and the seconds it took (median)."""

    what: str
    per: str
    seconds: float


def classical(dataset, fields, interpreter=None):
    """Seconds of processor time per field for each configuration, and for the four together, on one thread.

    Parameters
    ----------
    dataset : DataSet
    fields : int
        How many test fields are timed.
    interpreter : path-like, optional
        A Python that has the real CellProfiler, timed on the same fields.
    """
    from harness.classical.bench import benchmark

    images = [dataset.read_image(name) for name in dataset.splits["test"][:fields]]
    return [Measured(f"{timing.program} {timing.configuration}"
                     + ("" if timing.equal is None else f", {timing.equal} of {len(images)} label images equal"),
                     "field", timing.seconds) for timing in benchmark(images, interpreter=interpreter)]


def scoring(dataset, fields):
    """Post-processing of a field, and scoring it by each protocol; see `classical` for the parameters."""
    truths = [dataset.read_nuclei(name) for name in dataset.splits["test"][:fields]]
    maps = [class_map(truth) for truth in truths]
    found = [nuclei_from_class_map(classes) for classes in maps]
    corners = tiles.tile_corners(truths[0].shape)
    windows = [np.s_[y:y + tiles.SIZE, x:x + tiles.SIZE] for y, x in corners]
    return [
        Measured("class map", "field", _median(class_map, truths)),
        Measured("post-processing", "field", _median(nuclei_from_class_map, maps)),
        Measured("scoring, protocol paper", "field", _median(
            lambda pair: [metrics.match(pair[0][w], pair[1][w], "paper") for w in windows],
            list(zip(truths, found, strict=True)))),
        Measured("scoring, protocol equal", "field", _median(
            lambda pair: metrics.match(*pair, "equal"), list(zip(truths, found, strict=True))))]


def train(network, steps=10):
    """A training step of one 512x512 tile: this loop, and plain `Model.fit` fed with arrays that are ready.

    Parameters
    ----------
    network : dict
        Widths of the U-Net.
    steps : int
        Steps a repeat; three repeats, after one that compiles.
    """
    import keras

    from harness.network.training import Examples, Schedule, TileSet, compiled, example_order

    rng = np.random.default_rng(0)
    shape = (steps, tiles.SIZE, tiles.SIZE)
    tile_set = TileSet(rng.integers(0, 4096, shape).astype(np.uint16), rng.integers(0, 3, shape).astype(np.uint8))
    model = compiled(Schedule(1, steps, 1, 1e-5, "constant", 0, 1, False), network, 0, tiles.SIZE)
    ours = Examples(tile_set, lambda epoch: example_order(steps, 0, steps, 0), 1)
    ready = [ours[index] for index in range(steps)]

    class Ready(keras.utils.PyDataset):
        def __len__(self):
            return steps

        def __getitem__(self, index):
            return ready[index]

    def fit(batches):
        model.fit(batches, verbose=0, shuffle=False)

    fit(ours)
    turns = [[_timed(fit, batches) / steps for batches in (ours, Ready())] for _ in range(3)]
    own, plain = np.median(turns, axis=0)
    return [Measured("training step", "tile", float(own)),
            Measured("training step, plain Model.fit", "tile", float(plain))]


def infer(network, repeats=5):
    """Inference of one 512x512 tile; `network` holds the widths of the U-Net."""
    from harness.network.training import compiles_by_xla
    from harness.network.unet import unet

    model = unet(**network, size=tiles.SIZE)
    model.jit_compile = compiles_by_xla()
    tile = np.random.default_rng(0).standard_normal((1, tiles.SIZE, tiles.SIZE, 1)).astype(np.float32)
    model.predict_on_batch(tile)
    return [Measured("inference", "tile", _median(model.predict_on_batch, [tile] * repeats))]


def _median(function, arguments):
    return float(np.median([_timed(function, argument) for argument in arguments]))


def _timed(function, argument):
    started = time.perf_counter()
    function(argument)
    return time.perf_counter() - started
