"""What the tests have done in other processes, which import this file and so little else."""

import os
import signal
import sys
import time

from harness.core.files import claimed


def process_of(started, number):
    """Runs in a worker: leaves a trace of its attempt, and time to be killed in."""
    (started / f"{number}-{os.getpid()}").touch()
    time.sleep(0.3)
    return number, os.getpid()


def once(folder, times, number):
    """Number 57 kills its process so many times."""
    if number == 57 and len(list(folder.iterdir())) < times:
        (folder / str(os.getpid())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def kill_itself(marker, times):
    """The worker of a task; it is killed so many times, then does its work."""
    with marker.open("a") as file:
        file.write("x")
    if len(marker.read_text()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def hold(lock, held):
    """Claims a file, says so, and keeps it until it is killed."""
    with claimed(lock, "taken"):
        held.set()
        time.sleep(600)


def wait(begun):
    """Leaves its process id, then waits to be ended."""
    (begun / str(os.getpid())).touch()
    time.sleep(600)


if __name__ == "__main__":  # a parent of workers, to be killed
    from pathlib import Path

    from harness.core import parallel

    list(parallel.over_fields(wait, [Path(sys.argv[1])] * 2, workers=2))
