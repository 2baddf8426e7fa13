"""What trainings left on disk, for tests to compare bit by bit."""

import numpy as np


def states(folder):
    """Every array of every training state below a folder, by file and name."""
    return {
        f"{path.relative_to(folder)} {name}": array
        for path in sorted(folder.rglob("*.npz"))
        for name, array in np.load(path).items()
    }


def assert_same(there, here):
    assert there.keys() == here.keys() and there
    for name, array in here.items():
        np.testing.assert_array_equal(there[name], array, err_msg=name)
