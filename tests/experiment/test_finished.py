"""What a reproduction leaves in MLflow and in the report: a run per row over a run per seed, its data, its model.

The rows are run once, by the fixture `finished`; nothing here adds to them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import mlflow
import numpy as np
import pandas as pd
import pytest
from imageio.v3 import imread

from harness.datasets import open_dataset
from harness.experiment import tracking
from harness.method import tiles
from harness.method.classmap import class_map
from harness.scoring import metrics

SMOKE = ("--profile", "smoke")


@pytest.fixture(autouse=True)
def runs(in_finished):
    """Every run, by row and seed."""
    tracking.connect()
    return {(run.row, run.seed): run for run in tracking.runs()}


def row_runs(row):
    """MLflow's runs that are the row."""
    return mlflow.search_runs(
        search_all_experiments=True,
        filter_string=f"tags.`harness.row_hash` != '' and tags.`harness.row` = '{row}'",
        output_format="list",
    )


def test_every_row_is_run_and_recorded(in_finished, fields, tiny, runs):
    listed = json.loads(in_finished("list", "--json", "--dataset", fields, "--file", tiny, *SMOKE)[1])
    assert len(listed) == 7
    assert set(runs) == {(row["row"], 0) for row in listed} | {("network-consensus", 1)}
    assert all(run.state == "finished" for run in runs.values())


def test_the_tables_hold_what_the_runs_hold(finished, runs):
    results = json.loads((finished / "report" / "results.json").read_text())
    assert len(results["runs"]) == len(runs) == 8
    for entry in results["runs"]:
        stored = runs[entry["row"], entry["seed"]]
        assert (entry["run_id"], entry["spec_hash"]) == (stored.run_id, stored.spec_hash)
        assert entry["metrics"]["jaccard"] == stored.metrics["jaccard"]
        assert {"row", "seed", "profile", "dataset", "spec_hash"} <= set(entry)
    text = (finished / "report" / "report.md").read_text()
    assert "The paper's values are of `bbbc039`" in text


def test_predictions_are_kept_on_demand(finished, runs):
    kept = [path.relative_to(finished / "report/predictions") for path in (finished / "report/predictions").rglob("*.png")]
    networks = {row for row, _ in runs if row.startswith("network")}
    assert {path.parts[0] for path in kept} == networks and len(networks) == 3
    assert len(kept) == 3 * 2 * 2  # of the first seed


def test_what_is_done_is_not_done_again(in_finished, fields, tiny, runs):
    code, out, _ = in_finished("run", *{row for row, _ in runs}, "--dataset", fields, "--file", tiny, *SMOKE)
    assert code == 0 and out.count("done before") == 7
    assert len(tracking.runs()) == len(runs)


def test_a_classical_run_holds_what_its_scores_can_be_made_from_again(fields, runs):
    run = runs["classical-shape-intensity", 0]
    dataset = open_dataset(str(fields))
    dice, counts = [], []
    for name in dataset.splits["test"]:
        labels = imread(tracking.artifact(run, f"predictions/labels/{name}.png"))
        nuclei = imread(tracking.artifact(run, f"predictions/nuclei/{name}.png"))
        truth = dataset.read_nuclei(name)
        assert len(tiles.tile_corners(truth.shape)) == 1
        dice.append(metrics.dice(class_map(truth), class_map(labels.astype("int32")))[1])
        counts.append(metrics.match(truth, nuclei.astype("int32"), "equal"))
    assert run.metrics["dice_nuclei"] == pytest.approx(sum(dice) / len(dice))
    assert run.metrics["jaccard_equal"] == pytest.approx(metrics.jaccard(counts))
    per_field = pd.read_csv(tracking.artifact(run, "per_field.csv"))
    assert list(per_field.field) == list(dataset.splits["test"])
    assert run.tags["harness.spec_hash"] == run.spec_hash and run.params["labels"] == "cellprofiler:shape/intensity"


