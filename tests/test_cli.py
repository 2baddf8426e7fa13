"""The command as people use it: whole rows on small fields, and every way a request can be refused."""

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from io import StringIO
from pathlib import Path

import mlflow
import pytest
from rich.console import Console

from harness import cli
from harness.experiment import tracking

SMOKE = ("--profile", "smoke")


def runs():
    tracking.connect()
    return tracking.runs()


UNANNOTATED = """
[network]
base = 2
last = 2
[rows]
manual = {title = "On manual labels", method = "network", labels = "manual"}
learned = {title = "On labels of a pipeline", method = "network", labels = "consensus"}
classical = {title = "The pipeline", method = "classical", labels = "cellprofiler:shape/intensity"}
[tables.one]
title = "One"
metrics = ["jaccard"]
"""


@pytest.mark.integration
def test_without_masks_to_learn_from_every_row_but_the_manual_one_still_trains(harness, fields, tmp_path):
    """The paper's point: training needs no annotation."""
    folder, file = tmp_path / "unannotated", tmp_path / "three.toml"
    shutil.copytree(fields, folder)
    file.write_text(UNANNOTATED)
    for split in ("training", "validation"):
        for name in (folder / "metadata" / f"{split}.txt").read_text().split():
            (folder / "masks" / name).unlink()
        (folder / "metadata" / f"{split}.txt").unlink()
    out = harness("data", "--dataset", folder)[1]
    assert "network-manual: not available, 3 training fields of unannotated have no mask" in out
    states = [row["state"] for row in json.loads(harness("list", "--json", "--dataset", folder)[1])]
    assert states == ["not available"] + 6 * ["not run"]
    code, _, err = harness("reproduce", "--dataset", folder, "--file", file, *SMOKE)
    assert code == 2
    assert len((folder / "metadata" / "training.txt").read_text().split()) == 3  # the drawn split is written down
    assert "manual (seed 0): not available" in err
    assert sorted(run.row for run in runs() if run.state == "finished") == ["classical", "learned"]
    report = (tmp_path / "report" / "report.md").read_text()
    assert " not available |" in report and "not run" not in report
    assert "- On manual labels: not available, 3 training fields of unannotated have no mask" in report


def test_an_interrupted_row_goes_on_in_the_same_run(harness, fields, tiny, monkeypatch):
    from harness.network import inference

    def fail(*_):
        raise OSError("disk full")

    row = ("run", "network-shape-intensity", "classical-shape-shape", "--dataset", fields, "--file", tiny, *SMOKE)
    with monkeypatch.context() as patch:
        patch.setattr(inference, "predict_field", fail)
        code, _, err = harness(*row)
    assert code == 1 and "OSError: disk full" in err
    states = {run.row: run.state for run in runs()}
    assert states == {"network-shape-intensity": "failed", "classical-shape-shape": "finished"}
    code, out, _ = harness(*row)
    assert code == 0 and "epoch 1" not in out
    after = {run.row: run for run in runs()}
    assert len(after) == 2 == len(runs()) and after["network-shape-intensity"].state == "finished"


def test_a_changed_data_set_makes_runs_stale(harness, fields, tmp_path):
    folder = tmp_path / "a person's 100%"  # MLflow's search knows no way to escape what stands in its name
    shutil.copytree(fields, folder)
    assert harness("run", "classical-shape-shape", "--dataset", folder)[0] == 0
    name = (folder / "metadata" / "training.txt").read_text().split()[0].removesuffix(".png")
    other = (folder / "metadata" / "test.txt").read_text().split()[0].removesuffix(".png")
    shutil.copy(folder / "images" / f"{other}.tif", folder / "images" / f"{name}.tif")
    states = {entry["row"]: entry["state"] for entry in json.loads(harness("list", "--json", "--dataset", folder)[1])}
    assert states["classical-shape-shape"] == "stale" and states["network-manual"] == "not run"
    assert harness("report", "--dataset", folder)[0] == 0
    assert "stale" in (tmp_path / "report" / "report.md").read_text()
    assert json.loads((tmp_path / "report" / "results.json").read_text())["runs"] == []


