"""Each step against a plain statement of its rule."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from harness.core.errors import HarnessError
from harness.core.label_images import new_ids
from harness.sources.classical import Settings
from harness.sources.classical.components import label, label_background
from harness.sources.classical.distance import distances, nearest
from harness.sources.classical.filters import areas, fill_holes, take
from harness.sources.classical.flood import flood
from harness.sources.classical.foreground import fill_small_holes, smooth
from harness.sources.classical.seeds import jitter, local_maxima, shrink
from harness.sources.classical.smoothing import convolve, gaussian
from harness.sources.classical.thresholds import mean, minimum_cross_entropy

EIGHT = np.ones((3, 3))
shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))
masks = arrays(bool, shapes)
quick = settings(max_examples=60, deadline=None)


@quick
@given(masks)
def test_components_are_scipys(mask):
    for found, expected in ((label(mask), ndimage.label(mask, EIGHT)), (label_background(mask), ndimage.label(~mask))):
        assert found[1] == expected[1]
        np.testing.assert_array_equal(found[0], expected[0])


@quick
@given(masks)
def test_distances_are_scipys_to_the_bit(mask):
    np.testing.assert_array_equal(distances(mask), ndimage.distance_transform_edt(mask))


def test_distances_far_from_the_background():
    mask = np.ones((60, 80), bool)
    mask[3, 70] = False
    np.testing.assert_array_equal(distances(mask), ndimage.distance_transform_edt(mask))


@quick
@given(masks.filter(np.any), st.sampled_from([0.5, 1, 3.3, 7, 30]))
def test_the_nearest_within_reach_is_the_one_that_scipy_chooses(mask, reach):
    row, column = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    expected = (row - np.arange(mask.shape[0])[:, None]) ** 2 + (column - np.arange(mask.shape[1])) ** 2
    squared, where = nearest(mask, reach)
    within = expected <= reach**2
    np.testing.assert_array_equal(squared[within], expected[within])
    np.testing.assert_array_equal(where[within], (row * mask.shape[1] + column)[within])
    assert (squared[~within] > reach**2).all() and mask.size > where.max() >= where.min() >= 0


def test_where_nothing_is_on_nothing_is_within_reach():
    assert (nearest(np.zeros((5, 7), bool), 3)[0] > 9).all()


@pytest.mark.parametrize("size", [1, 7, 8, 100, 129, 8192, 8193, 50_001])
def test_mean_is_the_mean(size):
    values = np.random.RandomState(size).uniform(0, 1, size).astype(np.float32)
    assert mean(values) == pytest.approx(values.mean(dtype=np.float64), rel=1e-6)


def test_thresholds_of_two_levels():
    """On half 0 and half 1 the fixed point of Li's iteration is 0 and 3.1.9 stops 1/512 of the range above it."""
    values = np.repeat(np.float32([0, 1]), 50)
    assert minimum_cross_entropy(values, "4") == 0
    assert minimum_cross_entropy(values, "3.1.9") == pytest.approx(2 / 512)


def test_threshold_of_3_lies_above_that_of_4_by_a_part_of_the_range():
    random = np.random.RandomState(1)
    values = np.concatenate((random.normal(0.1, 0.02, 4000), random.normal(0.6, 0.1, 1000))).astype(np.float32)
    above = minimum_cross_entropy(values, "3.1.9") - minimum_cross_entropy(values, "4")
    assert 0.3 < above / (values.max() - values.min()) * 256 < 4


def test_threshold_of_equal_values_is_that_value():
    assert minimum_cross_entropy(np.full(9, 0.25, np.float32), "3.1.9") == 0.25


def test_smoothing_keeps_a_constant_up_to_the_edge():
    np.testing.assert_allclose(smooth(np.full((9, 12), 0.3, np.float32), 1.0), 0.3, rtol=1e-6)


@quick
@given(arrays(np.float32, shapes, elements=st.floats(0, 1, width=32)), st.floats(0.1, 4))
def test_gaussians_are_scipys_to_the_bit(image, sigma):
    expected = ndimage.gaussian_filter(image, sigma, mode="constant")
    np.testing.assert_array_equal(convolve(image, gaussian(sigma)), expected)


def test_small_holes_are_filled_unless_large_or_open():
    mask = np.ones((12, 12), bool)
    mask[2:4, 2:4] = mask[6:9, 6:9] = mask[0, 10] = False
    filled = fill_small_holes(mask, 9)
    assert filled[2:4, 2:4].all() and not filled[6:9, 6:9].any() and not filled[0, 10]


@quick
@given(
    arrays(np.int8, shapes, elements=st.integers(0, 6)), arrays(np.int32, shapes, elements=st.integers(0, 2)), st.integers(1, 3)
)
def test_maxima_are_not_exceeded_within_reach_in_their_region(height, regions, reach):
    rows, columns = np.minimum(height.shape, regions.shape)
    height, regions = height[:rows, :columns].astype(float), regions[:rows, :columns]
    offsets = np.array(
        [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1) if 0 < i * i + j * j <= reach * reach]
    )
    disk = np.add.outer(np.arange(-reach, reach + 1) ** 2, np.arange(-reach, reach + 1) ** 2) <= reach * reach
    expected = np.zeros(height.shape, bool)
    for region in (1, 2):
        inside = regions == region
        highest = ndimage.maximum_filter(np.where(inside, height, -1), footprint=disk, mode="constant", cval=-1)
        expected |= inside & (height == highest) & (height > 0)
    np.testing.assert_array_equal(local_maxima(height, regions, offsets), expected)


