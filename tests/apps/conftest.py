import shutil

import numpy as np
import pytest

from tests.conftest import _command, _working_in

FOUR = [f"classical-{seeds}-{lines}" for seeds in ("shape", "intensity") for lines in ("intensity", "shape")]


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """A data folder as of a lab with little time: 22 small fields, the 6 test fields annotated."""
    from harness.datasets import DataSet, open_dataset, write_folder

    whole = open_dataset("synthetic")
    crop, annotated = np.s_[60:360, 100:420], set(whole.splits["test"])
    small = DataSet(
        "lab",
        "",
        whole.splits,
        lambda name: whole.read_image(name)[crop],
        lambda name: whole.read_nuclei(name)[crop] if name in annotated else None,
    )
    folder = tmp_path_factory.mktemp("data") / "lab"
    write_folder(small, folder)
    return folder


@pytest.fixture(scope="session")
def lab_store(empty_store, lab, tmp_path_factory):
    """A folder with a store in which the four classical rows were run on `lab`."""
    folder = tmp_path_factory.mktemp("lab-store")
    shutil.copy(empty_store, folder)
    with _working_in(folder):
        code, _, err = _command("run", *FOUR, "--dataset", lab)
        assert code == 0, err
    return folder


@pytest.fixture
def in_lab(lab_store, lab):
    """The command, run where the four classical rows are; `--dataset` is added."""
    with _working_in(lab_store):
        yield lambda *arguments: _command(*arguments, "--dataset", lab)
