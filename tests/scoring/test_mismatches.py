import numpy as np
import pytest
from damaged import cropped, spoil

from harness.scoring import metrics
from harness.scoring.mismatches import classify


def discs(*centres, shape=(60, 90), radius=6):
    labels = np.zeros(shape, np.int32)
    y, x = np.ogrid[: shape[0], : shape[1]]
    for number, (row, column) in enumerate(centres, 1):
        labels[(y - row) ** 2 + (x - column) ** 2 <= radius**2] = number
    return labels


ONE = discs((20, 20))


@pytest.fixture(scope="module")
def small():
    return cropped()


def test_missed_and_extra():
    assert classify(ONE, np.zeros_like(ONE)) == {"missed": [1], "extra": [], "merged": [], "split": []}
    assert classify(np.zeros_like(ONE), ONE) == {"missed": [], "extra": [1], "merged": [], "split": []}


def test_merged_and_split():
    two, together = discs((20, 20), (20, 33)), discs((20, 20), (20, 33)) > 0
    assert classify(two, together.astype(np.int32))["merged"] == [1]
    assert classify(together.astype(np.int32), two)["split"] == [1]


def test_nuclei_at_the_edge_and_under_25_px_do_not_count():
    edge, small = discs((3, 20)), discs((20, 20), radius=2)
    for labels in (edge, small):
        assert not any(classify(labels, np.zeros_like(labels)).values())


@pytest.mark.parametrize("seed", range(5))
def test_whoever_is_in_no_list_is_matched(small, seed):
    truth = small.read_nuclei(small.splits["test"][seed])
    predicted = spoil(truth, 0.6, np.random.default_rng(seed))
    errors, counts = classify(truth, predicted), metrics.match(truth, predicted, "equal")
    wrong = set(errors["missed"]) | set(errors["split"])
    assert counts.annotated - len(wrong) >= counts.matched
    if not errors["merged"]:
        assert counts.annotated - len(wrong) == counts.matched