@quick
@given(masks)
def test_shrinking_keeps_every_blob_and_every_hole(mask):
    shrunk = shrink(mask)
    assert not (shrunk & ~mask).any()
    padded, framed = np.pad(mask, 1), np.pad(shrunk, 1)
    assert ndimage.label(framed, EIGHT)[1] == ndimage.label(padded, EIGHT)[1]
    assert ndimage.label(~framed)[1] == ndimage.label(~padded)[1]


def test_shrinking_blobs_without_holes_leaves_points():
    mask = np.zeros((12, 20), bool)
    mask[1:6, 1:9] = mask[8:10, 3:5] = mask[3:10, 12] = True
    assert shrink(mask).sum() == 3


def test_jitter_is_that_of_the_seeded_legacy_generator():
    assert jitter((2, 3))[0, 0] == np.random.RandomState(0).uniform(0, 0.001)


def _flood_by_rule(height, seeds, mask):
    """As the rule says, with Python's queue; for seeds of different heights."""
    labels = np.where(mask, seeds, 0)
    queue = [(height[p], 0, p) for p in map(tuple, np.argwhere(labels))]
    heapq.heapify(queue)
    age = 0
    while queue:
        _, _, (i, j) = heapq.heappop(queue)
        for y, x in (
            (i - 1, j),
            (i, j - 1),
            (i, j + 1),
            (i + 1, j),
            (i - 1, j - 1),
            (i - 1, j + 1),
            (i + 1, j - 1),
            (i + 1, j + 1),
        ):
            if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not labels[y, x]:
                labels[y, x] = labels[i, j]
                age += 1
                heapq.heappush(queue, (height[y, x], age, (y, x)))
    return labels


@quick
@given(masks, st.integers(0, 2**32 - 1))
def test_flood_follows_the_rule(mask, seed):
    random = np.random.RandomState(seed)
    height = random.randint(0, 4, mask.shape).astype(float)
    seeds = np.zeros(mask.shape, np.int32)
    places = random.permutation(mask.size)[:5]
    seeds.flat[places] = np.arange(len(places)) + 1
    height.flat[places] = np.arange(len(places)) + 0.5
    np.testing.assert_array_equal(flood(height, seeds, label(mask)[0]), _flood_by_rule(height, seeds, mask))


def test_a_pixel_below_its_parent_goes_first():
    """From a seed on a peak the flood runs down at once, unless the other seed is lower (scikit-image < 0.25)."""
    height = np.array([[9.0, 1, 1, 1, 1, 5, 6]])
    seeds = np.array([[1, 0, 0, 0, 0, 0, 2]], np.int32)
    np.testing.assert_array_equal(flood(height, seeds, np.ones((1, 7), np.int32)), [[1, 2, 2, 2, 2, 2, 2]])
    height[0, 6] = 10
    np.testing.assert_array_equal(flood(height, seeds, np.ones((1, 7), np.int32)), [[1, 1, 1, 1, 1, 1, 2]])


def test_flood_of_tied_seeds_shares_one_heap():
    """Two equally high seeds: what is flooded in another region must not change who gets the middle pixel."""
    height = np.zeros((3, 5))
    seeds = np.zeros((3, 5), np.int32)
    seeds[0, 0], seeds[0, 4] = 1, 2
    regions = np.zeros((3, 5), np.int32)
    regions[0] = 1
    np.testing.assert_array_equal(flood(height, seeds, regions)[0], [1, 1, 1, 2, 2])


def test_regions_without_a_seed_stay_empty_and_seeds_outside_do_not_count():
    regions = np.array([[1, 1, 0, 2, 2]], np.int32)
    seeds = np.array([[0, 7, 5, 0, 0]], np.int32)
    np.testing.assert_array_equal(flood(np.zeros((1, 5)), seeds, regions), [[7, 7, 0, 0, 0]])


def _picture(rows):
    return np.array([[int(c) for c in row] for row in rows], np.int32)


def test_holes_go_to_the_only_object_they_touch():
    labels = _picture(["0000000", "0111220", "0101220", "0111000", "0000000"])
    assert fill_holes(labels)[2, 2] == 1


def test_a_hole_between_two_objects_stays():
    labels = _picture(["000000", "011220", "010020", "011220", "000000"])
    np.testing.assert_array_equal(fill_holes(labels), labels)


def test_objects_within_a_hole_are_absorbed_however_deep():
    labels = np.zeros((13, 13), np.int32)
    for depth, value in enumerate((1, 0, 2, 0, 3)):
        labels[1 + depth : 12 - depth, 1 + depth : 12 - depth] = value
    np.testing.assert_array_equal(fill_holes(labels)[1:12, 1:12], np.ones((11, 11)))


def test_an_object_that_touches_the_border_is_not_absorbed():
    labels = _picture(["111", "121", "020"])
    np.testing.assert_array_equal(fill_holes(labels), labels)


def test_labels_are_numbered_without_gaps_in_order():
    labels = _picture(["0509", "5092"])
    keep = areas(labels, 10) > 0
    keep[0] = False
    np.testing.assert_array_equal(take(new_ids(keep), labels), _picture(["0203", "2031"]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "5"},
        {"min_diameter": 0},
        {"min_diameter": 20, "max_diameter": 10},
        {"correction": 0},
        {"bounds": (0.5, 0.1)},
        {"threshold_smoothing": -1},
        {"suppression": -2},
        {"seed_smoothing": 2.5},
        {"fill_holes": "sometimes"},
        {"log_transform": True},
        {"min_diameter": "ten"},
        {"correction": float("nan")},
        {"discard_border": "yes"},
        {"bounds": (0.5,)},
        {"min_diameter": 10.5},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong):
    with pytest.raises(HarnessError, match=next(iter(wrong)).split("_")[-1]):
        Settings(**wrong)