def test_under_mlflow_run_the_rows_are_nested_in_its_run(harness, fields, monkeypatch, tmp_path):
    tracking.connect()
    parent = mlflow.MlflowClient().create_run(mlflow.create_experiment("somewhere-else"))
    monkeypatch.setenv("MLFLOW_RUN_ID", parent.info.run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", parent.info.experiment_id)
    assert harness("run", "classical-shape-shape", "--dataset", fields)[0] == 0
    (seed,) = runs()
    row = mlflow.get_run(seed.tags["mlflow.parentRunId"])
    assert row.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert {run.info.experiment_id for run in (row, mlflow.get_run(seed.run_id))} == {parent.info.experiment_id}
    project = mlflow.get_run(parent.info.run_id).info
    assert (project.status, project.run_name) == ("FINISHED", "run · small · cpu")
    assert json.loads(harness("list", "--dataset", fields, "--json")[1])[5]["state"] == "finished, n = 1"

    monkeypatch.setenv("MLFLOW_RUN_ID", parent.info.run_id)
    assert harness("report", "--dataset", fields)[0] == 0
    kept = mlflow.MlflowClient().list_artifacts(parent.info.run_id, "report")
    assert {Path(entry.path).name for entry in kept} >= {"report.md", "results.json", "figures"}
    told = mlflow.get_run(parent.info.run_id).data.tags["mlflow.note.content"]
    assert "report/report.html" in told and "## Table 2" in told and "![" not in told


def test_describe_tells_a_person_and_a_script_the_same(harness, fields):
    command = ("describe", "network-shape-intensity", "--dataset", fields, "--seed", 3, *SMOKE)
    spec = json.loads(harness(*command, "--json")[1])
    said = harness(*command)[1]
    assert spec["seed"] == 3 and spec["spec_hash"] in said and spec["digest"] in said
    for words in (
        "DL trained on Shape/Intensity",
        "cellprofiler:shape/intensity",
        "min_diameter 10",
        "base 16",
        "steps_per_epoch 2",
        "3 training, 1 validation, 2 test fields",
        "network.inference 1",
    ):
        assert words in said
    assert "schedule" not in harness("describe", "classical-shape-shape", "--dataset", fields)[1]


def test_list_says_which_seeds_are_missing(harness, fields, monkeypatch):
    from harness.experiment import tracking

    assert harness("run", "classical-shape-shape", "--dataset", fields)[0] == 0
    (run,) = runs()
    network = [
        run._replace(
            row="network-manual",
            run_id=f"{seed}",
            seed=seed,
            state=state,
            spec_hash=json.loads(harness("describe", "network-manual", "--dataset", fields, "--seed", seed, "--json")[1])[
                "spec_hash"
            ],
        )
        for seed, state in ((0, "finished"), (1, "finished"), (2, "failed"))
    ]
    monkeypatch.setattr(tracking, "runs_on", lambda _, __, profile: [run, *network] if profile == run.profile else [])
    states = {entry["row"]: entry["state"] for entry in json.loads(harness("list", "--json", "--dataset", fields)[1])}
    assert states["network-manual"] == "finished, n = 2; seed 2 failed"
    assert states["classical-shape-shape"] == "finished, n = 1" and states["network-consensus"] == "not run"


def test_everything_wrong_with_a_folder_is_listed_at_once(harness, fields, tmp_path):
    folder = tmp_path / "wrong"
    shutil.copytree(fields, folder)
    (first, second) = sorted((folder / "images").iterdir())[:2]
    first.write_bytes(b"nothing")
    (folder / "masks" / f"{second.stem}.png").write_bytes(b"nothing")
    code, _, err = harness("data", "--dataset", folder)
    assert code == 2 and first.name in err and second.stem in err and err.count("\n") == 2
    code, out, _ = harness("data", "--dataset", fields)
    assert code == 0 and "240x270" in out and "not available" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "no-such-row"), "unknown row 'no-such-row'; there is classical-"),
        (("run", "network-manual", "--profile", "huge"), "unknown profile 'huge'; there is cpu"),
        (("report", "--profile", "huge"), "unknown profile 'huge'; there is cpu"),
        (("run", "network-manual", "--dataset", "nowhere"), "nowhere"),
        (("data", "--dataset", "bbbc039", "--data-dir", "nowhere"), "nowhere"),
        (("list", "--dataset", "x" * 5000), "x: File name too long; give a shorter one"),
        (("report", "--out", "x" * 300), "x: File name too long; give a shorter one"),
        (("list", "--file", "nowhere.toml"), "nowhere.toml: cannot be read"),
        (("report", "--tracking-uri", "http://127.0.0.1:9"), "tracking store http://127.0.0.1:9 cannot be reached"),
        (
            ("report", "--tracking-uri", "http://me:secret@127.0.0.1:9"),
            "tracking store http://me:***@127.0.0.1:9 cannot be reached",
        ),
        (
            ("report", "--tracking-uri", "postgresql+psycopg2://me:secret@127.0.0.1:9/x"),
            "//me:***@127.0.0.1:9/x cannot be reached",
        ),
        (("report", "--tracking-uri", "sqlite:////dev/null/mlflow.db"), "cannot be reached"),
        (("report", "--tracking-uri", "gopher://x"), "cannot be reached"),
        (("report", "--tracking-uri", "sqlite:///new.db?timeout=30"), "new.db?timeout=30: a file takes no settings"),
    ],
)
def test_a_refused_request_is_one_line_and_exit_code_2(harness, tmp_path, arguments, said):
    code, out, err = harness(*arguments)
    assert code == 2
    assert said in err.replace("\n", " ") and err.count("\n") == 1
    assert "Traceback" not in out + err
    assert not (tmp_path / "report").exists() and not (tmp_path / "runs").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name != "mlruns"] == ["mlflow.db"]


