"""Files that are there whole or not at all, so that an interrupted job can go on by what is there."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

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
    with path.open("a") as lock:  # "w" would empty a file that holds something
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HarnessError(refusal) from None
        yield


@contextmanager
def written(path: str | Path) -> Iterator[None]:
    """Say in one line that a path cannot be written, whatever it is that fails within.

    Raises
    ------
    HarnessError
        No write access, or no room.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split()) or type(error).__name__  # libraries raise some without a number
        raise HarnessError(
            f"{path}: cannot be written ({reason}); make its folder writable, make room or give another one"
        ) from error


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
        with written(path):
            partial.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Fill a folder beside its place and move it there when it is full; an earlier one there is replaced.

    Parameters
    ----------
    path : Path
        The folder above it is made if need be.

    Yields
    ------
    Path
        An empty folder to fill.

    Raises
    ------
    HarnessError
        No write access, or no room.
    """
    make_folder(path.parent)
    with written(path), TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as beside:
        new = Path(beside) / "new"
        new.mkdir()
        yield new
        _exchange(new, path, Path(beside) / "old")


def _exchange(new: Path, path: Path, aside: Path) -> None:
    """Put a folder in the place of an earlier one; where it cannot be moved there, the earlier one comes back."""
    earlier = path.exists()
    if earlier:
        path.replace(aside)
    try:
        new.replace(path)
    except BaseException:
        if earlier:
            aside.replace(path)
        raise


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, or refuse it in one line."""
    with written(path):
        path.mkdir(parents=True, exist_ok=True)
