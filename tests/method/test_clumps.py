"""Copies of nuclei beside others: what is known of them afterwards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from harness.method.clumps import DEEP, clumped

BACKGROUND = 100


def discs(*centres, radius=8, shape=(120, 120), bright=1000):
    """A field of discs, sharp ones, so that light and labels can be compared pixel for pixel."""
    rows, columns = np.indices(shape)
    labels = np.zeros(shape, np.int32)
    for number, (y, x) in enumerate(centres, 1):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = number
    return np.where(labels > 0, bright, BACKGROUND).astype(np.uint16), labels


FOUR = ((30, 30), (30, 90), (90, 30), (90, 90))


@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.25, 0.5, 1.0]))
def test_new_nuclei_touch_one_old_one_each_and_shine_as_they_did(seed, share):
    image, labels = discs(*FOUR)
    nothing = np.zeros(labels.shape, bool)
    shown, more = clumped(image, labels, nothing, share, np.random.default_rng(seed))
    assert more.max() == 4 + round(share * 4)  # there is room everywhere
    assert (more[labels == 0] > 4).sum() + (labels > 0).sum() == (more > 0).sum()
    size = (labels == 1).sum()
    for new in range(5, more.max() + 1):
        around = ndimage.binary_dilation(more == new, np.ones((3, 3)))
        assert len(set(more[around].tolist()) - {0, new}) == 1
        assert (1 - DEEP) * size <= (more == new).sum() <= size
    light = (shown.astype(float) - BACKGROUND).sum()
    assert light == pytest.approx(more.max() * size * (1000 - BACKGROUND))  # light adds up, where two overlap, too


def test_the_same_seed_does_the_same():
    image, labels = discs(*FOUR)
    nothing = np.zeros(labels.shape, bool)
    one, again, other = (clumped(image, labels, nothing, 0.5, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True)) and not np.array_equal(one[1], other[1])


def test_nothing_is_taken_from_or_put_where_labels_are_ignored():
    image, labels = discs(*FOUR)
    ignore = np.ones(labels.shape, bool)
    ignore[:60, :60] = False
    shown, more = clumped(image, labels, ignore, 1.0, np.random.default_rng(0))
    assert more.max() == 5 and np.array_equal(more[ignore], labels[ignore]) and np.array_equal(shown[ignore], image[ignore])


@pytest.mark.parametrize("centres", [(), ((30, 30), (30, 47)), ((4, 4),)], ids=["none", "both touch", "at the edge"])
def test_where_no_nucleus_stands_alone_nothing_changes(centres):
    image, labels = discs(*centres)
    shown, more = clumped(image, labels, np.zeros(labels.shape, bool), 1.0, np.random.default_rng(0))
    assert np.array_equal(shown, image) and np.array_equal(more, labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_keep_their_type_and_do_not_wrap(dtype):
    image, labels = discs(*FOUR, bright=200)
    shown, _ = clumped(image.astype(dtype), labels, np.zeros(labels.shape, bool), 1.0, np.random.default_rng(3))
    assert shown.dtype == dtype and shown.min() == BACKGROUND and shown.max() <= (255 if dtype == np.uint8 else 300)
