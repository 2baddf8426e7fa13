"""Files that are there whole or not at all, so that an interrupted job can go on by what is there."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.core.errors import HarnessError


@contextmanager
def claimed(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file that only one process can hold; the claim goes with the process, however it ends.

    Raises
    ------
    HarnessError
        Another process holds it; the words are `refusal`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HarnessError(refusal) from None
        yield


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Write a file beside its place and move it there when all of it is written.

    Parameters
    ----------
    path : path-like
        Its folder is made if need be.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    HarnessError
        No write access, or no room.
    """
    partial = Path(path).with_name(f"{Path(path).name}.partial")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise HarnessError(
            f"{path}: cannot be written ({error.strerror}); make its folder writable, make room or give another one"
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()
