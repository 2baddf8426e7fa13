"""Finished runs to report on: small fields, predictions with known kinds of error, scored by the real stages."""

import json
import shutil
from hashlib import md5

import numpy as np
import pandas as pd
import pytest
from damaged import cropped, spoil

from harness.experiment import registry
from harness.experiment.runner import write_predictions
from harness.experiment.tracking import Run
from harness.method import tiles
from harness.method.classmap import class_map
from harness.scoring import evaluation

QUALITY = {
    "network-manual": 0.02,
    "network-shape-intensity": 0.06,
    "network-consensus": 0.1,
    "classical-shape-intensity": 0.14,
    "classical-intensity-shape": 0.2,
    "classical-shape-shape": 0.24,
    "classical-intensity-intensity": 0.5,
}


def scored(dataset, row, seed, side):
    """Predictions of a row on the test fields, in tiles of a side."""
    rng = np.random.default_rng([seed, list(QUALITY).index(row) if row in QUALITY else 99])
    for name in dataset.splits["test"]:
        labels = spoil(dataset.read_nuclei(name), QUALITY.get(row, 0.3), rng)
        if row.startswith("network"):
            yield name, evaluation.from_class_maps(tiles.cut(class_map(labels), side), class_map(labels))
        else:
            yield name, evaluation.from_labels(labels, side)


def make_run(folder, spec, dataset, state="finished"):
    """A run as the tracking store would hold it, with real files and real scores."""
    folder.mkdir(parents=True)
    predictions = dict(scored(dataset, spec.row, spec.seed, spec.tile))
    scores = {name: evaluation.score_field(prediction, dataset.read_nuclei(name)) for name, prediction in predictions.items()}
    write_predictions(folder, predictions)
    tables = evaluation.tables(scores)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    seconds = {"seconds_labels": 4.2, "seconds_scoring": 3.1}
    if spec.method == "network":
        seconds |= {"seconds_training": 70.0, "seconds_training_others": 1.5, "seconds_prediction": 2.4}
        seconds |= {"seconds_train_step": 0.31, "seconds_tile": 0.125}
        _write_history(folder)
    (folder / "spec.json").write_text(json.dumps(spec.model_dump()))
    tags = {f"harness.{key}": str(getattr(spec, key)) for key in ("row", "seed", "profile", "dataset", "digest")}
    return Run(
        spec.row,
        spec.seed,
        md5(str(folder).encode()).hexdigest(),
        spec.profile,
        spec.dataset,
        spec.hash,
        state,
        {name: value for name, value in evaluation.totals(tables).items() if not np.isnan(value)} | seconds,
        tags | {"harness.version": "0.1.0", "harness.cores": "2"},
        {f"versions.{key}": str(value) for key, value in spec.versions.items()},
        folder.as_uri(),
    )


def _write_history(folder):
    epochs = np.arange(1, 6)
    pd.DataFrame(
        {
            "epoch": epochs,
            "loss": 0.8 / epochs,
            "val_loss": 0.9 / epochs + 0.02 * (epochs - 3) ** 2,
            "learning_rate": 1e-3,
            "seconds": 14.0,
        }
    ).to_csv(folder / "history.csv", index=False)


def resolver(book, dataset):
    """`resolve` as `write` wants it, with stage versions as if every stage were there."""

    def resolve(row, seed):
        entry = book.rows[row]
        learns = entry.method == "network"
        return registry.Spec(
            row=row,
            title=entry.title,
            method=entry.method,
            labels=entry.labels,
            settings=entry.settings,
            network=book.network if learns else None,
            profile="quick",
            schedule=None,
            dataset=dataset.name,
            digest=dataset.digest,
            seed=seed,
            versions={"metrics": 1, "tiles": 1},
        )

    return resolve


@pytest.fixture(scope="module", autouse=True)
def no_runs(empty_store, working_in, tmp_path_factory):
    """A store that holds nothing: the runs here are in none, and what they lack is asked of it."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, folder)
    with working_in(folder):
        yield


@pytest.fixture(scope="session")
def make():
    return make_run


@pytest.fixture(scope="session")
def small():
    return cropped()


@pytest.fixture(scope="session")
def book():
    """The paper's registry, as if its values were of the small data set."""
    return registry.load_registry().model_copy(update={"dataset": "synthetic"})


@pytest.fixture(scope="session")
def resolve(book, small):
    return resolver(book, small)


@pytest.fixture(scope="session")
def seven(tmp_path_factory, book, small, resolve):
    """One finished run of each of the paper's rows."""
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / row, resolve(row, 0), small) for row in book.rows]
