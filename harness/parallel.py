"""One function over many fields, in processes."""

import os
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context


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
