"""Label images of any tool as label source: what is found, what it does to a row, what is refused."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

from harness.core.errors import HarnessError
from harness.datasets import Field, open_dataset
from harness.experiment import registry
from harness.sources import Folder, open_source

LABELS = np.zeros((20, 30), np.uint16)
LABELS[2:8, 3:9], LABELS[8:12, 3:9] = 1, 2
ROW = (
    '[rows.theirs]\ntitle = "Theirs"\nmethod = "{method}"\nlabels = "folder:{folder}"\n'
    '[tables.t]\ntitle = "T"\nmetrics = ["dice_nuclei", "jaccard"]\n'
)


def field(name, shape=LABELS.shape):
    return Field(name, lambda _: np.zeros(shape, np.uint16), lambda _: None)


def write(path, method, folder):
    path.write_text(ROW.format(method=method, folder=folder))
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.ome.tif", "a_cp_masks.tif", "a_cp_masks.png", "a/"])
def test_the_names_that_tools_give(tmp_path, name):
    if name.endswith("/"):
        (tmp_path / name).mkdir()
        for id_ in (1, 2):
            imwrite(tmp_path / name / f"{id_}.png", (id_ == LABELS).astype(np.uint8) * 255)
    else:
        (tifffile.imwrite if "tif" in name else imwrite)(tmp_path / name, LABELS)
    found, ignored = Folder(str(tmp_path)).label(field("a"))
    np.testing.assert_array_equal(found, LABELS)
    assert not ignored.any() and ignored.shape == LABELS.shape
    assert Folder(str(tmp_path)).file("b") is None


def test_what_harness_label_wrote_is_the_source_it_was_made_by(harness, fields, tmp_path):
    assert harness("label", "consensus", fields / "images", "consensus", "--workers", 1)[0] == 0
    dataset, stored = open_dataset(str(fields)), open_source(f"folder:{tmp_path / 'consensus'}")
    ignored = 0
    for name in dataset.splits["training"]:
        there = stored.label(dataset.field(name))
        for found, expected in zip(there, open_source("consensus").label(dataset.field(name)), strict=True):
            np.testing.assert_array_equal(found, expected)
        ignored += there[1].sum()
    assert ignored


@pytest.mark.parametrize("folder", ["", r"a\u0000b"])
def test_a_folder_that_none_can_be_called_is_refused(tmp_path, folder):
    with pytest.raises(HarnessError, match="names no folder; write folder:DIR"):
        registry.load_registry(write(tmp_path / "own.toml", "classical", folder))


def test_labels_of_another_size_or_there_twice_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS)
    with pytest.raises(HarnessError, match="a.tif: is 20x30 px, but its image 20x31 px"):
        Folder(str(tmp_path)).label(field("a", (20, 31)))
    imwrite(tmp_path / "a.png", LABELS)
    with pytest.raises(HarnessError, match="a.png: is a second label image of a beside a.tif"):
        Folder(str(tmp_path)).file("a")


def test_the_hash_follows_the_labels_and_not_where_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    tifffile.imwrite(tmp_path / "here" / "a.tif", LABELS)
    dataset = SimpleNamespace(name="some", digest="0" * 64, splits={"training": ("a",), "validation": ("b",), "test": ()})

    def spec(folder):
        rows = registry.load_registry(write(tmp_path / "own.toml", "network", folder))
        return registry.resolve(rows, "theirs", "smoke", dataset, 0)

    here = spec("here")
    shutil.copytree("here", "there")
    there = spec(tmp_path / "there")
    assert (here.hash, here.training_hashes()[0]) == (there.hash, there.training_hashes()[0]) and here.labels != there.labels
    tifffile.imwrite(tmp_path / "there" / "a.tif", LABELS * 2)
    assert spec("there").hash != here.hash and spec("there").training_hashes()[0] != here.training_hashes()[0]


def test_a_row_of_stored_labels_scores_like_the_row_that_made_them_until_they_change(harness, fields, tmp_path):
    assert harness("label", "cellprofiler:shape/shape", fields / "images", "theirs", "--workers", 1)[0] == 0
    own = write(tmp_path / "own.toml", "classical", "theirs")
    assert harness("run", "classical-shape-shape", "--dataset", fields)[0] == 0
    assert harness("run", "theirs", "--dataset", fields, "--file", own)[0] == 0
    from harness.experiment import tracking

    tracking.connect()
    scores = [{key: value for key, value in run.metrics.items() if not key.startswith("seconds")} for run in tracking.runs()]
    assert len(scores) == 2 and scores[0] == scores[1]

    name = open_dataset(str(fields)).splits["test"][0]
    tifffile.imwrite(tmp_path / "theirs" / f"{name}.tif", np.roll(tifffile.imread(tmp_path / "theirs" / f"{name}.tif"), 3))
    listed = ("list", "--dataset", fields, "--file", own)
    assert json.loads(harness(*listed, "--json")[1])[0]["state"] == "stale"


def test_rows_whose_labels_are_missing_are_listed_and_refused(harness, fields, tmp_path):
    own = write(tmp_path / "own.toml", "network", "nowhere")
    code, out, _ = harness("list", "--dataset", fields, "--file", own)
    assert code == 0 and f"theirs: not available, 3 training fields of small have no label image in {tmp_path / 'nowhere'}" in out
    code, _, err = harness("run", "theirs", "--dataset", fields, "--file", own, "--profile", "smoke")
    assert code == 2 and "not available, 3 training fields" in err and err.count("\n") == 1
    assert harness("label", "folder:x", fields / "images", "out")[0] == 2
