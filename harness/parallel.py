"""One function over many fields, or over many runs, in processes."""

import os
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from threading import Thread

RETRIES = 2


def over_fields(function, *columns, workers=None):
    """Apply a function to every field; the results come in order and do not depend on the number of workers.

    Parameters
    ----------
    function : callable
        Picklable: a function of a module, or a `functools.partial` of one.
    *columns : sequences
        Arguments, one entry per field.
    workers : int, optional
        Processes; as many as this process may use cores when left out.

    Yields
    ------
    object
        What the function returned, field by field.
    """
    workers = min(workers or len(os.sched_getaffinity(0)), len(columns[0]))
    if workers <= 1:
        yield from map(function, *columns)
        return
    try:
        yield from _pool(workers).map(function, *columns, chunksize=4)
    except BrokenExecutor:
        _pool.cache_clear()
        raise


@cache
def _pool(workers):
    """Workers that stay for the next stage: each start costs seconds of imports.

    They are fresh interpreters, since forking one that has TensorFlow's threads can hang.
    """
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def as_they_end(function, tasks, workers, broken):
    """Do long tasks side by side, each in a fresh process; where a process is killed, what was not done is done again.

    Parameters
    ----------
    function : callable
        Of a module. It goes on where it was when it is called again.
    tasks : list of tuple
        Arguments.
    workers : int
        Tasks at a time.
    broken : callable
        From a task's arguments to its result where its process was killed too often.

    Yields
    ------
    object
        What the function returned, as the tasks end.
    """
    for _ in range(1 + RETRIES):
        left = []
        with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool:
            running = {pool.submit(function, *task): task for task in tasks}
            for future in as_completed(running):
                if isinstance(future.exception(), BrokenExecutor):
                    left.append(running[future])
                else:
                    yield future.result()
        tasks = left
    yield from (broken(*task) for task in tasks)


@contextmanager
def listening(say):
    """A queue for other processes: what they put into it, `say` is called with here."""
    with get_context("spawn").Manager() as manager:
        lines = manager.Queue()
        listener = Thread(target=lambda: [say(*line) for line in iter(lines.get, None)], daemon=True)
        listener.start()
        try:
            yield lines
        finally:
            lines.put(None)
            listener.join()
