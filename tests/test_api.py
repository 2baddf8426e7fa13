"""The six calls from Python, beside what the command does."""

import numpy as np
import pytest
import tifffile

from harness import api
from harness.core.errors import HarnessError
from harness.experiment import tracking


def test_a_row_is_run_read_and_reported(store, fields, tmp_path):
    session = api.open_dataset(str(fields))
    assert len(session.dataset.splits["test"]) == 2
    lines = []
    (outcome,) = api.run(session, ["classical-shape-shape"], say=lambda name, line, **_: lines.append(line))
    assert not outcome.failure and "scoring 2 fields" in lines
    frame = api.results(session).set_index("row")
    (run,) = tracking.runs()
    done = frame.loc["classical-shape-shape"]
    assert (done["run_id"], done["jaccard"], done["seed"]) == (run.run_id, run.metrics["jaccard"], 0)
    assert len(frame) == 7 and (frame["state"].value_counts()[["done", "not run"]] == [1, 6]).all()
    written = api.write_report(session, tmp_path / "report", figures=False)
    assert written["runs"][0]["run_id"] == run.run_id and (tmp_path / "report" / "report.md").exists()


def test_labels_are_those_of_the_command(harness, fields, tmp_path):
    asked = ("--set", "min_diameter=12", "--refine", "half-contrast", "--workers", 1)
    assert harness("label", "cellprofiler:shape/intensity", fields / "images", "out", *asked)[0] == 0
    file = min((fields / "images").iterdir())
    labels, ignore = api.make_labels(
        tifffile.imread(file), "cellprofiler:shape/intensity", {"min_diameter": 12}, ["half-contrast"]
    )
    np.testing.assert_array_equal(labels, tifffile.imread(tmp_path / "out" / f"{file.stem}.tif"))
    assert not ignore.any()
    with pytest.raises(HarnessError, match="not made from images"):
        api.make_labels(np.zeros((9, 9)), "manual")


def test_an_array_is_segmented_as_its_file_is(in_finished, fields, tmp_path):
    (tmp_path / "one").mkdir()
    image = tifffile.imread(min((fields / "images").iterdir()))
    tifffile.imwrite(tmp_path / "one" / "image.tif", image)
    model = "models:/network-consensus@best"
    assert in_finished("segment", model, tmp_path / "one", tmp_path / "out")[0] == 0
    nuclei = api.segment(image, model)
    assert nuclei.dtype == np.int32
    np.testing.assert_array_equal(nuclei, tifffile.imread(tmp_path / "out" / "image.tif"))
