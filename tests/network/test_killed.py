import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

TOY = Path(__file__).with_name("toy.py")
SETTINGS = '{"epochs": 30, "steps_per_epoch": 2}'


def begin(folder):
    process = subprocess.Popen([sys.executable, TOY, "train", folder, SETTINGS], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


def final_state(folder):
    state = folder / "epoch-030"
    return {f"{name} {key}": array for name in ("weights", "optimiser") for key, array in np.load(state / f"{name}.npz").items()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The final state of a training that nobody killed, and the seconds it took."""
    folder = tmp_path_factory.mktemp("whole")
    started = time.perf_counter()
    assert begin(folder).wait() == 0
    return final_state(folder), time.perf_counter() - started


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_with_the_same_bits(kills, uninterrupted, tmp_path):
    expected, seconds = uninterrupted
    moments = random.Random(os.urandom(8))
    for _ in range(kills):
        process = begin(tmp_path)
        time.sleep(moments.uniform(0, seconds * 2 / kills))
        process.kill()
        process.wait()
    assert begin(tmp_path).wait() == 0
    found = final_state(tmp_path)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
