"""One function over many fields, in processes."""

import os
from concurrent.futures import ProcessPoolExecutor
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
    # A fresh interpreter each: forking one that has TensorFlow's threads can hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, *columns, chunksize=4)
