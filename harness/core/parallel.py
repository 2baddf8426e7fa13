"""One function over many fields, or over many runs: in processes of this machine, or on a Dask cluster."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from itertools import islice
from multiprocessing import current_process, get_context
from multiprocessing.managers import SyncManager
from threading import Thread
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.core.signals import follow_parent, held

if TYPE_CHECKING:
    import distributed

_pools: dict[int, Executor] = {}
RETRIES = 2  # of a task whose process was killed
AHEAD = 1000  # tasks handed out before the first result is taken: work for hundreds of workers, little memory
_cores: list[int] = []  # that this process may use, where several share the machine
TASKS = 100  # of a small job; a task costs Dask milliseconds
FIELDS = 32  # in a task at most: what a killed worker costs


def over_fields(
    function: Callable[..., Any], *columns: Sequence, workers: int | None = None, scheduler: str | None = None, threads: int = 1
) -> Iterator[Any]:
    """Apply a function to every field; the results come in order and do not depend on where it is done.

    Parameters
    ----------
    function : callable
        Picklable: a function of a module, or a `functools.partial` of one.
    *columns : sequences
        Arguments, one entry per field.
    workers : int, optional
        Processes; as many as this process may use cores, see `cores`, when left out.
    scheduler : str, optional
        Address of a Dask scheduler; its workers then do the work, however many there are.
    threads : int
        Fields in work at a time where there are no other processes.

    Yields
    ------
    object
        What the function returned, field by field.
    """
    workers = min(workers or cores(), len(columns[0]))
    may_not = current_process().daemon  # begin processes: a worker of Dask's
    if (workers <= 1 or may_not) and not scheduler:
        yield from map(function, *columns) if threads == 1 else _in_threads(threads, function, columns)
    else:
        yield from _elsewhere(lambda: _cluster(scheduler) if scheduler else _pool(workers), function, columns)


def _in_threads(threads: int, function: Callable[..., Any], columns: Sequence[Sequence]) -> Iterator[Any]:
    executor = ThreadPoolExecutor(threads)
    try:
        for results in _in_order(executor, function, zip(*columns, strict=True), 1):
            yield from results
    finally:
        executor.shutdown(cancel_futures=True)


def _elsewhere(executor: Callable[[], Executor], function: Callable[..., Any], columns: Sequence[Sequence]) -> Iterator[Any]:
    """Where a process of this machine is killed, all are lost: others go on after the last result. Dask does so itself."""
    size = min(max(1, len(columns[0]) // TASKS), FIELDS)
    done = failures = 0
    while True:
        fields = islice(zip(*columns, strict=True), done, None)
        try:
            for results in _in_order(executor(), function, fields, size):
                done, failures = done + len(results), 0
                yield from results
            return
        except BrokenExecutor:
            _pools.clear()
            failures += 1
            if failures > RETRIES:
                raise


def _in_order(executor: Executor, function: Callable[..., Any], fields: Iterator[tuple], size: int) -> Iterator[list]:
    """`Executor.map` hands out everything at once, so its memory grows with the number of fields."""
    handed_out: deque[Future] = deque()
    while some := list(islice(fields, size)):
        if len(handed_out) == AHEAD:
            yield handed_out.popleft().result()
        with held():
            handed_out.append(executor.submit(_each, function, some))
    while handed_out:
        yield handed_out.popleft().result()


def _each(function: Callable[..., Any], fields: list[tuple]) -> list:
    return [function(*field) for field in fields]


def _pool(workers: int) -> Executor:
    """Workers that stay for the next stage: each start costs seconds of imports.

    They are fresh interpreters, since forking one that has TensorFlow's threads can hang.
    """
    if workers not in _pools:
        _pools[workers] = ProcessPoolExecutor(workers, get_context("spawn"), initializer=follow_parent)
    return _pools[workers]


def as_they_end(
    function: Callable[..., Any],
    tasks: list[tuple],
    broken: Callable[..., Any],
    workers: int = 1,
    scheduler: str | None = None,
    gpu: bool = False,
) -> Iterator[Any]:
    """Do long tasks side by side; where a process is killed, what it had not done is done again.

    Parameters
    ----------
    function : callable
        Of a module. It goes on where it was when it is called again.
    tasks : list of tuple
        Arguments.
    broken : callable
        From a task's arguments to its result where its process was killed too often.
    workers : int
        Tasks at a time, each in a fresh process of this machine.
    scheduler : str, optional
        Address of a Dask scheduler; its workers then do the tasks.
    gpu : bool
        Where workers of the scheduler offer a GPU, each task asks for one.

    Yields
    ------
    object
        What the function returned, as the tasks end.
    """
    for _ in range(1 + RETRIES):
        if not tasks:
            return
        left = []
        with nullcontext(_cluster(scheduler, _gpu(scheduler) if gpu else None)) if scheduler else _fresh(workers) as executor:
            with held():
                running = {executor.submit(_alone, function, *task): task for task in tasks}
            for future in as_completed(running):
                if is_lost(future.exception()):
                    left.append(running[future])
                else:
                    yield future.result()
        tasks = left
    yield from (broken(*task) for task in tasks)


def cores() -> int:
    """How many cores this process may use: those of its affinity, or its share where `as_they_end` began several."""
    return _cores[-1] if _cores else len(os.sched_getaffinity(0))


def _begin(share: int) -> None:
    follow_parent()
    _cores.append(share)


def _fresh(workers: int) -> Executor:
    share = max(1, cores() // workers)
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_begin, initargs=(share,), max_tasks_per_child=1)


def is_lost(error: BaseException | None) -> bool:
    """Whether an error says that the process of a task was killed, and again where it was tried again."""
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"  # Dask's, where Dask is there


def _alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """A process that is done would wait for ever for the workers it began itself."""
    try:
        return function(*arguments)
    finally:
        while _pools:
            _pools.popitem()[1].shutdown()


def _listen(lines: Any, say: Callable[..., None]) -> None:
    with suppress(EOFError, OSError):  # the queue's process has ended, because this one was asked to
        for line in iter(lines.get, None):
            say(*line)


@contextmanager
def listening(say: Callable[..., Any], scheduler: str | None = None) -> Iterator[Any]:
    """A queue for other processes: what they put into it, `say` is called with here."""
    with ExitStack() as stack:
        lines = _queue(scheduler) if scheduler else stack.enter_context(_manager()).Queue()
        listener = Thread(target=_listen, args=(lines, say), daemon=True)
        listener.start()
        try:
            yield lines
        finally:
            lines.put(None)
            listener.join()


def _manager() -> SyncManager:
    manager = SyncManager(ctx=get_context("spawn"))
    with held():
        manager.start(follow_parent)
    return manager


# On a Dask cluster.


def _cluster(scheduler: str, resources: dict[str, int] | None = None) -> Executor:
    """Dask's own `concurrent.futures.Executor`; what a lost worker had in hand is done again by another one."""
    return connect(scheduler).get_executor(pure=False, resources=resources)


def _gpu(scheduler: str) -> dict[str, int] | None:
    workers = connect(scheduler).scheduler_info(n_workers=-1)["workers"].values()
    return {"GPU": 1} if any("GPU" in worker["resources"] for worker in workers) else None


def _queue(scheduler: str) -> "distributed.Queue":
    from distributed import Queue

    return Queue(client=connect(scheduler))


@cache
def connect(scheduler: str) -> "distributed.Client":
    """Reach a Dask scheduler.

    Raises
    ------
    HarnessError
        Dask is not installed, or there is no scheduler at that address.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise HarnessError("--scheduler needs Dask; install it with pip install -e '.[dask]'") from error
    try:
        return Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"no Dask scheduler at {scheduler} ({type(error).__name__}); start one with `dask scheduler` or give another address"
        ) from error
