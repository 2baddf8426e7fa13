import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harness.core.errors import HarnessError
from harness.method.classmap import IGNORE, SEPARATION, class_map, training_map

label_images = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 4))


def slow_class_map(labels):
    """The definition, pixel by pixel."""
    classes = np.zeros(labels.shape, np.uint8)
    for y, x in np.ndindex(labels.shape):
        around = labels[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        two_nuclei = len(set(around[around > 0].tolist())) > 1
        classes[y, x] = SEPARATION if two_nuclei else labels[y, x] > 0
    return classes


@given(label_images)
def test_is_the_definition(labels):
    np.testing.assert_array_equal(class_map(labels), slow_class_map(labels))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([1, 1, 2, 2], [1, 2, 2, 1]),  # touching: one pixel of each
        ([1, 1, 0, 2, 2], [1, 1, 2, 1, 1]),  # a gap of one pixel belongs to the separation
        ([1, 0, 0, 2], [1, 0, 0, 1]),  # a gap of two does not
        ([0, 0, 1], [0, 0, 1]),
    ],
)
def test_touching_and_gaps(row, expected):
    assert class_map(np.array([row])).tolist() == [expected]


def test_diagonal_neighbours_are_separated():
    assert class_map(np.array([[1, 0], [0, 2]])).tolist() == [[2, 2], [2, 2]]


@given(label_images, st.integers(0, 3), st.booleans())
def test_turns_with_the_image(labels, quarters, flipped):
    def turn(image):
        return np.rot90(image[:, ::-1] if flipped else image, quarters)

    np.testing.assert_array_equal(class_map(turn(labels)), turn(class_map(labels)))


@given(label_images, st.permutations([1, 2, 3, 4]), st.sampled_from(["u1", "u2", "i4", "i8"]))
def test_ids_and_dtype_do_not_matter(labels, ids, dtype):
    top = min(np.iinfo(dtype).max, 2**24 - 1) - 4
    renamed = np.array([0, *(top + i for i in ids)]).astype(dtype)[labels]
    np.testing.assert_array_equal(class_map(renamed), class_map(labels))


def test_training_map_marks_what_is_ignored():
    labels = np.array([[1, 1, 2, 0]])
    assert training_map(labels, np.array([[True, False, False, True]])).tolist() == [[IGNORE, 2, 2, IGNORE]]
    with pytest.raises(HarnessError, match="shape"):
        training_map(labels, np.zeros((1, 3), bool))


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2, 2), int), np.zeros((2, 2)), np.zeros((2, 2), bool), -np.eye(2, dtype=int), np.full((2, 2), 2**24)]
)
def test_refuses_what_is_no_label_image(bad):
    with pytest.raises(HarnessError, match="not a label image"):
        class_map(bad)
