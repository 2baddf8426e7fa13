"""Runs of rows and of seeds where something was in the way, and stores that hold no network."""

import mlflow
import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.experiment import tracking


def row_runs():
    """MLflow's runs that are rows."""
    tracking.connect()
    return mlflow.search_runs(search_all_experiments=True, filter_string="tags.`harness.row_hash` != ''", output_format="list")


def seeds_of(run):
    return [seed for seed in tracking.runs() if seed.tags["mlflow.parentRunId"] == run.info.run_id]


def test_a_run_from_before_there_were_runs_of_rows_is_taken_in(harness, fields):
    command = ("run", "classical-shape-shape", "--dataset", fields)
    assert harness(*command)[0] == 0
    (row,) = row_runs()
    (run,) = tracking.runs()
    mlflow.MlflowClient().delete_tag(run.run_id, "mlflow.parentRunId")
    mlflow.MlflowClient().delete_run(row.info.run_id)
    assert harness(*command)[0] == 0
    (row,) = row_runs()
    assert [seed.run_id for seed in seeds_of(row)] == [run.run_id]
    assert row.data.metrics["jaccard"] == run.metrics["jaccard"]


def test_a_row_that_fails_says_so_and_finishes_when_it_goes_on(harness, fields, monkeypatch):
    from harness.experiment import runner

    command = ("run", "classical-shape-shape", "--dataset", fields)
    with monkeypatch.context() as broken:
        broken.setattr(runner, "_score", lambda *_: 1 / 0)
        assert harness(*command)[0] == 1
    assert [row.info.status for row in row_runs()] == ["FAILED"]
    assert harness(*command)[0] == 0
    assert [row.info.status for row in row_runs()] == ["FINISHED"] and len(tracking.runs()) == 1


def test_a_run_of_the_same_row_that_nobody_goes_on_with_is_ended(harness, fields):
    """A server may make one for a process that was killed while it asked; what has a seed below it may be another machine's."""
    command = ("run", "classical-shape-shape", "--dataset", fields)
    assert harness(*command)[0] == 0
    (row,) = row_runs()
    client, made = mlflow.MlflowClient(), {}
    for name in ("alone", "live"):
        tags = {"harness.row_hash": row.data.tags["harness.row_hash"]}
        made[name] = client.create_run(row.info.experiment_id, start_time=1, tags=tags).info.run_id
    client.create_run(row.info.experiment_id, tags={"harness.spec_hash": "x", "mlflow.parentRunId": made["live"]})
    assert harness(*command)[0] == 0
    status = {run.info.run_id: run.info.status for run in row_runs()}
    assert status == {row.info.run_id: "FINISHED", made["alone"]: "KILLED", made["live"]: "RUNNING"}


def test_a_store_is_made_where_there_is_none(store, tmp_path):
    tracking.connect(f"sqlite:///{tmp_path}/new.db")
    assert tracking.runs() == [] and (tmp_path / "new.db").exists()


@pytest.mark.parametrize("uri", ["0" * 32, "runs:/" + "0" * 32, "models:/nobody/1", "network-manual", "gopher://x/y"])
def test_what_holds_no_network_is_refused_in_one_line(uri, store):
    tracking.connect()
    with pytest.raises(HarnessError, match="no trained network") as refused:
        tracking.load_network(uri)
    assert uri in str(refused.value) and "\n" not in str(refused.value)


def test_the_model_takes_one_grey_image(backend):
    from harness.network.segmenter import Segmenter
    from harness.network.unet import unet

    with pytest.raises(HarnessError, match="one grey image"):
        Segmenter(unet(base=2, last=2)).predict(np.ones((1, 40, 60)))
