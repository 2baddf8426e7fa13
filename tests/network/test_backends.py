"""The same on JAX as on TensorFlow, and on two devices as on one. JAX runs in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toy import gradients

pytestmark = pytest.mark.integration
TOY = Path(__file__).with_name("toy.py")


def on_jax(*arguments, devices=1):
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    subprocess.run([sys.executable, TOY, *map(str, arguments)], env=environment, check=True)


def trained(folder, epoch):
    with np.load(folder / f"epoch-{epoch:03d}" / "weights.npz") as weights:
        return json.loads((folder / f"epoch-{epoch:03d}" / "history.json").read_text()), dict(weights)


def test_both_backends_give_the_same_loss_and_gradients(tmp_path):
    on_jax("gradients", tmp_path / "jax.npz")
    there = np.load(tmp_path / "jax.npz")
    for name, here in gradients().items():
        scale = np.abs(here).max()
        np.testing.assert_allclose(there[name], here, rtol=1e-4, atol=1e-4 * scale, err_msg=name)


def test_two_devices_learn_what_one_learns(tmp_path):
    settings = json.dumps({"batch": 2, "epochs": 2, "warmup_steps": 0, "decay": "constant", "learning_rate": 1e-3})
    for devices in (1, 2):
        on_jax("train", tmp_path / str(devices), settings, devices=devices)
    (one, weights_of_one), (two, weights_of_two) = (trained(tmp_path / str(devices), 2) for devices in (1, 2))
    assert [record["val_loss"] for record in two] == pytest.approx([record["val_loss"] for record in one], rel=1e-4)
    for name, expected in weights_of_one.items():
        close = np.isclose(weights_of_two[name], expected, rtol=1e-3, atol=1e-4)
        assert close.mean() > 0.999, name  # Adam moves a weight of hardly any gradient by a whole step, as rounding has it


def test_a_training_begun_on_jax_is_a_state_for_tensorflow(tmp_path):
    from toy import NETWORK, schedule, squares

    from harness.network.training import train

    on_jax("train", tmp_path, json.dumps({"epochs": 2}))
    history, _ = trained(tmp_path, 2)
    best = min(history, key=lambda record: record["val_loss"])["epoch"]
    model, taken = train(squares(5), squares(3), schedule(epochs=2), NETWORK, 1, tmp_path)
    assert taken == history
    for index, variable in enumerate(model.variables):
        np.testing.assert_array_equal(np.asarray(variable), trained(tmp_path, best)[1][f"{index:03d}"])
