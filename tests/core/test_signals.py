"""What a signal ends, and when; the whole command is told to stop in tests/test_stopped.py."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import tasks

from harness.core import signals


def test_a_signal_waits_while_a_process_is_being_begun(monkeypatch):
    monkeypatch.setattr(signals, "Timer", lambda *_: type("Timer", (), {"start": lambda _: None})())
    passed = []
    with pytest.raises(signals.Stopped) as stopped, signals.ended_in_order():
        with signals.held(), signals.held():
            os.kill(os.getpid(), signal.SIGTERM)
            passed.append("inner")
        passed.append("outer")
    assert stopped.value.code == 143 and passed == ["inner"]


def test_a_process_is_left_with_its_code_and_what_was_to_be_done_at_its_end_is_done(tmp_path):
    code = (
        "import atexit, sys, threading, time; from harness.core.signals import leave; "
        "atexit.register(print, 'at exit'); "
        "threading.Thread(target=time.sleep, args=(60,)).start(); "
        "print('said', end=' '); leave(143)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert said.returncode == 143 and said.stdout == "said at exit\n"


@pytest.mark.integration
def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    parent = subprocess.Popen([sys.executable, tasks.__file__, tmp_path], stderr=subprocess.PIPE)
    while len(list(tmp_path.iterdir())) < 2:
        assert parent.poll() is None
        time.sleep(0.1)
    workers = [psutil.Process(int(path.name)) for path in tmp_path.iterdir()]
    parent.kill()
    parent.communicate(timeout=60)  # nobody holds its output open
    assert not psutil.wait_procs(workers, timeout=60)[1]
