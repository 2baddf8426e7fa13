"""The state of a training on disk, in a folder `epoch-NNN` that appears whole or not at all.

Each holds `weights.npz` (with the random state of dropout), `optimiser.npz` and `history.json`; the order of the tiles
follows from the number of the epoch. The last two and the best are kept, so that a damaged one can be done without.
"""

import json
import math
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import keras
import numpy as np

from harness.core import files

DAMAGE = (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error)


def claimed(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from training into the same folder; see `harness.core.files.claimed`."""
    return files.claimed(folder / "lock", f"{folder}: another process is training this network; wait for it or stop it")


def save(folder: Path, network: keras.Model, optimiser: keras.Optimizer, history: list[dict]) -> None:
    """Write the state after the last epoch of `history`, and let go of those that are not needed any more.

    Parameters
    ----------
    folder : Path
        Of the training.
    network : keras.Model
    optimiser : keras.Optimizer
    history : list of dict
        One record per epoch, with "epoch" and "val_loss".
    """
    whole = _epoch(folder, len(history))
    partial = whole.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write(partial / "weights.npz", lambda file: _save(file, network.variables))
        _write(partial / "optimiser.npz", lambda file: _save(file, optimiser.variables))
        _write(partial / "history.json", lambda file: file.write(json.dumps(history).encode()))
        partial.replace(whole)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for old in _whole_epochs(folder)[:-2]:
        if old != _epoch(folder, best(history)["epoch"]):
            shutil.rmtree(old)


def finished(folder: Path, epochs: int) -> list[dict]:
    """History of a training that has ended, for which the weights of its best epoch are all that is needed.

    Parameters
    ----------
    folder : Path
        Of the training.
    epochs : int
        How many it has.

    Returns
    -------
    list of dict
        Empty where it goes on, or where what is needed is damaged.
    """
    try:
        history = json.loads((_epoch(folder, epochs) / "history.json").read_text())
        _read(best_weights(folder, history))
    except DAMAGE:
        return []
    return history


def restore(folder: Path, network: keras.Model, optimiser: keras.Optimizer, say: Callable[[str], object]) -> list[dict]:
    """Load the last state that is whole and whose best epoch is whole; others are set aside.

    Parameters
    ----------
    folder : Path
        Of the training.
    network : keras.Model
    optimiser : keras.Optimizer
        Built for the network.
    say : callable
        Is told what was set aside, and why.

    Returns
    -------
    list of dict
        History up to that state; empty when training begins.
    """
    for state in reversed(_whole_epochs(folder)):
        try:
            history = json.loads((state / "history.json").read_text())
            weights, moments = _read(state / "weights.npz"), _read(state / "optimiser.npz")
            _read(best_weights(folder, history))
        except DAMAGE as error:
            _set_aside(state)
            say(f"{state} set aside, going on from the one before: {error}")
            continue
        assign(network.variables, weights)
        assign(optimiser.variables, moments)
        return history
    return []


def load_best(folder: Path, network: keras.Model, history: list[dict]) -> None:
    """Give a network the weights of the epoch with the smallest validation loss."""
    assign(network.variables, _read(best_weights(folder, history)))


def best_weights(folder: Path, history: list[dict]) -> Path:
    """File with the weights of the best epoch."""
    return _epoch(folder, best(history)["epoch"]) / "weights.npz"


def best(history: list[dict]) -> dict:
    """Record of the epoch with the smallest validation loss; one that is not a number is no smallest."""
    return min(history, key=lambda record: math.inf if math.isnan(record["val_loss"]) else record["val_loss"])


def assign(variables: list[keras.Variable], arrays: list[np.ndarray]) -> None:
    """Set Keras variables one after the other."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _epoch(folder: Path, number: int) -> Path:
    return folder / f"epoch-{number:03d}"


def _whole_epochs(folder: Path) -> list[Path]:
    states = [state for state in folder.glob("epoch-*") if not state.suffix]
    return sorted(states, key=lambda state: int(state.name.removeprefix("epoch-")))


def _set_aside(state: Path) -> None:
    damaged = state.with_suffix(".damaged")
    shutil.rmtree(damaged, ignore_errors=True)
    state.rename(damaged)


def _write(path: Path, content: Callable[[BinaryIO], object]) -> None:
    with path.open("wb") as file:
        content(file)
        file.flush()
        os.fsync(file.fileno())


def _save(file: BinaryIO, variables: list[keras.Variable]) -> None:
    np.savez(file, **{f"{i:03d}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)})


def _read(path: Path) -> list[np.ndarray]:
    """Arrays of a file, in order; reading them all is what checks them (each has a CRC-32)."""
    with np.load(path) as arrays:
        return [arrays[name] for name in sorted(arrays.files)]
