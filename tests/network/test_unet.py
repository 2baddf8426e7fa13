import hashlib

import keras
import numpy as np

from harness.experiment.stages import VERSIONS
from harness.network.unet import DROPOUT, glorot_normal, unet


def test_shape_and_size_of_the_paper_network():
    model = unet(size=512)
    assert model.output_shape == (None, 512, 512, 3)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 2 * (2 * len(DROPOUT) + 1) + 1
    assert model.get_layer("bottomb").filters == 256 and model.get_layer("merge0b").filters == 32
    assert [model.get_layer(f"dropout{k}").rate for k in range(4)] == [0.2, 0.25, 0.3, 0.35]


def test_every_kernel_but_the_last_is_regularised_and_selu():
    model = unet(base=2, last=2)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            last = layer.name == "classes"
            assert (layer.kernel_regularizer is None) == last
            activated = layer if last else model.get_layer(f"{layer.name}_selu")
            assert activated.activation.__name__ == ("softmax" if last else "selu")


def test_in_bfloat16_weights_activations_and_probabilities_are_float32():
    model = unet(base=2, last=2, precision="bfloat16")
    assert model.get_layer("down0a").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert model.get_layer("down0a_selu").compute_dtype == model.output.dtype == "float32"
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), unet(base=2, last=2).get_weights(), strict=True))


def test_initial_weights_come_from_the_seed_alone():
    first, same, other = (unet(base=2, last=2, seed=seed).get_weights() for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_each_layer_has_weights_of_its_own():
    model = unet(base=2, last=2)
    assert not np.array_equal(model.get_layer("merge1b").kernel, model.get_layer("down1b").kernel)


def test_glorot_normal_has_its_deviation_and_is_truncated():
    kernel = glorot_normal((3, 3, 64, 64), np.random.default_rng(0))
    expected = np.sqrt(2 / (9 * 128))
    assert abs(kernel.std() / expected - 1) < 0.01
    assert np.abs(kernel).max() <= 2 * expected / 0.8796256610342398 * 1.0001


def test_golden():
    """Raise the version of `network` when this moves on purpose: it covers the initial weights."""
    weights = unet(base=2, last=2, seed=3).get_weights()
    digest = hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest()[:16]
    assert (VERSIONS["network"], digest) == (1, "62e56974ca0f32b4")
