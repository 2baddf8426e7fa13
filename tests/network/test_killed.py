import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.integration
TOY = Path(__file__).with_name("toy.py")


def begin(folder, epochs):
    settings = json.dumps({"epochs": epochs, "steps_per_epoch": 2})
    return subprocess.Popen([sys.executable, TOY, "train", folder, settings], stdout=subprocess.PIPE, text=True)


def final_state(folder, epochs):
    """Every array that a training leaves at its end, to which it is let go on."""
    said, _ = begin(folder, epochs).communicate()
    assert said.endswith("ended\n")
    state = folder / f"epoch-{epochs:03d}"
    return {f"{name} {key}": array for name in ("weights", "optimiser") for key, array in np.load(state / f"{name}.npz").items()}


def kill(folder, epochs, steps, share):
    """Kill a training that has done so many steps, after a share of the time that its last epoch took, or its beginning."""
    process, moments = begin(folder, epochs), [time.perf_counter()]
    for expected in ["begun", *steps * ["step"]]:
        assert process.stdout.readline().strip() == expected
        moments.append(time.perf_counter())
    time.sleep(share * (moments[-1] - moments[-3 if steps else 0]))
    process.kill()
    after, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL and "ended" not in after, "the training was over before it was killed"


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_with_the_same_bits(kills, tmp_path, chance):
    """In a step, in a validation, while a state is written; after no step also while it starts or restores."""
    epochs = 8 * kills
    for steps in [3, *chance.choices([0, 3, 4, 5, 6], k=kills - 1)]:
        kill(tmp_path / "killed", epochs, steps, chance.uniform(0, 1))
    assert list((tmp_path / "killed").glob("epoch-*")), "no kill came after an epoch"
    expected, found = (final_state(tmp_path / folder, epochs) for folder in ("whole", "killed"))
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
