"""MLflow's pages as a browser shows them.

HARNESS_KEEP_PAGES names a folder for the pictures; those of docs/images are made so.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from imageio.v3 import imread

from harness.experiment import tracking
from tests.conftest import _command, _wait_for, _working_in

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--window-size=1400,640",
    "--virtual-time-budget=60000",
)
ROWS = tuple(f"classical-{seeds}-{lines}" for seeds in ("shape", "intensity") for lines in ("shape", "intensity"))

pytestmark = [pytest.mark.integration, pytest.mark.skipif(not BROWSER, reason="no chromium")]


def browse(address, file):
    """What the browser has of a page that has come to rest, as text; its picture goes into a file."""
    asked = [BROWSER, *OPTIONS, "--dump-dom", f"--screenshot={file}", address]
    page = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=400).stdout
    assert imread(file).std() > 10 and file.stat().st_size < 200_000
    if folder := os.environ.get("HARNESS_KEEP_PAGES"):
        shutil.copy(file, folder)
    return page


@pytest.fixture(scope="module")
def kept(empty_store, fields, tmp_path_factory):
    """A folder with a store that holds the four classical rows."""
    folder = tmp_path_factory.mktemp("pages")
    shutil.copy(empty_store, folder)
    with _working_in(folder):
        code, _, err = _command("run", *ROWS, "--dataset", fields)
        assert code == 0, err
    return folder


@pytest.fixture(scope="module")
def pages(kept):
    """The address that `harness ui` says, while it serves them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "-m", "harness", "ui", "--port", port],
        cwd=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    try:
        address = server.stdout.readline().split(": ")[0]
        _wait_for(address.split("/#")[0])
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def test_the_address_of_harness_ui_opens_the_page_of_trainings(pages, tmp_path):
    page = browse(pages, tmp_path / "experiments.png")
    assert "small-cpu" in page and "Model training" in page


def test_an_experiment_shows_its_rows(pages, kept, tmp_path):
    with _working_in(kept):
        tracking.connect()
        experiment = mlflow.get_experiment_by_name("small-cpu").experiment_id
    page = browse(pages.replace("/experiments", f"/experiments/{experiment}/runs"), tmp_path / "rows.png")
    assert all(row in page for row in ROWS)
