"""Artefacts that a disk, a copy or a person damaged: the row is named with what mends it, the rest of the report stands."""

import shutil

import numpy as np
import pytest
from imageio.v3 import imread, imwrite

from harness import report
from harness.core.errors import HarnessError
from harness.experiment import tracking
from harness.experiment.results import collect, read_all
from harness.report import damage

CSV = ("per_tile.csv", "per_field.csv", "sensitivity.csv", "history.csv")


def lines(change):
    return lambda path: path.write_text("".join(change(path.read_text().splitlines(keepends=True))))


def without_column(path, at=-1):
    kept = [line.split(",") for line in path.read_text().splitlines()]
    for cells in kept:
        del cells[at]
    path.write_text("\n".join(map(",".join, kept)) + "\n")


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
    "head-alone": lines(lambda all_: all_[:1]),
    "line-lost": lines(lambda all_: all_[:2] + all_[3:]),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-12]),
    "column-lost": without_column,
    "second-column-lost": lambda path: without_column(path, 1),
    "word": lines(lambda all_: [*all_[:-1], all_[-1].rsplit(",", 1)[0] + ",many\n"]),
}


def resized(path):
    imwrite(path, imread(path)[:-1])


PICTURES = {
    "nuclei-size": ("predictions/nuclei", resized),
    "tiles-size": ("predictions/tiles", resized),
    "tiles-cut": ("predictions/tiles", lambda path: path.write_bytes(path.read_bytes()[:100])),
    "nuclei-missing": ("predictions/nuclei", lambda path: path.unlink()),
}


@pytest.fixture
def spoilt(tmp_path, seven):
    """The runs of two rows, the first with artefacts of its own to be damaged, and where these are."""
    folder = tmp_path / "artefacts"
    shutil.copytree(tracking.artifact(seven[1], ""), folder)
    return [seven[1]._replace(artifacts=folder.as_uri()), seven[4]], folder


def damaged(runs, book, resolve, small, **asked):
    """The fault of the first run; the second is whole."""
    results = damage.set_aside(collect(book, resolve, runs, {}), small, **asked)
    assert results[runs[1].row].runs == [runs[1]] and results[runs[0].row].runs == []
    ((run, state),) = results[runs[0].row].left_out
    assert state == "damaged" and results[runs[0].row].state == "damaged"
    return run.tags["harness.failure"]


@pytest.mark.parametrize("name", CSV)
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_table_is_named_with_what_mends_it(book, resolve, small, spoilt, name, kind):
    if (kind, name) in [("column-lost", "history.csv"), ("column-lost", "per_tile.csv")]:
        pytest.skip("a later harness stores more columns than the report needs")
    runs, folder = spoilt
    DAMAGE[kind](folder / name)
    said = damaged(runs, book, resolve, small, tables=True, first=False)
    assert said.startswith(f"{name} ") and ("mlflow runs delete --run-id" if name == "history.csv" else "--recompute") in said


@pytest.mark.parametrize("kind", PICTURES)
def test_a_damaged_prediction_is_named_where_it_is_shown_or_scored(book, resolve, small, spoilt, kind):
    runs, folder = spoilt
    part, spoil = PICTURES[kind]
    spoil(sorted((folder / part).iterdir())[3])
    for tables in (True, False):
        said = damaged(runs, book, resolve, small, tables=tables, first=True)
        assert part in said and f"mlflow runs delete --run-id {runs[0].run_id}, then harness run {runs[0].row}" in said


def test_the_rest_of_the_report_stands(tmp_path, book, resolve, small, spoilt):
    runs, folder = spoilt
    (folder / "per_field.csv").unlink()
    results = report.write(book, resolve, small, "quick", runs, tmp_path / "report", figures=False)
    assert [run["row"] for run in results["runs"]] == [runs[1].row]
    assert [(left["row"], left["state"]) for left in results["left_out"]] == [(runs[0].row, "damaged")]
    text = (tmp_path / "report" / "report.md").read_text()
    assert "seed 0: damaged, run" in text and "is not there; harness report --recompute scores" in text.replace("\\", "")


def test_where_all_artefacts_are_gone_every_row_is_named(tmp_path, book, resolve, small, seven):
    runs = [run._replace(artifacts=(tmp_path / "gone").as_uri()) for run in seven]
    results = report.write(book, resolve, small, "quick", runs, tmp_path / "report")
    assert results["runs"] == [] and [left["state"] for left in results["left_out"]] == ["damaged"] * 7


@pytest.mark.parametrize("text", ["no JSON", "[]", "\x00\xff"])
def test_a_run_whose_spec_is_lost_is_known_by_its_hash(tmp_path, book, resolve, small, spoilt, text, monkeypatch):
    runs, folder = spoilt
    (folder / "spec.json").write_text(text)
    monkeypatch.setattr("harness.report.rescoring.over_fields", map)
    results = report.write(book, resolve, small, "quick", runs[:1], tmp_path / "report", figures=False, recompute=True)
    assert [run["row"] for run in results["runs"]] == [runs[0].row]


def test_commands_that_compare_rows_refuse_a_damaged_table_in_one_line(book, resolve, spoilt):
    runs, folder = spoilt
    (folder / "per_field.csv").write_bytes(b"\xff\x00" * 50)
    with pytest.raises(HarnessError, match=r"a stored per_field.csv cannot be read; harness report names the run"):
        read_all(collect(book, resolve, runs, {}), "per_field.csv")


def test_predictions_that_lie_elsewhere_are_fetched_once_and_not_left_behind(tmp_path, book, resolve, small, seven, monkeypatch):
    import mlflow

    fetched = []

    def fetch(artifact_uri, dst_path):
        fetched.append(artifact_uri)
        there = tracking.artifact(seven[4], artifact_uri.split("/", 3)[-1])
        return shutil.copytree(there, f"{dst_path}/predictions") if there.is_dir() else shutil.copy(there, dst_path)

    real = mlflow.artifacts.download_artifacts
    monkeypatch.setattr(
        mlflow.artifacts,
        "download_artifacts",
        lambda artifact_uri, dst_path=None: fetch(artifact_uri, dst_path) if "elsewhere" in artifact_uri else real(artifact_uri),
    )
    monkeypatch.setattr("harness.report.rescoring.over_fields", map)
    run = seven[4]._replace(artifacts="elsewhere://a")
    report.write(book, resolve, small, "quick", [run], tmp_path / "report", figures=False, recompute=True)
    assert len(fetched) == len(set(fetched)) and "elsewhere://a/predictions" in fetched
    kept = tracking._fetched_files()
    tracking._fetched.cache_clear()
    tracking._fetched_files.cache_clear()
    kept.cleanup()
