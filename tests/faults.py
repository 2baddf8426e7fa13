"""The n-th call that touches the disk or the tracking store fails, in this process and below one folder alone.

Counted are opens (for reading, too), writes, fsync, rename, replace, link, mkdir, unlink, sendfile, and requests to MLflow's
store. What libraries write from C, SQLite above all, is not.
"""

import builtins
import errno
import io
import os
import signal
from pathlib import Path

import pytest

# The n-th fails; every write from the n-th on; half of what the n-th writes gets there. Beside them "kill": the process ends.
KINDS = ("error", "full", "short")
REAL_OPEN = io.open
MOVES = ("rename", "replace", "link", "mkdir", "unlink")


class Faults:
    """A context in which calls are counted, and the n-th fails; `calls` says what they were."""

    def __init__(self, root, n=0, kind="error"):
        self.root, self.n, self.kind, self.calls = str(root), n, kind, []
        self.patch = pytest.MonkeyPatch()

    def __enter__(self):
        from mlflow.exceptions import MlflowException
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        self.store_error = MlflowException
        for module in (builtins, io):
            self.patch.setattr(module, "open", self.open)
        for name in MOVES:
            self.patch.setattr(os, name, self.on_path(name, getattr(os, name)))
        for name in ("fsync", "sendfile"):
            self.patch.setattr(os, name, self.counted(name, getattr(os, name)))
        for name, method in vars(SqlAlchemyStore).items():
            if callable(method) and not name.startswith("_"):
                self.patch.setattr(SqlAlchemyStore, name, self.counted(f"store.{name}", method))
        return self

    def __exit__(self, *_):
        self.patch.undo()

    def call(self, what, path="", half=lambda: None):
        """Count a call, and fail where it is the one."""
        self.calls.append(what)
        now, writes = len(self.calls), what in ("write", "fsync", "sendfile", "mkdir")
        if not self.n or now < self.n or (now > self.n and not (self.kind == "full" and writes)):
            return
        if self.kind == "kill":
            half()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "short" and now == self.n:
            half()
        if what.startswith("store."):
            raise self.store_error("(sqlite3.OperationalError) database or disk is full")
        number = errno.ENOSPC if writes and self.kind != "error" else errno.EIO
        raise OSError(number, os.strerror(number), str(path))

    def below(self, path):
        return isinstance(path, str | bytes | os.PathLike) and str(Path(os.fsdecode(path)).absolute()).startswith(self.root)

    def on_path(self, name, real):
        def do(path, *rest, **options):
            if self.below(path):
                self.call(name, path)
            return real(path, *rest, **options)

        return do

    def counted(self, name, real):
        def do(*arguments, **options):
            self.call(name)
            return real(*arguments, **options)

        return do

    def open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        """`io.open`, with a raw file below whose writes are counted."""
        if self.below(file):
            self.call("open", file)
        if not self.below(file) or not set(mode) & set("wax+"):
            return REAL_OPEN(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = Raw(file, mode.translate({ord("b"): None, ord("t"): None}), closefd, opener)
        raw.faults = self
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode
        return text


class Raw(io.FileIO):
    """A file that asks `Faults` before it writes."""

    def write(self, content):
        view = memoryview(content).cast("B")
        self.faults.call("write", self.name, lambda: super(Raw, self).write(view[: len(view) // 2]))
        return super().write(content)


def files_of(folder):
    """What lies below a folder: relative path to bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}
