"""Images that show the same place are found however they were saved; others are not."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.datasets import fingerprints, open_dataset
from harness.datasets.fingerprints import Fingerprint, fingerprint, overlaps, packed, unpacked


@pytest.fixture(scope="module")
def images():
    dataset = open_dataset("synthetic")
    return [dataset.read_image(name) for name in dataset.splits["training"][:4]]


@pytest.fixture(scope="module")
def seen(images):
    return [fingerprint(image) for image in images]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(0, 7),
    st.tuples(st.integers(0, 160), st.integers(0, 330)),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.floats(0, 1),
)
def test_a_crop_turned_and_saved_in_other_grey_values_is_found_and_nothing_else(images, seen, which, turn, corner, dtype, low):
    image = images[which][corner[0] : corner[0] + 360, corner[1] : corner[1] + 360]
    image = np.rot90(image.T if turn >= 4 else image, turn % 4)
    bottom, top = np.percentile(image, [low, 100 - low / 10])
    levels = np.clip((image - bottom) / (top - bottom), 0, 1) * (1 if dtype == np.float32 else np.iinfo(dtype).max)
    found = overlaps([*seen, fingerprint(levels.astype(dtype))], [0, 0, 0, 0, 1])
    assert [(each.one, each.other) for each in found] == [(which, 4)]
    assert found[0].share > 0.5


def test_images_of_one_group_are_not_compared(seen):
    assert overlaps([seen[0], seen[0], seen[1]], [0, 0, 1]) == []
    assert [each[:2] for each in overlaps([seen[0], seen[0], seen[1]], [0, 1, 1])] == [(0, 1)]


def test_two_windows_are_found_where_they_overlap(images):
    left, right, far = images[0][:, :400], images[0][:, 200:], images[0][:, 450:]
    found = overlaps([fingerprint(each) for each in (left, right, far)], [0, 1, 2])
    assert {each[:2] for each in found} == {(0, 1), (1, 2)}


def test_many_copies_of_one_image_hang_together(seen):
    found = {each[:2] for each in overlaps([seen[0]] * 40, range(40))}
    assert {(one, other) for one, other in pairwise(range(40))} <= found


@pytest.mark.parametrize("image", [np.zeros((64, 64), np.uint8), np.full((5, 5), 7, np.uint16), np.indices((90, 90)).sum(0)])
def test_images_without_spots_are_like_no_other(image):
    flat = fingerprint(image)
    assert flat.shape == image.shape and not len(flat.spots)
    assert overlaps([flat, flat], [0, 1]) == []


def test_a_saturated_nucleus_is_no_field_of_spots(images):
    spots = fingerprint(np.minimum(images[0], np.percentile(images[0], 90))).spots.astype(int)
    apart = np.abs(spots[:, None] - spots).max(axis=2) + 9 * np.eye(len(spots), dtype=int)
    assert apart.min() > 1


def test_packed_and_unpacked_is_the_same(seen):
    for some in (seen, [Fingerprint((3, 4), np.empty((0, 2), np.int16)), seen[0]], []):
        again = unpacked(packed(some))
        assert [each.shape for each in again] == [each.shape for each in some]
        assert all((one.spots == other.spots).all() for one, other in zip(again, some, strict=True))


def test_time_grows_with_the_images_not_with_their_pairs(seen):
    """What is compared in full is what shares constellations: of unlike images next to nothing."""
    rng = np.random.default_rng(0)
    unlike = [each._replace(spots=each.spots + rng.integers(-8, 9, each.spots.shape).astype(np.int16)) for each in seen * 25]
    candidates = fingerprints._candidates([each.spots for each in unlike], np.arange(len(unlike)))
    assert len(candidates) < 100 < len(unlike) ** 2 / 20
