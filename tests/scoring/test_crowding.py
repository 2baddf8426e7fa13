import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scoring.crowding import touching_counts, touching_nuclei
from harness.scoring.metrics import Counts, matching


def boxes(*corners, shape=(40, 60)):
    labels = np.zeros(shape, np.int32)
    for i, (top, left, bottom, right) in enumerate(corners, 1):
        labels[top:bottom, left:right] = i
    return labels


@pytest.mark.parametrize(("gap", "touch"), [(0, True), (1, True), (2, False)])
def test_nuclei_touch_where_the_class_map_separates_them(gap, touch):
    labels = boxes((5, 5, 15, 15), (5, 15 + gap, 15, 25 + gap), (25, 5, 35, 15))
    assert touching_nuclei(labels).tolist() == ([1, 2] if touch else [])


def test_corner_to_corner_touches_and_ids_may_have_gaps():
    labels = boxes((5, 5, 10, 10), (10, 10, 15, 15))
    labels[labels == 2] = 70
    assert touching_nuclei(labels).tolist() == [1, 70]


def test_the_one_between_two_others_touches_too():
    assert touching_nuclei(np.array([[1, 2, 3, 0, 0, 0, 9]])).tolist() == [1, 2, 3]


TRUE = boxes((2, 2, 12, 12), (2, 12, 12, 22), (20, 2, 30, 12), (20, 40, 30, 50))  # two touch, two do not


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (TRUE, Counts(2, 2, 2)),
        (np.where(TRUE == 2, 1, TRUE), Counts(0, 2, 1)),  # merged: one prediction, of the touching kind
        (np.where(TRUE <= 2, 0, TRUE), Counts(0, 2, 0)),  # missed
        (np.where(TRUE == 3, 0, TRUE), Counts(2, 2, 2)),  # an isolated one is missed
        (TRUE + boxes((32, 52, 38, 58)) * 9, Counts(2, 2, 2)),  # one too many, far from all: isolated
    ],
)
def test_touching_nuclei_are_counted_apart(predicted, expected):
    found = matching(TRUE, predicted, "equal")
    assert touching_counts(found, TRUE, predicted, touching_nuclei(TRUE)) == expected


@given(st.integers(0, 10**6))
def test_both_kinds_add_up_to_counts_that_are_possible(seed):
    rng = np.random.default_rng(seed)
    truth, predicted = (
        boxes(*np.hstack([corner, corner + rng.integers(4, 12, (10, 2))]).tolist())
        for corner in [rng.integers(1, 28, (10, 2))] * 2
    )
    found = matching(truth, predicted, "equal")
    touching = touching_counts(found, truth, predicted, touching_nuclei(truth))
    isolated = Counts(*np.subtract(found.counts, touching).tolist())
    for counts in (touching, isolated):
        assert min(counts) >= 0 and counts.matched <= min(counts.annotated, counts.predicted)
