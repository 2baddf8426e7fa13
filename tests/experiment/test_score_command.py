"""Predictions of other tools, scored by the command and put into the tables."""

import json

import mlflow
import numpy as np
import pytest
import tifffile

from harness.datasets import open_dataset
from harness.experiment import tracking

FOUR = ("dice_nuclei", "dice_separations", "jaccard", "jaccard_equal")


@pytest.fixture
def annotation(fields, tmp_path):
    """The manual labels of the test fields, as if a tool had found them."""
    dataset = open_dataset(str(fields))
    for name in dataset.splits["test"]:
        (tmp_path / "perfect").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / "perfect" / f"{name}.tif", dataset.read_nuclei(name).astype(np.uint16))
    return tmp_path / "perfect"


def test_the_annotation_itself_scores_one_and_stands_in_the_tables_as_external(harness, fields, annotation, tmp_path):
    code, out, _ = harness("score", "perfect", annotation, "--dataset", fields)
    assert code == 0 and "dice_nuclei" in out and "1.0000" in out and "external" in out
    said = json.loads(harness("score", "perfect", annotation, "--dataset", fields, "--json")[1])
    assert said["row"] == "perfect" and [said["metrics"][name] for name in FOUR[:3]] == [1, 1, 1]
    stored = mlflow.get_run(said["run_id"])
    assert stored.data.tags["harness.method"] == "external" and stored.data.metrics["jaccard"] == 1

    assert harness("report", "--dataset", fields, "--profile", "smoke")[0] == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert "perfect (external)" in text
    (entry,) = json.loads((tmp_path / "report" / "results.json").read_text())["runs"]
    assert (entry["row"], entry["profile"], entry["run_id"]) == ("perfect", "external", said["run_id"])
    listed = json.loads(harness("list", "--dataset", fields, "--json")[1])
    assert (listed[-1]["row"], listed[-1]["method"], listed[-1]["state"]) == ("perfect", "external", "finished, n = 1")


def test_a_tools_labels_score_as_the_row_of_the_same_labels(harness, fields):
    assert harness("label", "cellprofiler:shape/shape", fields / "images", "theirs", "--workers", 1)[0] == 0
    assert harness("run", "classical-shape-shape", "--dataset", fields)[0] == 0
    said = json.loads(harness("score", "theirs", "theirs", "--dataset", fields, "--json")[1])["metrics"]
    (run,) = [run for run in tracking.runs() if run.row == "classical-shape-shape"]
    assert {name: said[name] for name in FOUR} == {name: run.metrics[name] for name in FOUR}


def test_the_last_predictions_of_a_name_count_also_when_their_folder_is_gone(harness, fields, annotation, tmp_path):
    command = ("score", "mine", annotation, "--dataset", fields, "--json")
    first = json.loads(harness(*command)[1])
    assert json.loads(harness(*command)[1])["run_id"] == first["run_id"]
    for file in annotation.iterdir():
        tifffile.imwrite(file, np.roll(tifffile.imread(file), 4, axis=1))
    second = json.loads(harness(*command)[1])
    assert second["run_id"] != first["run_id"] and second["metrics"]["dice_nuclei"] < 1
    for file in annotation.iterdir():
        file.unlink()
    for again in ((), ("--recompute",)):
        assert harness("report", "--dataset", fields, *again)[0] == 0
        (entry,) = json.loads((tmp_path / "report" / "results.json").read_text())["runs"]
        assert entry["run_id"] == second["run_id"]
        assert entry["metrics"]["dice_nuclei"] == pytest.approx(second["metrics"]["dice_nuclei"])


def test_an_external_row_whose_name_a_file_takes_locks_nobody_out(harness, tiny_data, tmp_path):
    file = tmp_path / "own.toml"
    assert harness("score", "mine", tiny_data / "masks", "--dataset", tiny_data)[0] == 0
    file.write_text('[rows.mine]\ntitle = "Mine"\nmethod = "classical"\nlabels = "cellprofiler:shape/shape"\n')
    for command in (("list", "--json"), ("run", "mine")):
        code, out, err = harness(*command, "--dataset", tiny_data, "--file", file)
        assert code == 0, err
        if command[0] == "list":
            (listed,) = json.loads(out)
            assert (listed["method"], listed["state"]) == ("classical", "stale")


@pytest.mark.parametrize(
    ("name", "folder", "said"),
    [
        ("classical-shape-shape", "perfect", "'classical-shape-shape' is a row of the registry"),
        ("a/b", "perfect", "'a/b' cannot name a row"),
        ("mine", "nowhere", "mine: not available, 2 test fields of small have no label image in"),
        ("mine", "floats", "is a mask of float32 values"),
        ("mine", "small", "is 5x5 px, but its image 240x270 px"),
    ],
)
def test_predictions_that_cannot_be_scored_are_refused_in_one_line(harness, fields, annotation, tmp_path, name, folder, said):
    for other, array in {"floats": np.ones((240, 270), np.float32), "small": np.eye(5, dtype=np.uint8) * 3}.items():
        (tmp_path / other).mkdir()
        for file in annotation.iterdir():
            tifffile.imwrite(tmp_path / other / file.name, array)
    code, _, err = harness("score", name, folder, "--dataset", fields)
    assert code == 2 and said in err and err.count("\n") == 1
    assert harness("list", "--dataset", fields, "--json")[1].count('"row"') == 7
