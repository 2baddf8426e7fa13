"""What must hold of any field."""

from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from harness.core.errors import HarnessError
from harness.sources.classical import CONFIGURATIONS, Settings
from harness.sources.classical.agreement import consensus
from harness.sources.classical.components import label
from harness.sources.classical.foreground import foreground, smooth
from harness.sources.classical.primary_objects import grey, identify, identify_all
from harness.sources.classical.thresholds import threshold

law = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**32 - 1)
versions = st.sampled_from(["3.1.9", "4"])
configurations = st.sampled_from(CONFIGURATIONS)
ROUNDING = 1e-6  # of sums of single precision


def field(seed, shape=(90, 110), nuclei=14):
    """Round nuclei, some touching, on a noisy background; 12-bit values in uint16."""
    random = np.random.RandomState(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    light = np.zeros(shape)
    for cy, cx, radius, level in zip(
        *random.uniform([[0], [0], [5], [300]], [[90], [110], [12], [1200]], (4, nuclei)), strict=True
    ):
        light = np.maximum(light, level * np.clip(1.2 - ((y - cy) ** 2 + (x - cx) ** 2) / radius**2, 0, 1) ** 0.5)
    return np.clip(light + 150 + random.normal(0, 20, shape), 0, 4095).astype(np.uint16)


def clear_of_the_threshold(image, chosen):
    """Whether no pixel is so close to the threshold that the rounding of sums decides."""
    image = grey(image)
    found = threshold(image, chosen)
    return (abs(smooth(image, 1.0) - found) > 10 * ROUNDING * found).all()


@law
@given(seeds, configurations, st.integers(1, 4))
def test_labels_follow_a_scaling_by_powers_of_two(seed, configuration, power):
    image, chosen = field(seed), Settings()
    assume(clear_of_the_threshold(image, chosen))
    brighter = image * np.uint16(2**power)
    assert threshold(grey(brighter), chosen) == pytest.approx(2**power * threshold(grey(image), chosen), rel=ROUNDING)
    np.testing.assert_array_equal(identify(brighter, configuration), identify(image, configuration))


@law
@given(seeds, versions, st.sampled_from([np.flipud, np.fliplr, np.rot90, partial(np.rot90, k=2), np.transpose]))
def test_flips_and_rotations_commute_with_threshold_and_foreground(seed, version, turn):
    image, chosen = grey(field(seed)), Settings(version=version)
    assume(clear_of_the_threshold(image, chosen))
    turned = np.ascontiguousarray(turn(image))
    found, expected = threshold(turned, chosen), threshold(image, chosen)
    assert found == pytest.approx(expected, rel=ROUNDING)
    np.testing.assert_array_equal(foreground(turned, found, chosen), turn(foreground(image, expected, chosen)))


@law
@given(seeds, configurations, versions)
def test_sizes_are_in_range_before_holes_are_filled_again(seed, configuration, version):
    chosen = Settings(version, min_diameter=8, max_diameter=20, fill_holes="never")
    labels = identify(field(seed), configuration, chosen)
    areas = np.bincount(labels.ravel())[1:]
    assert ((areas >= np.pi * 16) & (areas <= np.pi * 100)).all()


@law
@given(seeds, configurations, versions)
def test_objects_lie_in_the_foreground_and_the_holes_it_encloses(seed, configuration, version):
    image, chosen = field(seed), Settings(version)
    mask = foreground(grey(image), threshold(grey(image), chosen), chosen)
    assert not (identify(image, configuration, chosen)[~ndimage.binary_fill_holes(mask)]).any()


@law
@given(seeds, configurations, st.booleans())
def test_labels_run_from_one_without_gaps(seed, configuration, discard_border):
    labels = identify(field(seed), configuration, Settings(discard_border=discard_border))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(np.unique(np.append(labels, 0)), np.arange(labels.max() + 1))
    if discard_border:
        assert not np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])).any()


