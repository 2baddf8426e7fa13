"""The benchmark, here and, where HARNESS_CELLPROFILER_PYTHON names its Python, beside the real CellProfiler."""

import os
import sys

import numpy as np
import pytest

from harness.apps.benchmarks.classical import HERE, TOGETHER, benchmark
from harness.core.errors import HarnessError
from harness.sources.classical import CONFIGURATIONS


def _field():
    random = np.random.RandomState(4)
    return (random.normal(150, 10, (60, 60)) + 600 * np.kron(np.eye(3), np.ones((20, 20)))).astype(np.uint16)


def test_every_configuration_and_all_together_are_timed():
    timings = benchmark([_field()], repeats=1)
    assert [timing.configuration for timing in timings] == [*CONFIGURATIONS, TOGETHER]
    assert all(timing.program == HERE and timing.seconds > 0 and timing.equal is None for timing in timings)


def test_beside_the_real_one():
    python = os.environ.get("HARNESS_CELLPROFILER_PYTHON")
    if not python:
        pytest.skip("HARNESS_CELLPROFILER_PYTHON is not set: it names a Python that has CellProfiler")
    real = benchmark([_field()], repeats=1, interpreter=python)[len(CONFIGURATIONS) + 1 :]
    assert [timing.configuration for timing in real] == [*CONFIGURATIONS, TOGETHER]
    assert all("CellProfiler" in timing.program and timing.equal == 1 for timing in real)


def test_a_python_without_cellprofiler_is_refused():
    with pytest.raises(HarnessError, match="neither"):
        benchmark([_field()], repeats=1, interpreter=sys.executable)


def test_what_is_no_python_is_refused(tmp_path):
    with pytest.raises(HarnessError, match="cannot be run"):
        benchmark([_field()], repeats=1, interpreter=tmp_path / "python")


def test_no_fields_are_refused():
    with pytest.raises(HarnessError, match="no image"):
        benchmark([])
