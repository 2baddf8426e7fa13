import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label
from toy import NETWORK, schedule, squares

from harness.experiment.stages import VERSIONS
from harness.network import inference
from harness.network.inference import predict_field
from harness.network.training import example_order, train, validation_examples
from harness.network.unet import unet


@given(st.integers(1, 9), st.integers(0, 60), st.integers(1, 60), st.integers(0, 3))
def test_order_depends_on_the_position_alone(count, first, length, seed):
    whole = example_order(count, 0, first + length, seed)
    np.testing.assert_array_equal(example_order(count, first, length, seed), whole[first:])


@given(st.integers(1, 9), st.integers(0, 3))
def test_eight_passes_show_each_tile_in_each_orientation_once(count, seed):
    examples = example_order(count, 0, 8 * count, seed)
    assert len({tuple(example) for example in examples.tolist()}) == 8 * count
    for start in range(0, 8 * count, count):
        assert sorted(examples[start : start + count, 0]) == list(range(count))


@pytest.mark.parametrize(("batch", "expected"), [(1, 5), (2, 6), (4, 8)])
def test_every_validation_batch_is_full(batch, expected):
    chosen = validation_examples(9, schedule(batch=batch, validation_tiles=5))
    assert [tuple(example) for example in chosen[:5]] == [(0, 0), (2, 0), (4, 0), (6, 0), (8, 0)]
    assert len(chosen) == expected and (chosen[5:] == chosen[: expected - 5]).all()


def test_learns_and_keeps_the_best_epoch(tmp_path):
    model, history = train(squares(8), squares(4), schedule(epochs=4, steps_per_epoch=30), NETWORK, 0, tmp_path)
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < 0.8 * history[0]["loss"]
    best = min(history, key=lambda epoch: epoch["val_loss"])["epoch"]
    with np.load(tmp_path / f"epoch-{best:03d}" / "weights.npz") as stored:
        for index, variable in enumerate(model.variables):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), stored[f"{index:03d}"])


def test_a_stopped_training_goes_on_to_the_same_bits(tmp_path):
    tile_set, seen = squares(5), []
    whole, history = train(tile_set, tile_set, schedule(), NETWORK, 1, tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(epoch):
        seen.append(epoch["epoch"])
        if epoch["epoch"] == 2:
            raise Stop

    with pytest.raises(Stop):
        train(tile_set, tile_set, schedule(), NETWORK, 1, tmp_path / "stopped", on_epoch=stop)
    (tmp_path / "stopped" / "epoch-003.partial").mkdir()
    resumed, after = train(
        tile_set, tile_set, schedule(), NETWORK, 1, tmp_path / "stopped", on_epoch=lambda epoch: seen.append(epoch["epoch"])
    )
    assert seen == [1, 2, 3]
    for a, b in zip(whole.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))
    assert [epoch["val_loss"] for epoch in after] == [epoch["val_loss"] for epoch in history]


def test_a_finished_training_is_only_read(tmp_path):
    _, history = train(squares(3), squares(3), schedule(epochs=1), NETWORK, 0, tmp_path)
    _, again = train(squares(3), squares(3), schedule(epochs=1), NETWORK, 0, tmp_path, on_epoch=pytest.fail)
    assert again == history == json.loads((tmp_path / "epoch-001" / "history.json").read_text())


def test_augmented_validation_sees_every_orientation(tmp_path):
    losses = [
        train(squares(2), squares(2), schedule(epochs=1, augmented_validation=augmented), NETWORK, 0, tmp_path / str(augmented))[
            1
        ][0]["val_loss"]
        for augmented in (True, False)
    ]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("shape", [(40, 70), (20, 33)])
def test_a_field_of_any_size_is_predicted(shape):
    image = np.random.default_rng(0).integers(0, 4096, shape).astype(np.uint16)
    tile_maps, field_map = predict_field(unet(**NETWORK), image, size=32)
    assert field_map.shape == shape and tile_maps.shape[1:] == (32, 32)
    assert set(np.unique(field_map)) <= {0, 1, 2}


def test_moving_the_tile_grid_hardly_moves_the_labels(tmp_path):
    """Away from the edges of the image fewer than one pixel in 200 changes its class, and no nucleus goes."""
    model, _ = train(squares(16, 64), squares(4, 64), schedule(epochs=4, steps_per_epoch=30), NETWORK, 0, tmp_path)
    field = squares(16, 64).images.reshape(4, 4, 64, 64).swapaxes(1, 2).reshape(256, 256)
    whole = predict_field(model, field, size=64)[1]
    for dy, dx in [(7, 0), (0, 11), (13, 29), (31, 31)]:
        moved = predict_field(model, field[dy:, dx:], size=64)[1][32:-32, 32:-32]
        there = whole[dy:, dx:][32:-32, 32:-32]
        assert (moved == 1).mean() > 0.02
        assert (moved != there).mean() < 5e-3
        assert label(moved == 1).max() == label(there == 1).max()


def test_tiles_at_once_are_the_tiles_one_by_one(monkeypatch):
    image = np.random.default_rng(0).integers(0, 4096, (70, 90)).astype(np.uint16)
    one_by_one = predict_field(unet(**NETWORK), image, size=32)
    monkeypatch.setattr(inference, "tiles_at_once", lambda: 4)
    for a, b in zip(one_by_one, predict_field(unet(**NETWORK), image, size=32), strict=True):
        assert (a != b).mean() < 1e-3


@pytest.mark.parametrize(
    ("loss", "expected"), [("dice", [0.496915, 0.385237, 0.242108]), ("log-dice", [1.275491, 0.157999, 0.083492])]
)
def test_golden(tmp_path, loss, expected):
    """Raise the version of `network` when this moves on purpose: it covers losses, order and optimiser.

    Bits differ between processors, so the losses are compared to four digits.
    """
    _, history = train(squares(4), squares(2), schedule(), NETWORK, 2, tmp_path, loss)
    assert VERSIONS["network"] == 1
    np.testing.assert_allclose([epoch["val_loss"] for epoch in history], expected, rtol=1e-4)
