"""How long the classical stage takes a field, beside the real CellProfiler on the same fields."""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from harness.core.errors import HarnessError
from harness.sources.classical import reference
from harness.sources.classical.primary_objects import grey, identify_all
from harness.sources.classical.settings import CONFIGURATIONS, Settings
from harness.sources.classical.thresholds import threshold
from harness.sources.outlines import outlines_at

HERE = "harness"
TOGETHER = "all together"
SHAPE_INTENSITY = ("shape/intensity",)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Timing:
    """Time of one program for one configuration.

    Attributes
    ----------
    program : str
        "harness", or the name and version of the real one.
    configuration : str
        Or "all together".
    seconds : float
        Of processor time per field, which other work on the machine changes little: the mean over the fields of the
        fastest repeat.
    equal : int or None
        Fields whose label images are equal to the harness's; None for the harness itself.
    """

    program: str
    configuration: str
    seconds: float
    equal: int | None = None


def benchmark(images, configurations=CONFIGURATIONS, settings=Settings(), repeats=3, interpreter=None):
    """Time the configurations on some fields, one by one and together, on one thread.

    Parameters
    ----------
    images : sequence of ndarray, each (H, W)
    configurations : sequence of str
    settings : Settings
        With version 3.1.9 the real one is given its threshold, so that the labels can be compared.
    repeats : int
    interpreter : path, optional
        A Python that has CellProfiler 4.2.8 or the library of CellProfiler 5; it is timed on the same fields.

    Returns
    -------
    list of Timing

    Raises
    ------
    HarnessError
        No images, or the interpreter has no CellProfiler or fails.
    """
    if not len(images):
        raise HarnessError("the benchmark of the classical stage got no image: name a data set with at least one field")
    labels = [identify_all(image, configurations, settings) for image in images]  # compiles, too
    timings = [
        Timing(HERE, name, _seconds(images, chosen, settings, repeats))
        for name, chosen in [*((name, (name,)) for name in configurations), (TOGETHER, configurations)]
    ]
    if interpreter is not None:
        timings += _real(images, labels, configurations, settings, repeats, interpreter)
    return timings


def refinement(images, repeats=3):
    """Time the step half-contrast on the labels of shape/intensity, without these; a Timing."""
    (of,) = SHAPE_INTENSITY
    labels = [identify_all(image, SHAPE_INTENSITY, Settings())[of] for image in images]
    steps = [partial(outlines_at, 0.5, 0.12, *each) for each in zip(images, labels, strict=True)]
    return Timing(HERE, f"half contrast of {of}", float(np.mean([_fastest(step, repeats) for step in steps])))


def _seconds(images, configurations, settings, repeats):
    return float(np.mean([_fastest(partial(identify_all, image, configurations, settings), repeats) for image in images]))


def _fastest(function, repeats):
    return min(_timed(function) for _ in range(repeats))


def _timed(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def _real(images, labels, configurations, settings, repeats, interpreter):
    """Timings of the real one; its configurations share nothing, so that together they take their sum."""
    answer = run_reference(images, configurations, settings, interpreter, repeats)
    program, seconds = str(answer["program"]), answer["seconds"].mean(axis=0)
    equal = np.array(
        [[np.array_equal(answer[f"labels_{i}_{name}"], labels[i][name]) for name in configurations] for i in range(len(images))]
    )
    timings = [Timing(program, *one) for one in zip(configurations, seconds.tolist(), equal.sum(axis=0).tolist(), strict=True)]
    return [*timings, Timing(program, TOGETHER, float(seconds.sum()), int(equal.all(axis=1).sum()))]


def run_reference(images, configurations, settings, interpreter, repeats=1):
    """Label images by the real CellProfiler; see `harness.sources.classical.reference` for what the answer holds.

    Returns
    -------
    dict of str to ndarray
    """
    images = [grey(image) for image in images]
    thresholds = [threshold(image, settings) if settings.version == "3.1.9" else None for image in images]
    request = {"configurations": list(configurations), "settings": asdict(settings), "thresholds": thresholds, "repeats": repeats}
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "request.npz"), Path(folder, "answer.npz")
        np.savez(asked, request=json.dumps(request), **{f"image_{i}": image for i, image in enumerate(images)})
        _call(interpreter, reference.__file__, asked, answered)
        with np.load(answered) as stored:
            return dict(stored)


def _call(*command):
    try:
        done = subprocess.run(
            list(map(str, command)), env={**os.environ, **_ONE_THREAD}, capture_output=True, check=False, text=True
        )
    except OSError as error:
        raise HarnessError(f"{command[0]} cannot be run as a Python that has CellProfiler: {error.strerror}") from None
    if done.returncode:
        last = (done.stderr.strip() or "no message").splitlines()[-1]
        raise HarnessError(f"CellProfiler did not run with {command[0]}: {last}")
