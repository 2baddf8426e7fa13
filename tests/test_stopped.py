"""Ctrl-C and SIGTERM at whatever moment: one line, the right code, no process left, and the same command goes on."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.slow
MOMENTS = (0.3, 1.5, 3, 6, 10)


@pytest.mark.parametrize("seconds", MOMENTS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_to_the_main_process_alone_ends_all_in_order(fields, tiny, tmp_path, seconds, signum, workers):
    asked = ["reproduce", "--dataset", fields, "--file", tiny, "--profile", "smoke", "--workers", workers]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, asked)],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"},
    )
    time.sleep(seconds)
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    if process.returncode == -signum and not err:
        return  # the interpreter had not begun with the command
    assert process.returncode == 128 + signum, err
    assert "Traceback" not in err and err.strip().count("\n") == 0 and "goes on from the last whole epoch" in err
    _, alive = psutil.wait_procs(started, timeout=15)
    assert not alive
