"""How long something takes: on the wall, of the processor, and what other processes took of the same cores meanwhile."""

import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil


class Spent(NamedTuple):
    """Seconds: of wall time, of processor time of this process and its children, and of other processes on its cores."""

    wall: float
    cpu: float
    others: float


def read() -> Spent:
    """Where the three clocks stand."""
    own = _own()
    return Spent(time.perf_counter(), own, _all() - own)


def since(start: Spent) -> Spent:
    """What was spent since a reading.

    Examples
    --------
    >>> spent = since(read())
    >>> spent.wall < 5 and spent.cpu < 5
    True
    """
    return Spent(*(max(0.0, round(now - then, 3)) for now, then in zip(read(), start, strict=True)))


def _own() -> float:
    me = psutil.Process()
    total = sum(me.cpu_times()[:4])  # user and system, of this process and of children that have ended
    for child in me.children(recursive=True):
        try:
            total += sum(child.cpu_times()[:2])
        except psutil.Error:  # it has just ended
            continue
    return total


def _all() -> float:
    cores = psutil.cpu_times(percpu=True)
    mine = [cores[core] for core in os.sched_getaffinity(0) if core < len(cores)]
    return sum(sum(core[:8]) - core.idle - core.iowait for core in mine)  # guests, beyond these, are part of user and nice


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What a function returns, and the seconds of processor time it took in this process."""
    start = time.process_time()
    result = function(*arguments)
    return result, time.process_time() - start