@pytest.mark.parametrize("before", ["postgresql", "postgresql+psycopg2", "http"])
@pytest.mark.parametrize(
    "after",
    ["me:topsecret@127.0.0.1:9/x", "me:top/secret@127.0.0.1:9/x", "me:1/top@secret@127.0.0.1:9/x"]
    + [f"127.0.0.1:9/x?user=me&{name}=topsecret&a=1" for name in ("password", "sslpassword", "api_token")],
)
def test_no_password_is_in_a_line(harness, before, after):
    code, out, err = harness("list", "--tracking-uri", f"{before}://{after}")
    assert code == 2 and err.count("\n") == 1 and "***" in err and "me" in err
    assert not out and "top" not in err and "secret" not in err


@pytest.mark.parametrize("words", ["nonsense", "0" * 32])
def test_a_run_of_mlflow_that_is_not_there_is_named(harness, monkeypatch, words):
    monkeypatch.setenv("MLFLOW_RUN_ID", words)
    code, _, err = harness("report")
    assert code == 2 and err.count("\n") == 1
    assert f"MLFLOW_RUN_ID={words}: names no run of sqlite:///" in err and "when it is back" not in err


HOSTILE = "A [/x] [bold]b[/bold] :smile: [red]"


def test_titles_and_paths_are_shown_as_they_are(harness, tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr(cli.console, "width", 200)
    folder, file = tmp_path / "d[bold][] x", tmp_path / "own[red].toml"
    shutil.copytree(tiny_data, folder)
    file.write_text(f'[rows.mine]\ntitle = "{HOSTILE}"\nmethod = "classical"\nlabels = "cellprofiler:shape/shape"\n')
    asked = ("--dataset", folder, "--file", file)
    for arguments, said in (
        (("list", *asked), HOSTILE),
        (("describe", "mine", *asked), HOSTILE),
        (("describe", "mine", *asked), folder.name),
        (("data", *asked), folder.name),
        (("run", "mine", *asked), "mine (seed 0): "),
        (("report", *asked, "--out", "rep[/x]"), "rep[/x]"),
        (("score", "tool", folder / "masks", "--dataset", folder), folder.name),
        (("label", "cellprofiler:shape/shape", "--export-pipeline", "p[/x].cppipe"), "wrote p[/x].cppipe"),
        (("label", "cellprofiler:shape/shape", folder / "images", "out[/x]"), "2 images"),
        (("export", "out[/x]", "e[/x]", "--format", "imagej"), "exported to e[/x]"),
    ):
        code, out, err = harness(*arguments)
        assert code == 0 and not err, (arguments, err)
        assert said in " ".join(out.split()), (arguments, out)
    for arguments in (("describe", HOSTILE), ("list", "--file", HOSTILE), ("run", HOSTILE), ("list", "--dataset", HOSTILE)):
        code, _, err = harness(*arguments)
        assert code == 2 and HOSTILE in err and err.count("\n") == 1


def test_the_pages_of_mlflow_are_served_to_this_machine_alone(harness, monkeypatch):
    begun = []
    monkeypatch.setattr("os.execv", lambda _, words: begun.extend(words))
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")  # so that it is as before after the test
    assert harness("ui", "--port", 5001)[0] == 0
    assert begun[begun.index("--host") + 1] == "127.0.0.1" and begun[begun.index("--port") + 1] == "5001"
    assert not any("sqlite" in word for word in begun)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "/a/b"), 2, "/a/b: Permission denied; change its permissions"),
        (OSError(28, "No space left on device", "/a/b"), 1, "/a/b: No space left on device; the same command goes on"),
        (BrokenProcessPool("A process in the process pool was terminated abruptly"), 1, "a process was killed again and again"),
        (mlflow.MlflowException("disk is full\n[SQL: INSERT]\nat postgresql://me:secret@x/y"), 1, "the tracking store failed"),
    ],
)
def test_a_fault_of_the_machine_is_one_line(harness, monkeypatch, error, code, said):
    monkeypatch.setattr(tracking, "runs_on", lambda *_: (_ for _ in ()).throw(error))
    found, _, err = harness("list")
    assert found == code and said in err and err.count("\n") == 1 and "secret" not in err


def test_a_fault_of_this_program_is_not_hidden_as_one_of_permissions(harness, monkeypatch):
    monkeypatch.setattr(tracking, "runs_on", lambda *_: (_ for _ in ()).throw(PermissionError(1, "Operation not permitted")))
    with pytest.raises(PermissionError):
        harness("list")


def test_a_narrow_terminal_shows_every_row_id_whole(harness, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = harness("list")[1]
    assert "network-shape-intensity " in out and "classical-intensity-intensity " in out


def test_on_a_terminal_a_passing_line_is_replaced_elsewhere_it_is_left_out(monkeypatch):
    for terminal in (True, False):
        written = StringIO()
        monkeypatch.setattr(cli, "console", Console(file=written, force_terminal=terminal, width=80, highlight=False))
        with cli._lines() as say:
            say("row", "step 1", passing=True)
            say("row", "step 2", passing=True)
            time.sleep(1)
            say("row", "epoch 1")
        assert "row: epoch 1" in written.getvalue()
        assert ("step 2" in written.getvalue()) == terminal


def test_help_needs_none_of_the_heavy_packages():
    code = (
        "import sys; import harness.cli; "
        "print([m for m in ('tensorflow', 'keras', 'mlflow', 'skimage', 'scipy', 'pandas', 'matplotlib', 'numba')"
        " if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