def test_a_network_run_holds_spec_curves_model_and_predictions(runs):
    from harness.network.unet import unet

    run = runs["network-consensus", 1]
    assert json.loads(tracking.artifact(run, "spec.json").read_text())["seed"] == 1
    assert run.params["tile"] == "272", "fields of 240x270 px need no tiles of 512"
    history = pd.read_csv(tracking.artifact(run, "history.csv"))
    assert run.tags["harness.trained_on"] == "CPU" and set(history.dtypes.map(str)) <= {"int64", "float64"}
    assert len(history) == 2 and (history["train_seconds"] < history["seconds"]).all()  # validation is not training
    assert len(mlflow.MlflowClient().get_metric_history(run.run_id, "val_loss")) == 2
    assert run.metrics["best_epoch"] in (1, 2) and run.metrics["seconds_training"] > 0
    assert 0 < run.metrics["seconds_train_step"] < run.metrics["seconds_training"] and run.metrics["seconds_tile"] > 0
    experiment = mlflow.get_run(run.run_id).info.experiment_id
    (model,) = [
        model for model in mlflow.search_logged_models([experiment], output_format="list") if model.source_run_id == run.run_id
    ]
    for uri in (run.run_id, f"runs:/{run.run_id}", model.model_uri):
        network = tracking.load_network(uri)
        assert network.count_params() == unet(base=2, last=2).count_params() and network.input_shape == (None, 272, 272, 1)


def test_a_row_has_one_run_with_the_means_of_its_seeds_below_it(in_finished, fields, tiny, runs):
    (row,), seeds = row_runs("network-consensus"), [runs["network-consensus", seed] for seed in (0, 1)]
    below = [run.run_id for run in runs.values() if run.tags["mlflow.parentRunId"] == row.info.run_id]
    assert sorted(below) == sorted(run.run_id for run in seeds) and row.info.status == "FINISHED"
    assert row.info.run_name == "network-consensus" and row.data.metrics["seeds"] == 2
    for metric in ("jaccard", "dice_nuclei", "seconds_training"):
        assert row.data.metrics[metric] == pytest.approx(fmean(run.metrics[metric] for run in seeds))
    assert "val_loss" not in row.data.metrics and "seed" not in row.data.params
    assert row.info.end_time == max(run.ended for run in seeds)

    code, out, _ = in_finished("run", "network-consensus", "--dataset", fields, "--file", tiny, *SMOKE)
    assert code == 0 and "done before" in out and len(tracking.runs()) == len(runs)
    (again,) = row_runs("network-consensus")
    assert again.info.end_time == row.info.end_time


def test_a_row_s_run_says_how_sure_its_means_are(runs):
    (row,), seeds = row_runs("network-consensus"), [runs["network-consensus", seed].metrics["jaccard"] for seed in (0, 1)]
    told = {name.removeprefix("jaccard/"): value for name, value in row.data.metrics.items() if name.startswith("jaccard/")}
    assert told["n"] == 2 and told["sd"] == pytest.approx(abs(seeds[0] - seeds[1]) / 2**0.5)
    assert (told["low"] + told["high"]) / 2 == pytest.approx(fmean(seeds))
    assert told["high"] - told["low"] == pytest.approx(2 * 12.706 * told["sd"] / 2**0.5, rel=1e-4)  # t of one degree of freedom
    (classical,) = row_runs("classical-shape-shape")
    assert classical.data.metrics["jaccard/n"] == 1 and "jaccard/sd" not in classical.data.metrics


