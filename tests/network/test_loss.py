import keras
import numpy as np
import pytest

from harness.network.loss import SMOOTHING, WEIGHTS, dice_loss

rng = np.random.default_rng(0)
probabilities = rng.dirichlet([1, 1, 1], (2, 6, 5)).astype(np.float32)
class_map = rng.integers(0, 4, (2, 6, 5)).astype(np.uint8)


def value(truth, predicted):
    return float(keras.ops.convert_to_numpy(dice_loss(truth, predicted)))


def by_hand(truth, predicted):
    kept = truth < 3
    loss = 1.0
    for cls, weight in enumerate(WEIGHTS):
        target, p = (truth == cls)[kept], predicted[..., cls][kept]
        loss -= weight * (2 * (p * target).sum() + SMOOTHING) / (p.sum() + target.sum() + SMOOTHING)
    return loss


def test_equals_the_equations_written_out_over_the_whole_batch():
    assert value(class_map, probabilities) == pytest.approx(by_hand(class_map, probabilities), rel=1e-5)
    assert sum(WEIGHTS) == 1


def test_a_perfect_prediction_costs_nothing():
    truth = class_map % 3
    assert value(truth, np.eye(3, dtype=np.float32)[truth]) == pytest.approx(0, abs=1e-6)


def test_ignored_pixels_do_not_count():
    other = probabilities.copy()
    other[class_map == 3] = [0, 0, 1]
    assert value(class_map, probabilities) == pytest.approx(value(class_map, other), rel=1e-6)


def test_a_channel_axis_on_the_class_map_changes_nothing():
    assert value(class_map[..., None], probabilities) == value(class_map, probabilities)
