"""Fields seen through windows by a small U-Net of random weights."""

import numpy as np
import pytest

from harness.method import windows
from harness.method.classmap import NUCLEUS
from harness.method.postprocess import nuclei_from_class_map
from harness.network.inference import for_windows, precision, predict_windows
from harness.network.segmenter import Segmenter
from harness.network.unet import unet

RECEPTIVE = 112  # px: how far the U-Net sees at most, rounded up to a multiple of 16


@pytest.fixture(scope="module")
def network():
    return unet(base=2, last=2, size=64)  # of a fixed size, as trained networks are


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).gamma(2, 200, (300, 410)).astype(np.uint16)


def test_windows_with_enough_around_them_see_what_one_window_sees(backend, network, image, monkeypatch):
    model = for_windows(network, "float32")
    whole = predict_windows(model, image)
    assert whole.classes.shape == image.shape and set(np.unique(whole.classes)) <= {0, 1, 2}
    monkeypatch.setattr(windows.cover, "__defaults__", (windows.LARGEST, RECEPTIVE))
    assert len(windows.cover(image.shape, 290 * 290)) > 2
    parts = predict_windows(model, image, 290 * 290)
    np.testing.assert_allclose(parts.nucleus.astype(float), whole.nucleus.astype(float), atol=2e-3)
    assert (parts.classes != whole.classes).mean() < 1e-4


def test_the_probability_is_that_of_the_class(backend, network, image):
    seen = predict_windows(for_windows(network, "float32"), image)
    assert seen.nucleus[seen.classes == NUCLEUS].min() > 1 / 3 > 0 <= seen.nucleus.min() and seen.nucleus.max() <= 1
    assert (seen.nucleus[seen.classes != NUCLEUS] <= 0.5).all()


def test_bfloat16_is_near_float32_and_leaves_the_network_as_it_was(backend, network, image):
    weights = [weight.copy() for weight in network.get_weights()]
    exact, quick = (predict_windows(for_windows(network, each), image) for each in ("float32", "bfloat16"))
    difference = np.abs(exact.nucleus.astype(float) - quick.nucleus.astype(float))
    assert 0 < difference.max() < 0.2 and difference.mean() < 0.01
    assert all(np.array_equal(*pair) for pair in zip(weights, network.get_weights(), strict=True))
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}


def test_images_of_every_size_are_taken(backend, network):
    model = for_windows(network, "float32")
    for shape in ((1, 1), (5, 70), (16, 16), (33, 17)):
        assert predict_windows(model, np.arange(np.prod(shape)).reshape(shape)).classes.shape == shape


def test_the_model_in_mlflow_makes_the_label_images_of_segment(backend, network, image):
    nuclei = Segmenter(network).predict(image.tolist())
    seen = predict_windows(for_windows(network, precision()), image)
    np.testing.assert_array_equal(nuclei, nuclei_from_class_map(seen.classes))
