"""Intensities and settings that nobody would think of end in label images or in one line, soon and in little memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harness.core.errors import HarnessError
from harness.sources.classical import Settings
from harness.sources.classical.primary_objects import identify_all

SQUARE = np.zeros((40, 40))
SQUARE[10:30, 10:30] = 1


def labelled_or_refused(image, **chosen):
    """Label images, or the line that says why there are none."""
    try:
        return identify_all(image, settings=Settings(**chosen)), ""
    except HarnessError as error:
        return {}, str(error)


@pytest.mark.parametrize("largest", [1e-45, 1e-42, 1e-38, 1e35, 1e37, 3e38, -3e38])
@pytest.mark.parametrize("version", ["3.1.9", "4"])
@pytest.mark.filterwarnings("error")
def test_images_of_any_scale_are_labelled_or_refused(largest, version):
    image = (SQUARE * largest).astype(np.float32)
    image[0, 0] = largest / 2
    found, why = labelled_or_refused(image, version=version)
    assert (len(found) == 4) == (abs(largest) < 1e36)
    assert found or ("whose sum overflows: scale them to 0..1" in why and "\n" not in why)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(width=32, allow_nan=False)))
def test_any_image_of_single_precision_ends(image):
    with np.errstate(all="ignore"):
        found, why = labelled_or_refused(image, discard_size=False)
    assert len(found) == 4 or "overflows" in why or "not finite" in why


@pytest.mark.parametrize("name", ["min_diameter", "max_diameter", "threshold_smoothing", "seed_smoothing", "suppression"])
@pytest.mark.parametrize("value", [10**9, 10**400, -1])
def test_lengths_have_an_end(name, value):
    with pytest.raises(HarnessError, match=f"{name} is "):
        Settings(**{name: value, **({"max_diameter": value} if name == "min_diameter" else {})})


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), 0])
def test_a_factor_is_a_number(value):
    with pytest.raises(HarnessError, match="correction is"):
        Settings(correction=value)


@pytest.mark.parametrize(
    "chosen",
    [
        {"threshold_smoothing": 1000},
        {"seed_smoothing": 1000},
        {"suppression": 1000},
        {"suppression": 1000, "low_resolution": False},
        {"min_diameter": 1000, "max_diameter": 100_000},
        {"min_diameter": 1000, "max_diameter": 1000, "low_resolution": False},
        {"correction": 1e308, "bounds": (-1e308, 1e308)},
        {"max_objects": 2**31 - 1},
    ],
)
def test_settings_at_their_ends_are_worked_with(chosen):
    found = identify_all((SQUARE * 60000).astype(np.uint16), settings=Settings(**chosen))
    assert all(labels.shape == SQUARE.shape for labels in found.values())
