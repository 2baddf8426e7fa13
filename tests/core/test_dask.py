"""A real Dask scheduler with workers of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from tasks import process_of
from trained import assert_same, states

from harness.core import parallel
from harness.experiment import tracking

pytestmark = pytest.mark.integration


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler and a function that starts a worker: each is a process, stopped at the end."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install -e '.[dask]'")
    started = []

    def start(name, *arguments):
        log = (tmp_path / f"{name}-{len(started)}.log").open("w")
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + name, *arguments],
                stdout=log,
                stderr=log,
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
            )
        )
        return started[-1]

    file = tmp_path / "scheduler.log"
    start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file))
    address = _wait_for(lambda: file.exists() and re.search(r'"address": "(tcp://[^"]+)"', file.read_text()))[1]
    yield address, lambda *more: start("worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", *more)
    parallel.connect.cache_clear()
    for process in reversed(started):
        process.kill()  # Dask's own farewell may take longer than half a minute, and nothing here depends on it
        process.wait(30)


def _wait_for(condition, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise TimeoutError


def assert_same_files(one, other, count):
    paths = sorted(path for path in one.iterdir() if path.name != "manifest.jsonl")  # lines in the order of the work
    assert len(paths) == count
    for path in paths:
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_labels_made_on_a_cluster_are_those_of_one_process(harness, images, cluster, tmp_path):
    address, start_worker = cluster
    start_worker()
    start_worker()
    assert harness("label", "consensus", images, "far", "--scheduler", address)[0] == 0
    assert harness("label", "consensus", images, "near", "--workers", 1)[0] == 0
    assert_same_files(tmp_path / "near", tmp_path / "far", 12)


def test_a_classical_row_asks_for_no_gpu(harness, fields, cluster):
    address, start_worker = cluster
    start_worker("--resources", "GPU=0")  # there are GPUs, and all are taken
    assert harness("run", "classical-shape-shape", "--dataset", fields, "--scheduler", address)[0] == 0


def test_tasks_for_a_gpu_go_where_one_is(cluster, tmp_path):
    address, start_worker = cluster
    start_worker()
    offers = start_worker("--resources", "GPU=1")
    parallel.connect(address).wait_for_workers(2, timeout=60)
    tasks = [(tmp_path, number) for number in range(4)]
    done = list(parallel.as_they_end(process_of, tasks, None, scheduler=address, gpu=True))
    assert sorted(done) == [(number, offers.pid) for number in range(4)]


def test_nuclei_found_on_a_cluster_are_those_of_local_processes(harness, fields, tiny, images, cluster, tmp_path):
    address, start_worker = cluster
    start_worker()
    row = ("network-manual", "--dataset", fields, "--file", tiny, "--profile", "smoke")
    assert harness("run", *row)[0] == 0
    (model,) = [run.run_id for run in tracking.runs()]
    assert harness("segment", model, images, "far", "--scheduler", address)[0] == 0
    code, out, _ = harness("segment", model, images, "near", "--workers", 2)
    assert code == 0 and "6 images, " in out and ", 0 nuclei" not in out
    assert_same_files(tmp_path / "near", tmp_path / "far", 12)


def test_a_killed_worker_costs_what_it_had_in_hand(cluster, tmp_path):
    address, start_worker = cluster
    killed, started = start_worker(), tmp_path / "started"
    started.mkdir()
    results = parallel.over_fields(partial(process_of, started), range(12), scheduler=address)
    assert [next(results) for _ in range(3)] == [(number, killed.pid) for number in range(3)]
    killed.send_signal(signal.SIGKILL)
    survivor = start_worker()
    rest = list(results)
    assert [number for number, _ in rest] == list(range(3, 12)) and rest[-1][1] == survivor.pid
    assert 12 <= len(list(started.iterdir())) <= 14


def test_a_row_whose_worker_is_killed_goes_on_elsewhere_to_the_same_bits(harness, fields, tiny, cluster, tmp_path):
    address, start_worker = cluster
    killed = start_worker("--resources", "GPU=1")
    asked = ["run", "network-manual", "--dataset", str(fields), "--file", str(tiny), "--profile", "smoke"]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *asked, "--scheduler", address],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )
    assert any("epoch 1/2" in line for line in process.stdout)
    killed.kill()
    start_worker("--resources", "GPU=1")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "epoch 2/2" in said
    (tmp_path / "runs").rename(tmp_path / "far")
    assert harness(*asked, "--tracking-uri", "sqlite:///near.db")[0] == 0
    assert_same(states(tmp_path / "far"), states(tmp_path / "runs"))


def test_no_scheduler_is_one_line(harness, images):
    code, _, err = harness("label", "consensus", images, "out", "--scheduler", "tcp://127.0.0.1:9")
    assert code == 2 and "no Dask scheduler at tcp://127.0.0.1:9" in err and err.count("\n") == 1
