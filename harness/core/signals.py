"""Ending in good order at Ctrl-C, and at SIGTERM as a scheduler sends it at the end of a job; children included."""

import atexit
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children, parent_process
from threading import Thread, Timer
from types import FrameType
from typing import NoReturn

GRACE = 10  # seconds to tidy up in; then the process ends as it is
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_held: list[int] = []  # one entry within each `held`
_waiting: list[int] = []  # signals that came within


class Stopped(BaseException):
    """Somebody asked this process to end; not an `Exception`, so that nothing goes on in spite of it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.code = 128 + signum


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Within it, the first signal ends the children and raises `Stopped`; a second one ends the process at once.

    Libraries may swallow what a signal raises, so the process ends by itself after `GRACE` seconds.
    """
    former = {signum: signal.signal(signum, _stop) for signum in SIGNALS}
    try:
        yield
    except Exception as error:  # of tidying up, after the children had ended
        stopped = _behind(error)
        if stopped:
            raise stopped from None
        raise
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)


def _behind(error: BaseException | None) -> Stopped | None:
    """The signal because of which an error came about, if there was one."""
    while error:
        if isinstance(error, Stopped):
            return error
        error = error.__context__
    return None


@contextmanager
def held() -> Iterator[None]:
    """Within it a signal waits: a process that is half begun when one raises is nobody's child, and would stay."""
    _held.append(0)
    try:
        yield
    finally:
        _held.pop()
        if _waiting and not _held:
            _stop(_waiting.pop(), None)


def follow_parent() -> None:
    """For processes that this one starts: Ctrl-C is the parent's business, and SIGTERM ends the children of theirs, too.

    One whose parent has ended, in whatever way, ends as well; it would wait for work for ever, and hold the parent's output open.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        _end(signal.SIGTERM, None)


def leave(code: int) -> NoReturn:
    """End the process as `sys.exit` does, but for what C++ libraries do last: that can wait for threads a signal stopped."""
    atexit._run_exitfuncs()  # noqa: SLF001  nothing public does it
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _stop(signum: int, _: FrameType | None) -> None:
    if _held:
        _waiting.append(signum)
        return
    for each in SIGNALS:
        signal.signal(each, _end)
    sys.unraisablehook = lambda _: None  # an error in a destructor, because its process is ending, helps nobody
    end_children()
    last = Timer(GRACE, os._exit, [128 + signum])
    last.daemon = True
    last.start()
    raise Stopped(signum)


def _end(signum: int, _: FrameType | None) -> None:
    end_children()
    os._exit(128 + signum)


def end_children() -> None:
    """Ask every process that `multiprocessing` started from here to end."""
    for child in active_children():
        with suppress(OSError):
            child.terminate()
