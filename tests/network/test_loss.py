from math import log

import keras
import numpy as np
import pytest

from harness.network.loss import LOSSES, dice_coefficients, dice_loss, log_dice_loss, of_one_answer

rng = np.random.default_rng(0)
y_pred = rng.dirichlet([1, 1, 1], (2, 6, 5)).astype(np.float32)
y_true = rng.integers(0, 4, (2, 6, 5)).astype(np.uint8)


def value(loss, y_true, y_pred):
    return float(keras.ops.convert_to_numpy(loss(y_true, y_pred)))


def test_the_printed_equations_on_numbers_worked_out_by_hand():
    """Four pixels: background, nucleus, nucleus, separation; the third is taken for half nucleus, half background.

    Eq. 2: background (2 * 1 + 1) / (1 + 1.5 + 1) = 6/7, nucleus (2 * 1.5 + 1) / (2 + 1.5 + 1) = 8/9, separation 3/3.
    """
    y_true = np.array([[[0, 1, 1, 2]]])
    y_pred = np.array([[[[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0, 0, 1]]]], np.float32)
    np.testing.assert_allclose(dice_coefficients(y_true, y_pred), [6 / 7, 8 / 9, 1], rtol=1e-6)
    assert value(log_dice_loss, y_true, y_pred) == pytest.approx(-(0.2 * log(6 / 7) + 0.4 * log(8 / 9)), rel=1e-5)
    assert value(dice_loss, y_true, y_pred) == pytest.approx(0.2 / 7 + 0.4 / 9, rel=1e-5)


def test_the_sums_go_over_the_whole_batch():
    """Two tiles side by side are one batch of two: the mean of the tiles' coefficients would be another number."""
    beside = np.concatenate(list(y_true), axis=1)[None], np.concatenate(list(y_pred), axis=1)[None]
    assert value(log_dice_loss, y_true, y_pred) == pytest.approx(value(log_dice_loss, *beside), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_perfect_prediction_costs_nothing(loss):
    truth = y_true % 3
    assert value(loss, truth, np.eye(3, dtype=np.float32)[truth]) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_ignored_pixels_do_not_count(loss):
    other = y_pred.copy()
    other[y_true == 3] = [0, 0, 1]
    assert value(loss, y_true, y_pred) == pytest.approx(value(loss, y_true, other), rel=1e-6)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_channel_axis_on_the_class_map_changes_nothing(loss):
    assert value(loss, y_true[..., None], y_pred) == value(loss, y_true, y_pred)


@pytest.mark.parametrize("loss", LOSSES)
def test_no_single_answer_for_all_pixels_has_a_smaller_loss(loss):
    counts = np.stack([np.bincount(tile.ravel(), minlength=4)[:3] for tile in y_true])

    def of(answer):
        alike = np.broadcast_to(np.array(answer, np.float32), y_pred.shape[1:])
        return np.mean([value(LOSSES[loss], tile[None], alike[None]) for tile in y_true])

    smallest = of_one_answer(counts, loss)
    tried = [of(answer) for answer in [*np.eye(3), np.full(3, 1 / 3), *rng.dirichlet([1, 1, 1], 200)]]
    assert smallest - 1e-3 <= min(tried) <= smallest + 0.05  # answers are tried in steps of a fiftieth, here by chance


def test_where_one_answer_is_right_everywhere_it_costs_nothing():
    assert of_one_answer(np.array([[900, 0, 0]]), "log-dice") == pytest.approx(0)
