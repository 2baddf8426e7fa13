import json

import keras
import numpy as np
from oracles import orient
from toy import NETWORK, schedule, squares

from harness.method import tiles
from harness.network import resident, training
from harness.network.loss import log_dice_loss
from harness.network.resident import Resident
from harness.network.training import train

EVERY_ORIENTATION = np.array([(tile, turn) for tile in range(3) for turn in range(tiles.ORIENTATIONS)], np.int32)


def test_the_device_normalises_and_turns_tiles_as_numpy_does(monkeypatch):
    tile_set = squares(3)
    images = [tiles.normalise(image) for image in tile_set.images]
    monkeypatch.setattr(resident, "AT_ONCE", 2)
    learner = Resident(keras.layers.Identity(), [tile_set], "log-dice")
    seen = keras.ops.convert_to_numpy(learner(EVERY_ORIENTATION))
    expected = np.stack([orient(images[tile], turn) for tile, turn in EVERY_ORIENTATION])
    np.testing.assert_array_equal(seen[..., 0], expected)
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], (24, 32, 32)).astype(np.float32)
    class_maps = np.stack([orient(tile_set.class_maps[tile], turn) for tile, turn in EVERY_ORIENTATION])
    np.testing.assert_array_equal(
        learner.compute_loss(EVERY_ORIENTATION, y_pred=probabilities), log_dice_loss(class_maps, probabilities)
    )


def test_steps_in_one_dispatch_are_the_steps_one_by_one(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(training.backend, "on_gpu", lambda: True)
    monkeypatch.setattr(training.backend, "device", lambda: "GPU")  # whose model nobody can tell here
    assert training.per_dispatch(4) == 2 and training.per_dispatch(3200) == 50
    at_once, _ = train(squares(4), squares(2), schedule(), NETWORK, 2, tmp_path)
    for a, b in zip(whole.model.variables, at_once.variables, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b), rtol=1e-4, atol=1e-6)
    stored = json.loads((tmp_path / "epoch-003" / "history.json").read_text())
    assert [epoch["loss"] for epoch in stored] == [epoch["loss"] for epoch in whole.history]
