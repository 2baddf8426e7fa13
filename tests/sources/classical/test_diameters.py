"""The range of diameters that images tell, on discs whose diameters are known."""

import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.datasets import open_dataset
from harness.sources import open_source
from harness.sources.classical import Settings
from harness.sources.classical.diameters import FACTORS, diameter_range

SOURCE = "cellprofiler:shape/intensity"
AUTO = {"min_diameter": "auto", "max_diameter": "auto"}


def discs(diameters, side=60, gap=60):
    """A bright disc of each diameter in a window of its own, as wide as the gap between centres."""
    image = np.random.default_rng(3).integers(20, 30, (side, gap * (len(diameters) - 1) + side)).astype(np.uint8)
    y, x = np.indices(image.shape)
    for number, diameter in enumerate(diameters):
        image[(y - side / 2) ** 2 + (x - side / 2 - gap * number) ** 2 <= diameter**2 / 4] = 200
    return image


def told(*images):
    return diameter_range(lambda: images, Settings())


@pytest.mark.parametrize("diameter", [12, 20, 40])
def test_discs_of_one_size_give_a_range_around_it(diameter):
    low, high = told(discs([diameter] * 5))
    assert low == pytest.approx(FACTORS[0] * diameter, abs=1.5) and high == pytest.approx(FACTORS[1] * diameter, abs=2.5)


def test_neither_specks_nor_clumps_nor_what_the_edge_cuts_move_the_range():
    image = discs([20] * 6)
    rng, other = np.random.default_rng(0), image.copy()
    specks = (rng.integers(2, 58, 8), rng.integers(2, image.shape[1] - 2, 8))
    other[specks] = np.maximum(other[specks], 180)
    clumps, cut = discs([20] * 6, gap=19), discs([20] * 6)[:33]
    assert told(image) == told(other, clumps, cut)


def test_more_of_the_same_tells_the_same_and_other_sizes_widen_it():
    image, wide = discs([20] * 5), discs([10, 20, 20, 20, 44])
    assert told(image) == told(image, image)
    (low, high), (lower, higher) = told(image), told(wide, wide)
    assert lower <= low and higher > high


def test_synthetic_fields_tell_about_what_the_paper_set():
    dataset = open_dataset("synthetic")
    low, high = told(*(dataset.read_image(name) for name in dataset.splits["training"][:4]))
    assert 8 <= low <= 12 and 45 <= high <= 55


def test_images_that_show_nothing_leave_it_open():
    source = open_source(SOURCE, AUTO)
    for images in ([], [np.full((40, 40), 7, np.uint8)]):
        left = source.fitted(lambda images=images: images)
        with pytest.raises(HarnessError, match="min_diameter is auto, and no image at hand shows a nucleus by itself"):
            left.parameters()


def test_a_source_takes_what_was_told_and_keeps_what_was_given():
    images = lambda: [discs([20] * 5)]  # noqa: E731
    low, high = diameter_range(images, Settings())
    assert open_source(SOURCE, AUTO).fitted(images) == open_source(SOURCE, {"min_diameter": low, "max_diameter": high})
    refined = open_source("consensus", AUTO, ["half-contrast"]).fitted(images)
    assert refined.settings["min_diameter"] == low and refined.steps
    half = open_source(SOURCE, {"min_diameter": "auto", "max_diameter": 90}).fitted(images)
    assert (half.settings["min_diameter"], half.settings["max_diameter"]) == (low, 90)
    given = open_source(SOURCE, {"min_diameter": 5})
    assert given.fitted(lambda: pytest.fail("no image is looked at")) is given


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"min_diameter": "automatic"}, "expected whole pixels from 1"),
        ({"suppression": "auto"}, "suppression is 'auto'"),
        (AUTO | {"correction": -1}, "correction is -1"),
    ],
)
def test_nothing_else_is_auto_and_the_rest_is_checked(settings, said):
    with pytest.raises(HarnessError, match=said):
        open_source(SOURCE, settings)


def test_a_range_that_contradicts_the_other_end_is_refused():
    with pytest.raises(HarnessError, match="expected at most max_diameter, which is 3"):
        open_source(SOURCE, {"min_diameter": "auto", "max_diameter": 3}).fitted(lambda: [discs([40] * 3)])
