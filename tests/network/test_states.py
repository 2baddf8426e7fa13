import json
import os
import shutil
from contextlib import nullcontext
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from toy import NETWORK, schedule, squares

from harness.core.errors import HarnessError
from harness.network import states
from harness.network.training import prepared, train


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished training of five epochs of which the second was the best, and its last weights."""
    folder = tmp_path_factory.mktemp("finished")
    network, optimiser = prepared(schedule(), NETWORK, 0, 32)
    history = []
    for epoch, loss in enumerate([0.5, 0.1, 0.4, 0.3, 0.2], start=1):
        history.append({"epoch": epoch, "val_loss": loss})
        network.variables[0].assign(np.full(network.variables[0].shape, epoch))
        states.save(folder, network, optimiser, history)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def restored(folder):
    network, optimiser = prepared(schedule(), NETWORK, 0, 32)
    said = []
    history = states.restore(folder, network, optimiser, said.append)
    return len(history), float(keras.ops.convert_to_numpy(network.variables[0]).max()), said


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def remove(path):
    path.unlink()


def test_the_last_two_and_the_best_are_kept(folder):
    assert [path.name for path in sorted(folder.iterdir())] == ["epoch-002", "epoch-004", "epoch-005"]
    assert restored(folder)[:2] == (5, 5)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty, remove])
@pytest.mark.parametrize("name", ["weights.npz", "optimiser.npz"])
def test_a_damaged_state_is_set_aside_with_a_word(folder, damage, name):
    damage(folder / "epoch-005" / name)
    epoch, value, said = restored(folder)
    assert (epoch, value) == (4, 4)
    assert len(said) == 1 and "epoch-005 set aside, going on from the one before" in said[0]
    assert (folder / "epoch-005.damaged").exists() and not (folder / "epoch-005").exists()


def test_a_state_whose_best_epoch_is_damaged_is_of_no_use(folder):
    flip_a_bit(folder / "epoch-002" / "weights.npz")
    epoch, _, said = restored(folder)
    assert epoch == 0 and len(said) == 3


def test_a_damaged_training_ends_with_the_bits_of_one_that_was_not(whole, tmp_path):
    folder = shutil.copytree(whole.folder, tmp_path / "copy")
    truncate(states.best_weights(folder, whole.history))
    said = []
    again, history = train(squares(4), squares(2), schedule(), NETWORK, 2, folder, say=said.append)
    assert len(said) == 1 and [epoch["epoch"] for epoch in history] == [1, 2, 3]
    for a, b in zip(whole.model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


def test_a_training_that_has_ended_needs_only_its_best_weights_and_its_history(whole, tmp_path):
    folder = shutil.copytree(whole.folder, tmp_path / "copy")
    best = states.best_weights(folder, whole.history)
    for path in folder.rglob("*.npz"):
        if path != best:
            path.unlink()
    said = []
    again, history = train(squares(4), squares(2), schedule(), NETWORK, 2, folder, say=said.append)
    assert not said and history == whole.history
    for a, b in zip(whole.model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


@pytest.mark.parametrize("lost", ["epoch-002/weights.npz", "epoch-005/history.json"])
def test_a_training_that_has_ended_without_what_it_needs_is_none(folder, lost):
    assert len(states.finished(folder, 5)) == 5 and states.finished(folder, 6) == []
    flip_a_bit(folder / lost) if lost.endswith("npz") else empty(folder / lost)
    assert states.finished(folder, 5) == []


def test_a_full_disk_leaves_the_states_that_were_there(folder, monkeypatch):
    network, optimiser = prepared(schedule(), NETWORK, 0, 32)
    history = json.loads((folder / "epoch-005" / "history.json").read_text())

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        states.save(folder, network, optimiser, [*history, {"epoch": 6, "val_loss": 0.6}])
    assert [path.name for path in sorted(folder.iterdir())] == ["epoch-002", "epoch-004", "epoch-005"]


def test_two_do_not_train_into_one_folder(tmp_path):
    with states.claimed(tmp_path):
        with pytest.raises(HarnessError, match="another process is training"):
            train(squares(4), squares(2), schedule(), NETWORK, 2, tmp_path)
        assert not list(tmp_path.glob("epoch-*"))
    with states.claimed(tmp_path):
        pass


def test_the_thousandth_epoch_comes_after_the_one_before(folder):
    (folder / "epoch-005").rename(folder / "epoch-1000")
    (folder / "epoch-004").rename(folder / "epoch-999")
    assert [state.name for state in states._whole_epochs(folder)] == ["epoch-002", "epoch-999", "epoch-1000"]


def test_a_loss_that_is_no_number_is_never_the_best():
    history = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate([float("nan"), 0.5, 0.7, float("nan")], 1)]
    assert states.best(history)["epoch"] == 2


def test_a_training_that_diverges_says_so_and_keeps_what_was_whole(tmp_path):
    from harness.core import clock
    from harness.network.training import _Keeper

    network, optimiser = prepared(schedule(), NETWORK, 0, 32)
    keeper = _Keeper(tmp_path, network, schedule(), [], None, None)
    keeper.epoch_began, keeper.trained = clock.read(), 1.0
    keeper.set_model(SimpleNamespace(optimizer=optimiser))
    keeper.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.4})
    with pytest.raises(FloatingPointError, match=r"diverged: loss nan, validation 0.3 in epoch 2; a profile with a smaller"):
        keeper.on_epoch_end(1, {"loss": float("nan"), "val_loss": 0.3})
    assert [path.name for path in tmp_path.glob("epoch-*")] == ["epoch-001"]


def test_a_training_that_collapsed_is_told_and_not_taken_for_finished(whole, tmp_path):
    folder = shutil.copytree(whole.folder, tmp_path / "copy")
    path = folder / "epoch-003" / "history.json"
    history = json.loads(path.read_text())
    history[-1]["val_loss"] = 3.1 * min(epoch["val_loss"] for epoch in history[:-1])
    path.write_text(json.dumps(history))
    with pytest.raises(FloatingPointError, match=r"collapsed: validation loss .* in its last epoch, .* a smaller learning rate"):
        train(squares(4), squares(2), schedule(), NETWORK, 2, folder)


@pytest.mark.parametrize(("steps", "val_loss", "told"), [(40, 3.0, True), (40, 0.3, False), (4, 3.0, False)])
def test_a_training_that_learned_nothing_is_told_where_it_had_the_time(whole, tmp_path, steps, val_loss, told):
    """The toy's best single answer has a loss of about 1."""
    folder = shutil.copytree(whole.folder, tmp_path / "copy")
    path = folder / "epoch-003" / "history.json"
    history = [epoch | {"val_loss": val_loss} for epoch in json.loads(path.read_text())]
    path.write_text(json.dumps(history))
    best = folder / f"epoch-{states.best(history)['epoch']:03d}"
    best.mkdir(exist_ok=True)
    shutil.copy(folder / "epoch-003" / "weights.npz", best)
    expected = pytest.raises(FloatingPointError, match=r"learned nothing: .* is 3, and 0\.\d+ that of") if told else nullcontext()
    with expected:
        train(squares(4), squares(2), schedule(steps_per_epoch=steps), NETWORK, 2, folder)
