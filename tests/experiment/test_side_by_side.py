"""Several rows at once, killed processes, lost servers."""

import os
import subprocess
import sys

import mlflow
import pytest
from trained import assert_same, states

from harness.experiment import tracking

SMOKE = ("--profile", "smoke")
pytestmark = pytest.mark.integration


def finished():
    return {(run.row, run.seed): run for run in tracking.runs() if run.state == "finished"}


def test_side_by_side_rows_end_with_the_same_bits_as_one_after_the_other(harness, fields, tiny, tmp_path):
    asked = ("run", "network-manual", "--dataset", fields, "--file", tiny, "--seed", 0, "--seed", 1, *SMOKE)
    code, out, err = harness(*asked, "--workers", 2)
    assert code == 0, err
    assert "network-manual (seed 1): epoch 2/2" in out and "network-manual (seed 0): scoring" in out
    beside, side_by_side = finished(), states(tmp_path / "runs")
    (tmp_path / "runs").rename(tmp_path / "beside")
    assert harness(*asked, "--tracking-uri", "sqlite:///other.db")[0] == 0
    assert_same(side_by_side, states(tmp_path / "runs"))
    for key, run in finished().items():
        scores = {name: value for name, value in run.metrics.items() if not name.startswith("seconds")}
        assert scores == {name: beside[key].metrics[name] for name in scores}


def test_a_row_that_fails_does_not_stop_those_beside_it(harness, fields, tiny, tmp_path):
    (tmp_path / "runs").write_text("in the way")
    code, _, err = harness(
        "run", "network-manual", "classical-shape-shape", "--dataset", fields, "--file", tiny, "--workers", 2, *SMOKE
    )
    assert code == 1 and "network-manual (seed 0): failed" in err
    assert set(finished()) == {("classical-shape-shape", 0)}


def test_a_killed_command_goes_on_in_the_same_run_to_the_same_bits(harness, fields, tiny, tmp_path):
    asked = ("run", "network-manual", "--dataset", fields, "--file", tiny, *SMOKE)
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *map(str, asked)],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert any("epoch 1/2" in line for line in process.stdout)
    process.kill()
    process.wait()
    tracking.connect("sqlite:///mlflow.db")
    (killed,) = tracking.runs()
    assert killed.state == "running"
    assert harness(*asked)[0] == 0
    (run,) = tracking.runs()
    assert (run.run_id, run.state) == (killed.run_id, "finished")
    assert [point.step for point in mlflow.MlflowClient().get_metric_history(run.run_id, "val_loss")] == [1, 2]
    (tmp_path / "runs").rename(tmp_path / "killed")
    assert harness(*asked, "--tracking-uri", "sqlite:///whole.db")[0] == 0
    assert_same(states(tmp_path / "killed"), states(tmp_path / "runs"))


def test_a_lost_tracking_server_fails_the_row_and_says_so(fields, tiny, tmp_path, serve):
    environment = os.environ | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "PYTHONUNBUFFERED": "1"}
    with serve(tmp_path, "--backend-store-uri", "sqlite:///server.db") as uri:
        asked = ["run", "network-manual", "--dataset", str(fields), "--file", str(tiny), *SMOKE, "--tracking-uri", uri]
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.cli", *asked],
            cwd=tmp_path,
            text=True,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert any("labels of the training" in line for line in process.stdout)
    _, err = process.communicate(timeout=300)
    said = [line for line in err.splitlines() if line.startswith("harness:")]
    assert process.returncode == 1
    assert len(said) == 1 and "network-manual (seed 0): failed" in said[0] and uri.split(":")[-1] in said[0]
    assert "Traceback" not in err
