"""Thinning beside scikit-image's, pixel for pixel."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_dilation
from skimage.morphology import skeletonize

from harness.method.thinning import thin

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


def test_every_neighbourhood_of_a_pixel():
    around = [(0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0)]
    for code in range(256):
        mask = np.zeros((3, 3), bool)
        mask[1, 1] = True
        for k, place in enumerate(around):
            mask[place] = code >> k & 1
        np.testing.assert_array_equal(thin(mask), skeletonize(mask), err_msg=str(code))


@given(masks, st.integers(0, 4))
def test_masks_of_any_shape(mask, thickness):
    mask = binary_dilation(mask, iterations=thickness) if thickness else mask
    np.testing.assert_array_equal(thin(mask), skeletonize(mask))


def test_what_is_between_nuclei(chance):
    """Of a field's size, with wide and narrow gaps, and the complement; the mask that is given stays as it is."""
    rows, columns = np.indices((520, 696))
    between = np.ones(rows.shape, bool)
    for _ in range(120):
        y, x, radius = chance.uniform(0, 520), chance.uniform(0, 696), chance.uniform(4, 25)
        between[np.hypot(rows - y, columns - x) < radius] = False
    given = between.copy()
    np.testing.assert_array_equal(thin(between), skeletonize(between))
    np.testing.assert_array_equal(thin(~between), skeletonize(~between))
    np.testing.assert_array_equal(between, given)
