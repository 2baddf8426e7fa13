import json
import subprocess
import sys

import numpy as np
import pytest

from harness.apps import benchmarks as bench
from harness.apps.benchmarks import network as training_bench
from harness.apps.benchmarks.network import operations_per_step
from harness.datasets import DataSet


def test_every_part_is_timed_on_this_machine(harness):
    code, out, err = harness("bench", "scoring", "classical", "--fields", 1, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["machine"]["cores"].isdigit() and said["machine"]["numpy"]
    what = [line["what"] for line in said["measured"]]
    assert "post-processing" in what and {"harness shape/intensity", "harness half contrast of shape/intensity"} <= set(what)
    assert all(line["seconds"] > 0 for line in said["measured"])


@pytest.fixture
def small(monkeypatch):
    """Tiles and a network that take no time."""
    monkeypatch.setattr(bench.tiles, "SIZE", 32)
    monkeypatch.setattr(bench, "NETWORK", {"base": 2, "last": 2})


def test_inference_is_timed_by_the_tile(small, backend):
    (line,) = bench.time_inference()
    assert (line.what, line.per) == ("inference", "tile") and line.seconds > 0


def test_windows_take_turns_with_tiles(small, backend, monkeypatch):
    monkeypatch.setattr("harness.network.inference.precision", lambda: "bfloat16")
    images = {name: np.random.default_rng(index).integers(0, 4096, (40, 52)) for index, name in enumerate("ab")}
    lines = bench.time_segmenting(DataSet("small", "", {"test": ("a", "b")}, images.get, lambda _: None), 2)
    assert [line.what.split(", ", 1)[1] for line in lines] == ["tiles, float32", "windows, float32", "windows, bfloat16"]
    assert all(line.per == "field" and line.seconds > 0 for line in lines)
    assert "1.00 times as fast as tiles, 1.00 times" in lines[0].note


@pytest.mark.integration
def test_training_is_timed_by_the_tile(small, monkeypatch):
    loops = list(training_bench._loops(2, gpu=False))
    assert [loop.rows for loop in loops] == [1, 1, 2, 2] and [loop.threads for loop in loops] == [2, 2, 1, 1]
    monkeypatch.setattr(training_bench, "_loops", lambda *_: [loops[0], loops[-1]])
    measured = bench.time_training()
    what = [line.what for line in measured]
    assert what[:2] == ["training, plain Keras Model.fit", "training, this loop"]
    assert "training, 2 rows side by side, a thread each, bfloat16" in what
    assert all(line.per == "tile" and line.seconds > 0 for line in measured)
    assert "of the peak" in measured[1].note and "times plain" in measured[2].note


def test_operations_of_a_step_are_those_of_its_convolutions(backend):
    """Pixels and kernels of the smallest network on 32x32 px by hand, a transposed one counted by the pixels it reads."""
    by_hand = {
        1024: [9 * 1 * 2, 9 * 2 * 2, 9 * 4 * 2, 9 * 2 * 2, 2 * 3],
        256: [9 * 2 * 4, 9 * 4 * 4, 9 * 8 * 4, 9 * 4 * 4, 4 * 4 * 2],
        64: [9 * 4 * 8, 9 * 8 * 8, 9 * 16 * 8, 9 * 8 * 8, 4 * 8 * 4],
        4: [9 * 16 * 32, 9 * 32 * 32, 4 * 32 * 16],
        16: [9 * 8 * 16, 9 * 16 * 16, 9 * 32 * 16, 9 * 16 * 16, 4 * 16 * 8],
    }
    forward = sum(2 * pixels * sum(kernels) for pixels, kernels in by_hand.items())
    assert operations_per_step({"base": 2, "last": 2}, 32) == 3 * forward - 2 * 1024 * 9 * 2


def test_the_network_is_timed_where_no_data_set_can_be_opened_and_nothing_tracked():
    """On a machine with a GPU that is lent for minutes there are Keras, JAX, NumPy, psutil, typer and rich alone."""
    asked = (
        "import sys, harness.cli, harness.apps.benchmarks.network\n"
        "print(sorted({'mlflow', 'tensorflow', 'pydantic', 'pooch', 'skimage', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_part_is_refused(harness):
    code, _, err = harness("bench", "everything")
    assert code == 2 and "no benchmark 'everything'; there is classical" in err
