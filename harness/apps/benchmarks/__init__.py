"""How long each stage takes here: medians over repeats, side by side in one run."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.method import tiles

if TYPE_CHECKING:  # the network is timed where no data set can be opened, too
    from harness.datasets import DataSet

PARTS = ("classical", "scoring", "train", "infer", "segment")
NETWORK: dict[str, int] = {}  # the widths that the U-Net has when none are given


class Measured(NamedTuple):
    """One line of the benchmark: what was timed, per what, the seconds it took (median), and what else is to say."""

    what: str
    per: str
    seconds: float
    note: str = ""


def time_classical(dataset: "DataSet", fields: int, interpreter: Path | None = None) -> list[Measured]:
    """Seconds of processor time per field for each configuration, for the four together, and for half contrast of one's labels.

    Parameters
    ----------
    dataset : DataSet
    fields : int
        How many test fields are timed.
    interpreter : path-like, optional
        A Python that has the real CellProfiler, timed on the same fields.
    """
    from harness.apps.benchmarks.classical import benchmark, refinement

    images = [dataset.read_image(name) for name in dataset.splits["test"][:fields]]
    return [
        Measured(
            f"{timing.program} {timing.configuration}"
            + ("" if timing.equal is None else f", {timing.equal} of {len(images)} label images equal"),
            "field",
            timing.seconds,
        )
        for timing in [*benchmark(images, interpreter=interpreter), refinement(images)]
    ]


def time_scoring(dataset: "DataSet", fields: int) -> list[Measured]:
    """Post-processing of a field, and scoring it by each protocol; see `time_classical` for the parameters."""
    from harness.method.classmap import class_map
    from harness.method.postprocess import nuclei_from_class_map
    from harness.scoring import metrics

    nuclei = (dataset.read_nuclei(name) for name in dataset.splits["test"][:fields])
    truths = [labels for labels in nuclei if labels is not None]
    maps = [class_map(truth) for truth in truths]
    found = [nuclei_from_class_map(classes) for classes in maps]
    corners = tiles.tile_corners(truths[0].shape)
    windows = [np.s_[y : y + tiles.SIZE, x : x + tiles.SIZE] for y, x in corners]
    return [
        Measured("class map", "field", _median(class_map, truths)),
        Measured("post-processing", "field", _median(nuclei_from_class_map, maps)),
        Measured(
            "scoring, protocol paper",
            "field",
            _median(
                lambda pair: [metrics.match(pair[0][w], pair[1][w], "paper") for w in windows],
                list(zip(truths, found, strict=True)),
            ),
        ),
        Measured(
            "scoring, protocol equal",
            "field",
            _median(lambda pair: metrics.match(pair[0], pair[1], "equal"), list(zip(truths, found, strict=True))),
        ),
    ]


def time_training() -> list[Measured]:
    """Tiles per second of the training loop, alone and side by side, against plain `Model.fit`."""
    from harness.apps.benchmarks.network import training

    paces, share = training(NETWORK, tiles.SIZE)
    return [
        Measured(
            f"training, {pace.name}",
            "tile",
            1 / pace.tiles_per_second,
            f"{pace.tiles_per_second:.2f} tiles/s, {pace.times_plain:.2f} times plain"
            + (f", {share:.0%} of the peak of a float32 matrix product" if pace.name == "this loop" else ""),
        )
        for pace in paces
    ]


def time_inference() -> list[Measured]:
    """Inference of a 512x512 tile, as the harness does it."""
    from harness.apps.benchmarks.network import inference

    return [Measured("inference", "tile", inference(NETWORK, tiles.SIZE))]


def time_segmenting(dataset: "DataSet", fields: int) -> list[Measured]:
    """A field through tiles, as rows are predicted, and through windows, as `segment` predicts; see `time_classical`."""
    from harness.apps.benchmarks.network import segmenting

    images = [dataset.read_image(name) for name in dataset.splits["test"][:fields]]
    return [
        Measured(f"prediction, {way.name}", "field", way.seconds, f"{way.cpu:.3f} s of processor time, {said}")
        for way in segmenting(NETWORK, tiles.SIZE, images)
        for said in [f"{way.faster:.2f} times as fast as tiles, {way.cheaper:.2f} times in processor time"]
    ]


def _median(function, arguments):
    return float(np.median([_timed(function, argument) for argument in arguments]))


def _timed(function, argument):
    started = time.perf_counter()
    function(argument)
    return time.perf_counter() - started
