"""Large stores and large folders; the figures are printed, and stand in docs/robustness.md."""

import json
import os
import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from harness.experiment import tracking
from harness.experiment.session import prepare
from tests.report.conftest import make_run

pytestmark = pytest.mark.slow
RUNS = int(os.environ.get("HARNESS_TEST_RUNS", "1000"))
IMAGES = int(os.environ.get("HARNESS_TEST_IMAGES", "5000"))
NETWORKS = ("network-manual", "network-shape-intensity", "network-consensus")
TABLES = ("tags", "params", "latest_metrics", "metrics")


def many_runs(folder, data, count, data_sets=1):
    """A store of so many finished runs of three rows, a seed each, spread over data sets; a row's artefacts are those of one run.

    The seeds of `data` are those that the number of data sets divides.
    """
    session = prepare(str(data), profile="smoke")
    tracking.connect()
    client, experiment = tracking.mlflow.MlflowClient(), tracking._experiment("data-smoke")
    for row in NETWORKS:
        spec = session.spec(row, 0)
        made = make_run(folder / "artefacts" / row, spec, session.dataset)
        tags = tracking._tags(spec, ("row", "seed", "profile", "dataset", "labels", "method", "digest"))
        run = client.create_run(experiment, tags=tags | {"harness.spec_hash": spec.hash})
        client.log_batch(
            run.info.run_id,
            metrics=[tracking.mlflow.entities.Metric(name, value, 0, 0) for name, value in made.metrics.items()],
            params=[tracking.mlflow.entities.Param(name, str(value)) for name, value in tracking._flat(spec).items()],
        )
        client.set_terminated(run.info.run_id)
        copies = [(f"{row}-{seed}"[-32:], seed, session.spec(row, seed).hash) for seed in range(1, count // len(NETWORKS))]
        with sqlite3.connect("mlflow.db") as store:
            store.execute("UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (made.artifacts, run.info.run_id))
            for table in ("runs", *TABLES):
                columns = [line[1] for line in store.execute(f"PRAGMA table_info({table})")]
                rest = ", ".join(column for column in columns if column != "run_uuid")
                store.executemany(
                    f"INSERT INTO {table} (run_uuid, {rest}) SELECT ?, {rest} FROM {table} WHERE run_uuid = ?",
                    [(run_id, run.info.run_id) for run_id, *_ in copies],
                )
            changed = [(str(seed), run_id, "harness.seed") for run_id, seed, _ in copies]
            changed += [(spec_hash, run_id, "harness.spec_hash") for run_id, _, spec_hash in copies]
            elsewhere = [(f"other-{seed % data_sets}", run_id) for run_id, seed, _ in copies if seed % data_sets]
            changed += [(*each, f"harness.{tag}") for each in elsewhere for tag in ("dataset", "digest")]
            store.executemany("UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?", changed)


@pytest.mark.parametrize("data_sets", [1, 10, 100])
def test_a_store_of_a_thousand_runs(harness, tiny_data, tmp_path, monkeypatch, data_sets):
    many_runs(tmp_path, tiny_data, RUNS, data_sets)
    monkeypatch.setattr("harness.report.figures.draw_all", lambda *_: [])
    asked = ("--dataset", tiny_data, "--profile", "smoke")
    spent = {}
    for command in ("list", "report"):
        started = time.process_time()
        code, _, err = harness(command, *asked)
        spent[command] = time.process_time() - started
        assert code == 0, err
    asked_for = len(json.loads((tmp_path / "report" / "results.json").read_text())["runs"])
    said = ", ".join(f"{name} {value:.1f}" for name, value in spent.items())
    print(f"{RUNS} runs, {asked_for} of them asked for, seconds of processor time: {said}")
    assert asked_for == len(range(0, RUNS // len(NETWORKS), data_sets)) * len(NETWORKS)


def test_many_images_take_no_more_memory_than_few(harness, tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    rng, image = np.random.default_rng(0), np.zeros((24, 24), np.uint16)
    for number in range(IMAGES):
        image[6:18, 6:18] = rng.integers(300, 900)
        tifffile.imwrite(folder / f"{number:06d}.tif", image)
    from harness.apps import jobs

    append, used = jobs._append, []
    monkeypatch.setattr(jobs, "_append", lambda *given: (used.append(psutil.Process().memory_info().rss), append(*given)))
    code, _, err = harness("label", "cellprofiler:shape/intensity", folder, "labels")
    assert code == 0, err
    early, late = used[len(used) // 10], used[-1]
    print(f"{IMAGES} images: {early / 1e6:.0f} MB after a tenth of them, {late / 1e6:.0f} MB at the end")
    assert late - early < 30e6
    shutil.rmtree(folder)
    assert len(list(Path("labels").glob("*.tif"))) == IMAGES
