"""The annotation, spoilt in a known way: label images worked out by hand, and rows of the report."""

import json

import numpy as np
import pytest
import tifffile

from harness.datasets import Field, open_dataset
from harness.experiment import tracking
from harness.sources import open_source
from harness.sources.controls import CONTROLS

NUCLEI = np.array([[0, 0, 0, 0, 0, 0], [0, 1, 1, 2, 0, 3], [0, 0, 0, 0, 0, 0]], np.int32)
EXPECTED = {
    "annotation": NUCLEI,
    "shifted": [[0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 2, 0], [0, 0, 0, 0, 0, 0]],
    "dilated": [[0, 1, 1, 2, 0, 3], [1, 1, 1, 2, 2, 3], [0, 1, 1, 2, 0, 3]],
    "merged": [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0]],
    "empty": np.zeros((3, 6)),
}


@pytest.mark.parametrize("change", CONTROLS)
def test_each_change_on_three_nuclei(change):
    field = Field("f", lambda _: NUCLEI, lambda _: NUCLEI)
    labels, ignore = open_source(f"control:{change}").label(field)
    assert labels.dtype == np.int32 and labels.tolist() == np.array(EXPECTED[change]).astype(int).tolist()
    assert not ignore.any() and NUCLEI.max() == 3


@pytest.fixture
def reported(harness, fields, tmp_path):
    """A report with controls and a ceiling, the annotation moved by a pixel, beside a classical row."""
    dataset = open_dataset(str(fields))
    (tmp_path / "second").mkdir()
    for name in dataset.splits["test"]:
        tifffile.imwrite(tmp_path / "second" / f"{name}.tif", np.roll(dataset.read_nuclei(name), 1, axis=0).astype(np.uint16))
    where = ("--dataset", fields)
    assert harness("score", "second", tmp_path / "second", "--ceiling", *where)[0] == 0
    assert harness("run", "classical-shape-intensity", *where, "--profile", "smoke")[0] == 0
    code, out, err = harness("report", "--controls", *where, "--profile", "smoke")
    assert code == 0, err
    return tmp_path / "report", out


@pytest.mark.integration
def test_controls_and_ceiling_stand_beside_the_rows_and_are_scored_once(harness, fields, reported):
    folder, _ = reported
    metrics = {run["row"]: run["metrics"] for run in json.loads((folder / "results.json").read_text())["runs"]}
    assert {f"control-{change}" for change in CONTROLS} < set(metrics)
    assert metrics["control-annotation"]["dice_nuclei"] == metrics["control-annotation"]["jaccard"] == 1
    assert metrics["control-empty"]["dice_nuclei"] == metrics["control-empty"]["jaccard_equal"] == 0
    assert metrics["control-merged"]["jaccard_equal"] < metrics["control-shifted"]["jaccard_equal"]
    for change in ("shifted", "dilated"):
        assert 0.85 < metrics[f"control-{change}"]["dice_nuclei"] < 1
    text = (folder / "report.md").read_text()
    assert (
        "*Control: the annotation, shifted by one pixel to the right*" in text
        and "*second \\(ceiling\\)*".replace("\\", "") in text
    )
    best = [line for line in text.splitlines() if line.startswith("| Classical Shape/Intensity") and "**" in line]
    assert best  # the only row that competes
    assert (folder / "figures" / "placed.png").stat().st_size > 10_000

    runs = {run.run_id for run in tracking.runs()}
    assert harness("report", "--controls", "--dataset", fields, "--profile", "smoke")[0] == 0
    assert {run.run_id for run in tracking.runs()} == runs
    assert harness("report", "--dataset", fields, "--profile", "smoke")[0] == 0
    assert "Control:" not in (folder / "report.md").read_text()
    assert "control-" not in harness("list", "--dataset", fields)[1]


def test_a_row_that_is_called_like_a_control_is_refused(harness, fields, tmp_path):
    (tmp_path / "own.toml").write_text('[rows.control-empty]\ntitle = "x"\nmethod = "network"\nlabels = "manual"\n')
    code, _, err = harness("report", "--controls", "--dataset", fields, "--file", tmp_path / "own.toml")
    assert code == 2 and "the registry has a row 'control-empty'" in err and err.count("\n") == 1
