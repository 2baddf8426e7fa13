import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO

import hypothesis
import numpy as np
import pytest

from harness.network.start import load_backend

SEED = os.environ.setdefault("HARNESS_TEST_SEED", str(random.SystemRandom().getrandbits(32)))  # xdist's workers inherit it
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
    os.environ.pop(name, None)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Hypothesis draws from the same seed as the other random tests, and does not judge by the time that a machine takes."""
    config.option.hypothesis_seed = config.option.hypothesis_seed or SEED
    hypothesis.settings.register_profile("suite", deadline=None)
    hypothesis.settings.load_profile("suite")


def pytest_report_header():
    return f"random tests: HARNESS_TEST_SEED={SEED}"


def pytest_xdist_make_scheduler(config, log):
    """With `--dist loadfile` all files that read the reproduction of every row are one: it is made once."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "finished" if reads_finished(config.rootpath / file) else file

    return ByFile(config, log) if config.option.dist == "loadfile" else None


@cache
def reads_finished(file):
    return bool(re.search(r"def \w+\(.*\b(in_)?finished\b", file.read_text()))


@pytest.fixture
def chance(request):
    """Random numbers of a test, the same ones again under the same HARNESS_TEST_SEED."""
    print(f"HARNESS_TEST_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


load_backend.__defaults__ = (2,)  # how many threads compute cannot be changed any more once something was computed


@pytest.fixture(scope="session")
def backend():
    """TensorFlow as the runs have it, for tests that compute with it beside them."""
    load_backend()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """The database of a tracking store that holds nothing: MLflow makes it in a second or two, a copy takes no time."""
    from harness.experiment import tracking

    folder = tmp_path_factory.mktemp("store")
    with _working_in(folder):
        tracking.connect()
    return folder / "mlflow.db"


@contextmanager
def _working_in(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # MLflow sets it, too, and it would outlive the test
        yield patch


@pytest.fixture(scope="session")
def working_in():
    """`with working_in(folder)`: in that folder, with the tracking store that lies in it."""
    return _working_in


@pytest.fixture
def store(empty_store, tmp_path):
    """A tracking store that holds nothing, in the working folder, which is a new one."""
    shutil.copy(empty_store, tmp_path)
    with _working_in(tmp_path):
        yield


@pytest.fixture
def harness(store):
    """The command, run in a folder of its own: harness("run", ...) gives exit code, output and error output."""
    return _command


def _command(*arguments, cores=1):
    from harness import cli

    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))  # processes of its own would import for seconds
        patch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        patch.setattr(cli.console, "file", None)
        with pytest.raises(SystemExit) as stop:
            cli.main()
            raise SystemExit(0)
    return stop.value.code or 0, out.getvalue(), err.getvalue()


@pytest.fixture(scope="session")
def finished(empty_store, fields, tiny, tmp_path_factory):
    """The folder of a reproduction of every row, one with a second seed, for tests that only read it."""
    folder, rows = tmp_path_factory.mktemp("finished"), ("--dataset", fields, "--file", tiny, "--profile", "smoke")
    shutil.copy(empty_store, folder)
    with _working_in(folder) as patch:
        patch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.2")  # 10 s otherwise, which no test lasts
        for asked in (("run", "network-consensus", "--seed", 0, "--seed", 1), ("reproduce", "--predictions")):
            code, _, err = _command(*asked, *rows, cores=2)
            assert code == 0, err
    return folder


@pytest.fixture
def in_finished(finished):
    """The command, run where every row was reproduced."""
    with _working_in(finished):
        yield _command


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
def tiny_data(tmp_path_factory):
    """A data folder of two annotated test fields of 72x96 px, for what is done hundreds of times."""
    from harness.datasets import DataSet, open_dataset, write_folder

    whole, folder = open_dataset("synthetic"), tmp_path_factory.mktemp("data") / "data"
    names, crop = whole.splits["test"][:2], np.s_[200:272, 200:296]
    splits = {"training": (), "validation": (), "test": names}
    small = DataSet("data", "", splits, lambda name: whole.read_image(name)[crop], lambda name: whole.read_nuclei(name)[crop])
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
