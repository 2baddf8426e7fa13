"""What people find in MLflow: a run per row over a run per seed, its data, its model, and where all of that stands."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import mlflow
import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.datasets import open_dataset
from harness.experiment import tracking

SMOKE = ("--profile", "smoke")


def row_runs():
    """MLflow's runs that are rows."""
    tracking.connect()
    return mlflow.search_runs(search_all_experiments=True, filter_string="tags.`harness.row_hash` != ''", output_format="list")


def seeds_of(run):
    return [seed for seed in tracking.runs() if seed.tags["mlflow.parentRunId"] == run.info.run_id]


@pytest.fixture
def two_seeds(harness, fields, tiny, monkeypatch):
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")  # 10 s otherwise, which no test lasts
    code, _, err = harness("run", "network-consensus", "--dataset", fields, "--file", tiny, "--seed", 0, "--seed", 1, *SMOKE)
    assert code == 0, err


def test_a_row_has_one_run_with_the_means_of_its_seeds_below_it(two_seeds, harness, fields, tiny):
    (row,) = row_runs()
    first, second = seeds_of(row)
    assert {first.seed, second.seed} == {0, 1} and row.info.status == "FINISHED"
    assert row.info.run_name == "network-consensus" and row.data.metrics["seeds"] == 2
    for metric in ("jaccard", "dice_nuclei", "seconds_training"):
        assert row.data.metrics[metric] == pytest.approx(fmean(run.metrics[metric] for run in (first, second)))
    assert "val_loss" not in row.data.metrics and "seed" not in row.data.params

    _the_data_is_an_input(first, open_dataset(str(fields)))
    _the_model_is_a_function_of_images(first)
    code, out, _ = harness("run", "network-consensus", "--dataset", fields, "--file", tiny, *SMOKE)
    assert code == 0 and "done before" in out and len(row_runs()) == 1 and len(tracking.runs()) == 2
    assert row_runs()[0].info.end_time == max(first.ended, second.ended)


def _the_data_is_an_input(run, dataset):
    (logged,) = mlflow.get_run(run.run_id).inputs.dataset_inputs
    assert logged.dataset.name == dataset.name and dataset.digest.startswith(logged.dataset.digest)
    assert {tag.value for tag in logged.tags} == {"training, validation, test"}
    assert any(name.startswith("system/") for name in mlflow.get_run(run.run_id).data.metrics)


def _the_model_is_a_function_of_images(run):
    """In a process that knows of no harness but the one in the model."""
    versions = mlflow.MlflowClient().search_model_versions("name = 'network-consensus'")
    chosen = next(version for version in versions if version.run_id == run.run_id)
    assert chosen.tags["seed"] == str(run.seed)
    code = (
        "import sys, mlflow, numpy as np; mlflow.set_tracking_uri(sys.argv[1]); "
        f"model = mlflow.pyfunc.load_model('models:/network-consensus/{chosen.version}'); "
        "image = np.random.default_rng(0).integers(0, 255, (90, 130)); "
        "found = [model.predict(image.astype(dtype)) for dtype in ('uint8', 'uint16', 'float32')]; "
        "assert all(nuclei.shape == (90, 130) and nuclei.dtype == np.int32 for nuclei in found); "
        "np.save('nuclei.npy', found[0]); import harness; print(harness.__file__)"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", code, mlflow.get_tracking_uri()],
        capture_output=True,
        text=True,
        env={"PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert said.returncode == 0, said.stderr
    assert Path(said.stdout.splitlines()[-1]).is_relative_to(Path.cwd())
    pinned = mlflow.pyfunc.get_model_dependencies(chosen.source)
    assert "tensorflow==" in Path(pinned).read_text()
    _so_it_is_for_mlflow_models_predict(chosen, np.load("nuclei.npy"))


def _so_it_is_for_mlflow_models_predict(chosen, nuclei):
    image = np.random.default_rng(0).integers(0, 255, (90, 130))
    Path("image.json").write_text(json.dumps({"inputs": image.tolist()}))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "predict",
            "-m",
            f"models:/network-consensus/{chosen.version}",
            "-i",
            "image.json",
            "-t",
            "json",
            "-o",
            "nuclei.json",
            "--env-manager",
            "local",
        ],
        check=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()},
    )
    np.testing.assert_array_equal(json.loads(Path("nuclei.json").read_text())["predictions"], nuclei)


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


@pytest.mark.parametrize("uri", ["0" * 32, "runs:/" + "0" * 32, "models:/nobody/1", "network-manual", "gopher://x/y"])
def test_what_holds_no_network_is_refused_in_one_line(uri, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it, and it would outlive the test
    tracking.connect(f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(HarnessError, match="no trained network") as refused:
        tracking.load_network(uri)
    assert uri in str(refused.value) and "\n" not in str(refused.value)


def test_the_model_predicts_what_the_harness_predicts():
    from harness.method.postprocess import nuclei_from_class_map
    from harness.network.inference import predict_field
    from harness.network.segmenter import Segmenter
    from harness.network.unet import unet

    image = np.random.default_rng(0).integers(0, 4096, (40, 600)).astype(np.uint16)
    network = unet(base=2, last=2)
    nuclei = Segmenter(network).predict(image.tolist())
    np.testing.assert_array_equal(nuclei, nuclei_from_class_map(predict_field(network, image)[1]))
    with pytest.raises(HarnessError, match="one grey image"):
        Segmenter(network).predict(image[None])