def test_a_row_s_run_is_described_by_its_table(runs):
    (row,) = row_runs("network-consensus")
    described = row.data.tags["mlflow.note.content"].splitlines()
    assert described[0] == "DL trained on Consensus" and len(described) == 2 + 2 + 4
    metrics = row.data.metrics
    mean, sd, low, high = (metrics[f"jaccard{of}"] for of in ("", "/sd", "/low", "/high"))
    assert (
        f"| Jaccard, `paper` | {mean:.3f} | {sd:.3f} | 2 | {low:.3f} to {high:.3f} |  |" in described
    )  # the paper has another data set
    experiment = mlflow.get_experiment(row.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_mlflow_itself_ranks_the_networks_by_their_scores(runs):
    networks = [run for run in runs.values() if run.row.startswith("network")]
    experiment = mlflow.get_run(networks[0].run_id).info.experiment_id
    ranked = mlflow.search_logged_models(
        [experiment], order_by=[{"field_name": "metrics.dice_nuclei", "ascending": False}], output_format="list"
    )
    scores = {run.run_id: run.metrics["dice_nuclei"] for run in networks}
    assert [scores[model.source_run_id] for model in ranked] == sorted(scores.values(), reverse=True)
    (linked,) = [metric for metric in ranked[0].metrics if metric.key == "dice_nuclei"]
    assert linked.dataset_name and linked.dataset_digest and linked.model_id == ranked[0].model_id


def test_the_best_version_is_chosen_by_validation_not_by_the_test_fields(runs):
    client = mlflow.MlflowClient()
    best = client.get_model_version_by_alias("network-consensus", "best")
    seeds = [runs["network-consensus", seed] for seed in (0, 1)]
    assert best.run_id == min(seeds, key=lambda run: run.metrics["best_val_loss"]).run_id


def test_the_data_is_an_input_of_the_run_and_the_machine_is_measured(fields, runs):
    dataset, run = open_dataset(str(fields)), mlflow.get_run(runs["network-consensus", 0].run_id)
    (logged,) = run.inputs.dataset_inputs
    assert logged.dataset.name == dataset.name and dataset.digest.startswith(logged.dataset.digest)
    assert {tag.value for tag in logged.tags} == {"training, validation, test"}
    assert any(name.startswith("system/") for name in run.data.metrics)


@pytest.fixture
def registered(runs):
    """The version of a run's registered model."""
    run = runs["network-consensus", 1]
    (chosen,) = [
        found for found in mlflow.MlflowClient().search_model_versions("name = 'network-consensus'") if found.run_id == run.run_id
    ]
    assert chosen.tags["seed"] == "1"
    return chosen


def test_a_registered_model_names_what_it_needs(registered):
    assert "tensorflow==" in Path(mlflow.pyfunc.get_model_dependencies(registered.source)).read_text()


@pytest.mark.integration
def test_the_model_is_a_function_of_images_also_for_mlflow_models_predict(registered, finished, tmp_path):
    """In a process that knows of no harness but the one in the model."""
    image = np.random.default_rng(0).integers(0, 255, (90, 130))
    np.save(tmp_path / "image.npy", image)
    code = (
        "import sys, mlflow, numpy as np; mlflow.set_tracking_uri(sys.argv[1]); "
        f"model = mlflow.pyfunc.load_model('models:/network-consensus/{registered.version}'); "
        "image = np.load('image.npy'); "
        "found = [model.predict(image.astype(dtype)) for dtype in ('uint8', 'uint16', 'float32')]; "
        "assert all(nuclei.shape == (90, 130) and nuclei.dtype == np.int32 for nuclei in found); "
        "np.save('nuclei.npy', found[0]); import harness; print(harness.__file__)"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", code, mlflow.get_tracking_uri()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert said.returncode == 0, said.stderr
    assert Path(said.stdout.splitlines()[-1]).is_relative_to(finished)  # where the model lies, with the package as it was
    (tmp_path / "image.json").write_text(json.dumps({"inputs": image.tolist()}))
    asked = f"-m models:/network-consensus/{registered.version} -i image.json -t json -o nuclei.json --env-manager local"
    said = subprocess.run(
        [sys.executable, "-m", "mlflow", "models", "predict", *asked.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()},
    )
    assert said.returncode == 0, said.stderr
    predicted = json.loads((tmp_path / "nuclei.json").read_text())["predictions"]
    np.testing.assert_array_equal(predicted, np.load(tmp_path / "nuclei.npy"))
