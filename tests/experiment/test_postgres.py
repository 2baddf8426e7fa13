"""An MLflow server on a real PostgreSQL, with artefacts that only the server can reach, and many rows at once."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count, cycle
from pathlib import Path
from threading import Barrier
from typing import NamedTuple

import mlflow
import pytest

from harness.datasets import open_dataset
from harness.experiment import tracking
from harness.experiment.registry import load_registry, resolve

ADDRESS = os.environ.get("HARNESS_TEST_POSTGRES")
SECONDS = int(os.environ.get("HARNESS_TEST_SECONDS", "600"))
SOURCES = ("shape/intensity", "intensity/shape", "shape/shape", "intensity/intensity")
ROWS = {f"{source.replace('/', '-')}-{size}": (source, size) for source in SOURCES for size in (30, 60)}

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not ADDRESS,
        reason="HARNESS_TEST_POSTGRES names no PostgreSQL, such as postgresql+psycopg2://user:password@host:5432/database",
    ),
]


@pytest.fixture(scope="module")
def database():
    """The address of a new, empty database; dropped at the end."""
    from sqlalchemy import create_engine, make_url, text

    address, name = make_url(ADDRESS), f"harness_test_{os.getpid()}"
    with create_engine(address, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        yield address.set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def server(database, serve, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    artefacts = str(folder / "artefacts")
    with serve(folder, "--backend-store-uri", database, "--artifacts-destination", artefacts) as address:
        yield address


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    path = tmp_path_factory.mktemp("registry") / "eight.toml"
    path.write_text(
        "".join(
            f'[rows.{row}]\ntitle = "{row}"\nmethod = "classical"\nlabels = "cellprofiler:{source}"\n'
            f"settings = {{max_diameter = {size}}}\n"
            for row, (source, size) in ROWS.items()
        )
    )
    return path


def test_eight_rows_at_once_lose_nothing(harness, fields, registry, server, tmp_path):
    assert harness("run", *ROWS, "--dataset", fields, "--file", registry, "--tracking-uri", "sqlite:///here.db")[0] == 0
    here = kept()
    started = [
        start(row, fields, registry, server, core, tmp_path)
        for row, core in zip(ROWS, cycle(os.sched_getaffinity(0)), strict=False)
    ]
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
    tracking.connect(server)
    assert [run.artifacts.split(":")[0] for run in tracking.runs()] == ["mlflow-artifacts"] * len(ROWS)
    there = kept()
    assert set(there) == set(here) == set(ROWS)
    for row in ROWS:
        assert here[row].states == ("finished", "FINISHED") and "per_field.csv" in here[row].files
        assert any(name.startswith("predictions/nuclei/") for name in here[row].files)
        assert there[row] == here[row], row


def start(row, fields, registry, server, core, folder):
    """A command that has one core, so that it begins no processes of its own: eight are enough for a small machine."""
    asked = ["run", row, "--dataset", fields, "--file", registry, "--tracking-uri", server]
    return subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *map(str, asked)],
        cwd=folder,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


class Held(NamedTuple):
    """What a store has of a row, in the run of its seed and in its own above it; of times only that they are there."""

    states: tuple
    metrics: tuple
    params: dict
    data: list
    files: dict


def kept():
    """What the store in use has of every row."""
    return {run.row: held(run, mlflow.get_run(run.tags[tracking.PARENT])) for run in tracking.runs()}


def held(run, above):
    return Held(
        (run.state, above.info.status),
        (values(run.metrics), values(above.data.metrics)),
        run.params,
        data_of(run.run_id),
        files(run),
    )


def values(metrics):
    return {
        name: None if name.startswith("seconds") else value for name, value in metrics.items() if not name.startswith("system/")
    }


def data_of(run_id):
    return [(each.dataset.name, each.dataset.digest) for each in mlflow.get_run(run_id).inputs.dataset_inputs]


def files(run):
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run.run_id))
    return {
        str(path.relative_to(folder)): None if path.name == "timings.json" else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_first_rows_of_an_experiment_may_begin_at_the_same_moment(store, fields, registry, server):
    tracking.connect(server)
    known, dataset, ready = load_registry(registry), open_dataset(str(fields)), Barrier(len(ROWS))

    def begin(row):
        spec = resolve(known, row, "paper", dataset, 0)
        ready.wait()
        return tracking.row_run(spec)

    with ThreadPoolExecutor(len(ROWS)) as threads:
        begun = list(threads.map(begin, ROWS))
    assert len({mlflow.get_run(run_id).info.experiment_id for run_id in begun}) == 1
    assert all(data_of(run_id) == data_of(begun[0]) for run_id in begun) and len(set(begun)) == len(ROWS)


@pytest.mark.slow
def test_writers_that_are_killed_lose_nothing(harness, fields, registry, server, tmp_path, chance):
    """All rows at once, each killed at a random moment, then given again; a round is a seed, so nothing of it is done before."""
    asked = ("run", *ROWS, "--dataset", fields, "--file", registry)
    assert harness(*asked, "--tracking-uri", "sqlite:///here.db")[0] == 0
    here = {run.row: result(run) for run in tracking.runs()}
    tracking.connect(server)
    ends, seconds, interrupted = time.monotonic() + SECONDS, 5.0, 0
    for seed in count(1):
        begin = partial(beside, harness, "--dataset", fields, "--file", registry, "--tracking-uri", server, "--seed", seed)
        for child in [begin(row) for row in ROWS]:
            time.sleep(chance.uniform(0, seconds / len(ROWS)))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        interrupted += len(of_seed(seed, "running"))
        again = time.monotonic()
        assert [os.waitpid(child, 0)[1] for child in [begin(row) for row in ROWS]] == [0] * len(ROWS)
        seconds = time.monotonic() - again
        running = "attributes.status = 'RUNNING'"
        left = mlflow.search_runs(filter_string=running, search_all_experiments=True, output_format="list")
        assert [run.data.tags | {"id": run.info.run_id} for run in left] == []
        assert {run.row: result(run) for run in of_seed(seed, "finished")} == here and len(of_seed(seed)) == len(ROWS)
        if time.monotonic() > ends:
            break
    print(f"{seed} rounds of {len(ROWS)} writers, all killed; {interrupted} of them had begun a run and not ended it")


def beside(harness, *arguments):
    """`run` in a process of its own, which need not import what is imported here."""
    *options, row = arguments
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = harness("run", row, *options)[0]
    finally:
        os._exit(code)


def of_seed(seed, *states):
    found = tracking.runs(f"{tracking.OF_SEEDS} and tags.`{tracking.TAG}seed` = '{seed}'")
    return [run for run in found if not states or run.state in states]


def result(run):
    """What does not depend on the seed, which decides nothing of a classical row."""
    params = {name: value for name, value in run.params.items() if name != "seed"}
    return values(run.metrics), params, {name: content for name, content in files(run).items() if name != "spec.json"}
