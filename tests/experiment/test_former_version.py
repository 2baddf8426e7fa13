"""A store and a runs folder of version 0.1.0, see data/README.md, are gone on with."""

import json
import sqlite3
import tarfile
from pathlib import Path

import pytest

MADE_IN = "/made/here"
STORE = Path(__file__).parent / "data" / "store-0.1.0.tar.xz"


@pytest.fixture
def former(tmp_path, harness):
    """Its files in the working folder."""
    with tarfile.open(STORE) as archive:
        archive.extractall(tmp_path, filter="data")
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (MADE_IN, str(tmp_path)))
        store.execute("UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", (MADE_IN, str(tmp_path)))
    tiny = tmp_path / "tiny.toml"
    text = tiny.read_text().replace('method = "network"', 'method = "network"\nloss = "dice"')
    tiny.write_text(f"tile = 512\n{text}")  # its tiles were padded to that, however small the fields

    def command(*arguments, dataset="small"):
        return harness(*arguments, "--dataset", dataset, "--profile", "smoke", "--file", "tiny.toml")

    return command


def test_finished_runs_are_not_done_again_and_stopped_ones_go_on(former):
    code, out, err = former("run", "classical-shape-intensity", "network-manual", "network-shape-intensity")
    assert code == 0, err
    assert out.count("done before") == 2
    assert "epoch 2/2" in out and "epoch 1/2" not in out, "the state of the training that was stopped is taken up"
    states = [row["state"] for row in json.loads(former("list", "--json")[1])]
    assert states.count("finished, n = 1") == 3


def test_a_data_folder_may_be_renamed(former, tmp_path):
    assert former("run", "classical-shape-shape")[0] == 0
    (tmp_path / "small").rename(tmp_path / "renamed")
    code, out, err = former("run", "classical-shape-shape", dataset="renamed")
    assert code == 0 and "done before" in out, err


@pytest.mark.integration
def test_another_loss_is_run_anew(former, tmp_path):
    tiny = tmp_path / "tiny.toml"
    tiny.write_text(tiny.read_text().replace('loss = "dice"\n', ""))
    code, out, err = former("run", "network-manual")
    assert code == 0, err
    assert "done before" not in out and "epoch 1/2" in out
