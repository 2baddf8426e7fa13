"""A toy training, for tests and as a program of its own: toy.py train FOLDER [SETTINGS], toy.py gradients FILE.npz.

A training says "begun", "step" after each step, and "ended".
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from harness.network.training import Schedule, TileSet, train

NETWORK = {"base": 4, "last": 8}


def squares(count, size=32):
    """Bright squares on a noisy ground, and their class maps."""
    rng = np.random.default_rng(0)
    images, class_maps = rng.integers(0, 30, (count, size, size)), np.zeros((count, size, size), np.uint8)
    for image, class_map in zip(images, class_maps, strict=True):
        y, x = rng.integers(2, size - 14, 2)
        image[y : y + 12, x : x + 12] += 200
        class_map[y : y + 12, x : x + 12] = 1
    return TileSet(images.astype(np.uint16), class_maps)


def schedule(**changes):
    values = {
        "epochs": 3,
        "steps_per_epoch": 4,
        "batch": 1,
        "learning_rate": 1e-2,
        "decay": "cosine",
        "warmup_steps": 2,
        "validation_tiles": 2,
        "augmented_validation": False,
        "threads": 2,
        "precision": "float32",
    }
    return Schedule(**values | changes)


def gradients():
    """Loss and its gradients at the initial weights, without dropout: arrays by name."""
    import keras

    from harness.network.loss import log_dice_loss
    from harness.network.unet import unet

    network, tile_set = unet(**NETWORK), squares(2)
    image, class_map = tile_set.images[..., None].astype(np.float32) / 100, tile_set.class_maps

    def loss_of(weights):
        probabilities, _ = network.stateless_call(weights, network.non_trainable_variables, image, training=False)
        return log_dice_loss(class_map, probabilities)

    if keras.backend.backend() == "jax":
        import jax

        loss, found = jax.value_and_grad(loss_of)([variable.value for variable in network.trainable_variables])
    else:
        import tensorflow

        with tensorflow.GradientTape() as tape:
            loss = log_dice_loss(class_map, network(image, training=False))
        found = tape.gradient(loss, [variable.value for variable in network.trainable_variables])
    return {"loss": np.asarray(loss), **{f"{i:03d}": np.asarray(gradient) for i, gradient in enumerate(found)}}


if __name__ == "__main__":
    what, where, *settings = sys.argv[1:]
    if what == "gradients":
        np.savez(where, **gradients())
    else:
        print("begun", flush=True)
        changes = json.loads((settings or ["{}"])[0])
        train(squares(5), squares(3), schedule(**changes), NETWORK, 1, Path(where), on_step=lambda _: print("step", flush=True))
        print("ended", flush=True)
