"""`mlflow run`, as people give it, from copies of the project that know nothing of each other."""

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import mlflow
import pytest

TOP = Path(__file__).parent.parent
PROJECT = ("harness", "experiments", "MLproject", "conda.yaml", "constraints.txt")


def run_project(folder, fields):
    """Run a row of a copy of the project; gives the run of the project, of the row and of the seed."""
    for name in PROJECT:
        (shutil.copytree if (TOP / name).is_dir() else shutil.copy)(TOP / name, folder / "project" / name)
    asked = f"-e row -P row=network-shape-intensity -P dataset={fields} -P profile=smoke --env-manager local"
    store = f"sqlite:///{folder}/mlflow.db"
    done = subprocess.run(
        [sys.executable, "-m", "mlflow", "run", folder / "project", *asked.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ
        | {"MLFLOW_TRACKING_URI": store, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(store)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, order_by=["attributes.start_time ASC"])
    assert [run.data.tags.get("mlflow.parentRunId") for run in runs] == [None, *(run.info.run_id for run in runs[:2])]
    return client, runs


def bits(client, run):
    """What a run predicted and scored: a digest of each file, every digit of each number."""
    folder = Path(client.download_artifacts(run.info.run_id, ""))
    files = [folder / name for name in ("per_field.csv", "per_tile.csv", "data.json")] + sorted(
        (folder / "predictions").rglob("*.png")
    )
    digests = {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}
    return digests | {name: value.hex() for name, value in run.data.metrics.items() if "loss" in name or name.startswith("dice")}


@pytest.mark.integration
def test_two_runs_of_the_project_give_the_same_bits(fields, tmp_path):
    found = []
    for place in ("one", "other"):
        (tmp_path / place / "project").mkdir(parents=True)
        client, runs = run_project(tmp_path / place, fields)
        assert {run.info.status for run in runs} == {"FINISHED"}
        found.append(bits(client, runs[-1]))
    assert found[0] == found[1] and len(found[0]) > 3 + 2 * 2 + 3
