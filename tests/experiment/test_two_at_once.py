"""Two processes and one spec: the second must not touch what the first has in hand."""

import pytest

from harness.core.errors import HarnessError
from harness.core.files import claimed
from harness.experiment import runner, tracking
from harness.experiment.session import prepare


def test_a_live_run_is_not_taken_over(harness, fields, tmp_path):
    asked = ("run", "classical-shape-shape", "--dataset", fields)
    tracking.connect(f"sqlite:///{tmp_path / 'mlflow.db'}")
    spec = prepare(str(fields)).spec("classical-shape-shape", 0)
    with tracking.record(spec, tracking.row_run(spec)) as live, claimed(runner._claim(spec), "taken"):
        code, _, err = harness(*asked)
        said = "classical-shape-shape (seed 0): another process on this machine is running it; wait for it or stop it"
        assert code == 2 and err == f"harness: {said}\n"
        assert tracking.get(live.info.run_id).state == "running"
        assert "harness.failure" not in tracking.get(live.info.run_id).tags
    code, out, _ = harness(*asked)
    assert code == 0 and "done before" in out


def test_a_claim_is_seen_by_jobs_with_temporary_folders_of_their_own(store, fields, tmp_path, monkeypatch):
    tracking.connect()
    spec = prepare(str(fields)).spec("classical-shape-shape", 0)
    before = runner._claim(spec)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert runner._claim(spec) == before and not before.is_relative_to(tmp_path)


def test_claims_lie_in_a_folder_that_is_the_user_s_alone(store, fields, tmp_path, monkeypatch):
    tracking.connect()
    spec = prepare(str(fields)).spec("classical-shape-shape", 0)
    monkeypatch.setattr(runner, "CLAIMS", tmp_path / "claims")
    assert runner._claim(spec).parent.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(HarnessError, match="claims: belongs to another user"):
        runner._claim(spec)


@pytest.mark.integration
def test_a_row_that_is_named_twice_is_run_once(harness, fields):
    code, _, err = harness("run", *["classical-shape-shape"] * 2, "--dataset", fields, "--workers", 2)
    assert code == 0 and not err and len(tracking.runs()) == 1


def test_what_failed_once_shows_no_failure_when_it_is_done(harness, fields, monkeypatch):
    asked = ("run", "classical-shape-shape", "--dataset", fields)

    def fail(*_):
        raise ZeroDivisionError("no connection to postgresql://me:secret@host/x")

    with monkeypatch.context() as broken:
        broken.setattr(runner, "_score", fail)
        code, _, err = harness(*asked)
    assert code == 1 and "secret" not in err
    (failed,) = tracking.runs()
    assert "ZeroDivisionError" in failed.tags["harness.failure"] and "secret" not in failed.tags["harness.failure"]
    assert harness(*asked)[0] == 0
    (run,) = tracking.runs()
    assert (run.run_id, run.state) == (failed.run_id, "finished") and "harness.failure" not in run.tags


def test_a_stopped_run_goes_on_after_its_title_has_changed(harness, fields, tmp_path, monkeypatch):
    own = tmp_path / "own.toml"
    row = '[rows.mine]\ntitle = "{}"\nmethod = "classical"\nlabels = "cellprofiler:shape/shape"\n'
    tables = '[tables.t]\ntitle = "T"\nmetrics = ["jaccard"]\n'
    own.write_text(row.format("First words") + tables)
    with monkeypatch.context() as broken:
        broken.setattr(runner, "_score", lambda *_: 1 / 0)
        assert harness("run", "mine", "--dataset", fields, "--file", own)[0] == 1
    own.write_text(row.format("Better <b> words") + tables)
    code, _, err = harness("run", "mine", "--dataset", fields, "--file", own)
    assert code == 0, err
    (run,) = tracking.runs()
    assert run.tags["mlflow.note.content"] == r"Better \<b\> words" and run.tags["harness.title"] == "Better <b> words"
