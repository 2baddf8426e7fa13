from pathlib import Path
from typing import Any, NamedTuple

import pytest


@pytest.fixture(scope="session", autouse=True)
def settled(backend):
    """Everything here computes."""


class Trained(NamedTuple):
    model: Any  # a Keras model
    history: list
    folder: Path


@pytest.fixture(scope="session")
def whole(settled, tmp_path_factory):
    """A training of three epochs that nothing stopped, of the toy's tiles (4 and 2) and seed 2."""
    from toy import NETWORK, schedule, squares

    from harness.network.training import train

    folder = tmp_path_factory.mktemp("whole")
    return Trained(*train(squares(4), squares(2), schedule(), NETWORK, 2, folder), folder)