@law
@given(seeds, st.sets(configurations, min_size=1))
def test_what_else_is_asked_for_changes_nothing(seed, names):
    image = field(seed)
    for name, labels in identify_all(image, sorted(names)).items():
        np.testing.assert_array_equal(labels, identify(image, name))


@law
@given(seeds)
def test_consensus_ignores_whole_clusters_on_which_the_counts_differ(seed):
    image = field(seed)
    labels, ignore = consensus(image)
    best = [identify(image, name) for name in ("shape/intensity", "intensity/shape", "shape/shape")]
    np.testing.assert_array_equal(labels, best[0])
    clusters, count = label(np.logical_or.reduce([one > 0 for one in best]))
    for cluster in range(1, count + 1):
        inside = clusters == cluster
        counts = {len(np.unique(one[inside & (one > 0)])) for one in best}
        assert ignore[inside].all() if len(counts) > 1 else not ignore[inside].any()
    assert not ignore[clusters == 0].any()


def test_without_lines_regions_stay_whole():
    image = field(3)
    chosen = Settings(discard_size=False, fill_holes="never")
    mask = foreground(grey(image), threshold(grey(image), chosen), chosen)
    for configuration in ("none/none", "shape/none", "none/intensity"):
        np.testing.assert_array_equal(identify(image, configuration, chosen), label(mask)[0])


def test_fields_with_too_many_objects_are_emptied():
    image = field(5)
    count = identify(image, "shape/shape").max()
    assert count > 1
    assert identify(image, "shape/shape", Settings(max_objects=int(count))).max() == count
    assert not identify(image, "shape/shape", Settings(max_objects=int(count) - 1)).any()


@pytest.mark.parametrize("version", ["3.1.9", "4"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(
    "image",
    [np.zeros((60, 70), np.uint16), np.full((60, 70), 255, np.uint8), np.full((60, 70), 0.25), np.zeros((1, 1), np.uint8)],
    ids=["empty", "saturated", "constant", "one pixel"],
)
def test_one_flat_region_is_no_nucleus(image, configuration, version):
    """At or above its own value as threshold all is foreground, which is larger, or smaller, than a nucleus."""
    assert not identify(image, configuration, Settings(version, bounds=(0, 0.2))).any()


def test_a_flat_image_is_one_object_when_it_has_the_size_of_one():
    image = np.full((20, 20), 9, np.uint16)
    np.testing.assert_array_equal(identify(image, "shape/shape", Settings(bounds=(0, 1e-5))), 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.float32, np.float64, bool, ">u2"])
def test_types_are_scaled_as_cellprofiler_loads_them(dtype):
    mask = np.zeros((40, 60), bool)
    mask[10:25, 10:25] = mask[12:28, 35:50] = True
    top = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    image = (mask * top).astype(dtype)
    assert grey(image).dtype == np.float32 and grey(image).max() == 1
    labels = identify(image, "shape/shape")
    assert labels.max() == 2 and labels[15, 15] == 1 and labels[20, 40] == 2


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.zeros((3, 4, 3)), "shape"),
        (np.zeros(5), "shape"),
        (np.zeros((0, 4)), "shape"),
        (np.full((4, 4), np.nan), "finite"),
        (np.full((4, 4), np.inf), "finite"),
        (np.zeros((4, 4), complex), "complex"),
        (np.full((4, 4), "a"), "type"),
    ],
)
def test_what_is_no_grey_image_is_refused(image, word):
    with pytest.raises(HarnessError, match=word):
        identify(image, "shape/intensity")


@pytest.mark.parametrize("configuration", ["shape", "shape/propagate", "shapes/shape", "", None])
def test_unknown_configurations_are_refused(configuration):
    with pytest.raises(HarnessError, match="SEEDS/LINES"):
        identify(field(0), configuration)


def test_logarithms_of_negative_intensities_are_refused():
    with pytest.raises(HarnessError, match="log_transform"):
        identify(np.linspace(-1, 1, 400).reshape(20, 20), "shape/shape", Settings(version="4", log_transform=True))
