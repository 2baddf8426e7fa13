import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
    os.environ.pop(name, None)


@pytest.fixture
def harness(monkeypatch, tmp_path, capsys):
    """The command, run in a folder of its own: harness("run", ...) gives exit code, output and error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # MLflow sets it, too, and it would outlive the test

    def command(*arguments):
        from harness import cli

        monkeypatch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        monkeypatch.setattr(cli.console, "file", None)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
            raise SystemExit(0)
        said = capsys.readouterr()
        return stop.value.code or 0, said.out, said.err

    return command


@pytest.fixture(scope="session")
def fields(tmp_path_factory):
    """A data folder of small synthetic fields: 3 to learn from, 1 to validate on, 2 to be scored on."""
    from harness.datasets import DataSet, open_dataset, write_folder

    whole = open_dataset("synthetic")
    crop = np.s_[100:340, 150:420]
    counts = {"training": 3, "validation": 1, "test": 2}
    small = DataSet(
        "small",
        "",
        {split: whole.splits[split][:count] for split, count in counts.items()},
        lambda name: whole.read_image(name)[crop],
        lambda name: whole.read_nuclei(name)[crop],
    )
    folder = tmp_path_factory.mktemp("data") / "small"
    write_folder(small, folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The paper's rows with a network of a few hundred weights."""
    from harness.experiment.registry import _packaged

    path = tmp_path_factory.mktemp("registry") / "tiny.toml"
    text = _packaged("paper.toml").read_text().replace("base = 16", "base = 2").replace("last = 32", "last = 2")
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def serve():
    """An MLflow server in a process of its own: `with serve(folder, *options) as address`; killed at the end."""
    return _serve


@contextmanager
def _serve(folder, *options):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--port", port, "--workers", "1", *options],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(address):
    import requests
    from urllib3.util import Retry

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(12, backoff_factor=0.5)))
    session.get(f"{address}/health", timeout=60).raise_for_status()


def pytest_collection_finish():
    """How many threads compute cannot be changed any more once something was computed, in whatever test."""
    from harness.network.backend import settle

    settle(threads=2)
