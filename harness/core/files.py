"""Files that are there whole or not at all, so that an interrupted job can go on by what is there."""

from contextlib import contextmanager, suppress
from pathlib import Path

from harness.core.errors import HarnessError


@contextmanager
def whole(path):
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
