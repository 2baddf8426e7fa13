"""Commands that only read a store, where the data set is not at hand: it is named by its name, and no folder is called so."""

import json
import shutil

import pytest
import tifffile

from harness.core.errors import HarnessError
from harness.datasets import bbbc039, open_dataset
from harness.datasets.stored import described, not_at_hand
from harness.experiment import tracking

SMOKE = ("--profile", "smoke")


def test_what_is_kept_is_all_but_the_pixels(fields):
    dataset = open_dataset(str(fields))
    kept = not_at_hand(json.loads(json.dumps(described(dataset))))
    for name in ("name", "digest", "splits", "unannotated"):
        assert getattr(kept, name) == getattr(dataset, name)
    assert dataset.at_hand and not kept.at_hand
    with pytest.raises(HarnessError, match="small: field x is needed and the data set is not at hand"):
        kept.annotation("x")


@pytest.mark.parametrize("command", [("list",), ("compare", "--all")])
def test_list_and_compare_say_the_same_as_with_the_data(in_finished, fields, tiny, command):
    asked = (*command, "--json", "--file", tiny, *SMOKE)
    with_data, without = (in_finished(*asked, "--dataset", dataset) for dataset in (fields, "small"))
    assert with_data[0] == 0 and with_data == without


def test_the_report_has_the_same_numbers_and_leaves_out_pictures_of_fields(in_finished, finished, tiny, tmp_path):
    assert in_finished("report", "--dataset", "small", "--file", tiny, *SMOKE, "--out", tmp_path / "report")[0] == 0
    before, after = (json.loads((place / "report" / "results.json").read_text()) for place in (finished, tmp_path))
    assert before == after
    drawn = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    assert drawn == {"scores.png", "iou.png", "learning-curves.png", "network-2-2.png"}
    text, whole = ((place / "report" / "report.md").read_text() for place in (tmp_path, finished))
    assert "Pictures of fields are left out: the images of `small` were not at hand." in text
    assert text.split("## Figures")[0] == whole.split("## Figures")[0] and "left out: the images" not in whole


def test_scoring_again_needs_the_annotation(in_finished, tiny, tmp_path):
    asked = ("report", "--recompute", "--dataset", "small", "--file", tiny, *SMOKE, "--out", tmp_path / "report")
    code, _, err = in_finished(*asked)
    assert code == 2 and "the data set is not at hand" in err and not (tmp_path / "report").exists()


def test_runs_of_an_earlier_harness_name_the_fields_that_they_scored(in_finished, fields, tiny, monkeypatch):
    known = tracking.artifact
    monkeypatch.setattr(tracking, "artifact", lambda run, path: None if path == tracking.DATA else known(run, path))
    asked = ("--json", "--file", tiny, *SMOKE, "--dataset")
    for command in (("list",), ("compare", "--all"), ("budget",)):
        code, out, err = in_finished(*command, *asked, "small")
        assert code == 0, err
        if command != ("budget",):
            assert out == in_finished(*command, *asked, fields)[1]
    assert json.loads(out)["others"] == 0 and "classical-shape-shape: left out, its label images of all fields are not" in err


def test_nothing_is_downloaded(harness, monkeypatch, tmp_path):
    monkeypatch.setattr(bbbc039, "download", lambda *_: pytest.fail("a download"))
    monkeypatch.setattr(bbbc039, "_cache", lambda: tmp_path / "nothing")
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    for command in (("list",), ("report",), ("compare", "--all"), ("budget",)):
        code, _, err = harness(*command, "--dataset", "bbbc039")
        assert code == 2 and err.count("\n") == 1
        assert "neither at hand nor in a finished run of profile cpu in sqlite:///" in err


def test_a_row_counts_where_neither_its_label_folder_nor_the_data_set_is_at_hand(harness, fields, tmp_path):
    data, labels = tmp_path / "data" / "mine", tmp_path / "labels"
    shutil.copytree(fields, data)
    labels.mkdir()
    dataset = open_dataset(str(data))
    for name in dataset.splits["test"]:
        tifffile.imwrite(labels / f"{name}.tif", dataset.read_nuclei(name).astype("uint16"))
    (tmp_path / "my.toml").write_text(f'[rows.mine]\ntitle = "Mine"\nmethod = "classical"\nlabels = "folder:{labels}"\n')
    asked = ("--file", "my.toml")
    assert harness("run", "mine", *asked, "--dataset", data)[0] == 0
    labels.rename(tmp_path / "elsewhere")
    (row,) = json.loads(harness("list", *asked, "--dataset", data, "--json")[1])
    assert row["state"] == "stale"  # at hand, and without its labels
    shutil.rmtree(data)
    (row,) = json.loads(harness("list", *asked, "--dataset", "mine", "--json")[1])
    assert row["state"] == "finished, n = 1"


@pytest.mark.parametrize("text", ['{"name": "small", "spl', "[]", "", '{"name": "small"}', '{"splits": 3}', "\x00\xff"])
def test_a_damaged_note_of_the_data_set_is_named(harness, tiny_data, tmp_path, text):
    assert harness("run", "classical-shape-shape", "--dataset", tiny_data)[0] == 0
    (run,) = tracking.runs()
    tracking.artifact(run, tracking.DATA).write_text(text)
    for command in ("list", "report"):
        code, _, err = harness(command, "--dataset", "data")
        assert code == 2 and err.count("\n") == 1 and f"run {run.run_id} of {run.row}: its data.json is damaged" in err
    assert harness("list", "--dataset", tiny_data)[0] == 0


def test_what_images_told_is_known_without_them(harness, fields, tmp_path):
    own = tmp_path / "own.toml"
    row = '[rows.told]\ntitle = "Told"\nmethod = "classical"\nlabels = "cellprofiler:shape/shape"\n'
    own.write_text(f'{row}settings = {{min_diameter = "auto", max_diameter = "auto"}}\n')
    asked = ("--file", own, *SMOKE)
    code, _, err = harness("run", "told", *asked, "--dataset", fields)
    assert code == 0, err
    with_data, without = (harness("list", "--json", *asked, "--dataset", dataset)[1] for dataset in (fields, "small"))
    (listed,) = json.loads(with_data)
    assert listed["state"] == "finished, n = 1" and isinstance(listed["settings"]["min_diameter"], int)
    assert with_data == without
