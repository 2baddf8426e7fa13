"""The tracking store where it is new, wrong, or out of reach."""

import errno
import os
import time

import pytest

from harness.core.errors import HarnessError
from harness.experiment import tracking


@pytest.mark.parametrize("kind", ["folder", "text"])
def test_what_is_no_database_is_refused_at_once(harness, tmp_path, kind):
    place = tmp_path / "store"
    place.mkdir() if kind == "folder" else place.write_text("no database, and longer than a page's first hundred bytes\n" * 9)
    began = time.monotonic()
    code, _, err = harness("list", "--tracking-uri", f"sqlite:///{place}")
    assert code == 2 and "cannot be reached" in err and err.count("\n") == 1
    assert time.monotonic() - began < 30  # MLflow by itself: 90


def test_a_store_that_could_not_be_made_whole_is_not_there(tmp_path, monkeypatch):
    """A disk that fills while MLflow makes the tables."""
    from mlflow.store.db import utils

    def fill(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(utils, "_initialize_tables", fill)
        with pytest.raises(HarnessError, match="No space left on device"):
            tracking.connect(f"sqlite:///{tmp_path / 'new.db'}")
    assert not list(tmp_path.iterdir())
    tracking.connect(f"sqlite:///{tmp_path / 'new.db'}")
    assert [path.name for path in tmp_path.iterdir()] == ["new.db"] and tracking.runs() == []


def test_an_artefact_that_is_not_there_is_told_from_a_store_that_is_not(harness, fields, monkeypatch):
    assert harness("run", "classical-shape-shape", "--dataset", fields)[0] == 0
    (run,) = tracking.runs()
    assert tracking.artifact(run, "per_tile.csv").exists() and tracking.artifact(run, "nothing.csv") is None
    elsewhere = run._replace(artifacts="mlflow-artifacts://127.0.0.1:9/1/2/artifacts")
    monkeypatch.setattr(tracking, "uri", lambda: "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(HarnessError, match="cannot be reached"):
        tracking.artifact(elsewhere, "per_tile.csv")


def test_a_store_s_password_is_no_argument_of_a_process(harness, tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(os, "execv", lambda _, arguments: begun.append(arguments))
    monkeypatch.setattr(tracking, "connect", lambda _: "postgresql://me:secret@host/x")
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "")
    code, out, err = harness("ui")
    assert code == 0 and "secret" not in f"{begun} {out} {err}"
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == "postgresql://me:secret@host/x"


def test_the_pages_of_a_server_are_its_own(harness, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("no second server"))
    monkeypatch.setattr(tracking, "connect", lambda _: "https://mlflow.example.org")
    code, out, _ = harness("ui")
    assert code == 0 and "https://mlflow.example.org/#/experiments?workflowType=machine_learning" in out
