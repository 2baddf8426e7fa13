"""Random histories of a working folder: runs, kills, edits, moves, new images, lost artefacts, two processes at once.

A finished run is never changed; the report holds exactly the finished runs of the present specs; the same spec ends in the
same metrics, whatever came before.
"""

import hashlib
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import tifffile
from faults import Faults, files_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from harness.experiment import tracking
from harness.experiment.session import connect, prepare

ROWS = ("intensity", "shape")
REGISTRY = """
[rows.intensity]
title = "{title}"
method = "classical"
labels = "cellprofiler:intensity/intensity"
settings = {{ min_diameter = {diameter} }}
[rows.shape]
title = "Shape"
method = "classical"
labels = "cellprofiler:shape/shape"
"""


class Histories(RuleBasedStateMachine):
    """A folder with data, a registry of two rows and a store."""

    def __init__(self, base, working_in, root):
        super().__init__()
        self.folder, self.known, self.of_spec, self.lost = root / str(len(list(root.iterdir()))), {}, {}, set()
        shutil.copytree(base, self.folder)
        self.data, self.title, self.diameter, self.moves = "data", "Intensity", 10, 0
        self.context = working_in(self.folder)
        self.patch = self.context.__enter__()
        self.patch.setattr("harness.report.figures.draw_all", lambda *_: [])
        self.write_registry()

    def teardown(self):
        forget_store()
        self.context.__exit__(None, None, None)

    def write_registry(self):
        Path("own.toml").write_text(REGISTRY.format(title=self.title, diameter=self.diameter))

    def command(self, *arguments):
        from tests.conftest import _command

        code, out, err = _command(*arguments, "--dataset", self.data, "--file", "own.toml")
        assert "Traceback" not in out + err and bool(code) == bool(err), err
        return code, err

    def beside(self, n, *arguments):
        """The command in a process of its own, killed at its n-th call to disk or store; its process id."""
        forget_store()
        child = os.fork()
        if child:
            return child
        with Faults(self.folder, n, "kill"):
            code = self.command(*arguments)[0]
        os._exit(code)

    def runs(self):
        tracking.connect()
        return tracking.runs()

    @rule(row=st.sampled_from(ROWS))
    def run(self, row):
        code, err = self.command("run", row)
        assert code == 0, err

    @rule(row=st.sampled_from(ROWS), n=st.integers(1, 120))
    def run_and_kill(self, row, n):
        status = os.waitpid(self.beside(n, "run", row), 0)[1]
        assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)

    @rule(row=st.sampled_from(ROWS))
    def run_twice_at_once(self, row):
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in [self.beside(0, "run", row) for _ in range(2)]]
        assert 0 in codes and set(codes) <= {0, 2}  # the second was told that the first has it in hand

    @rule(title=st.sampled_from(["Intensity", "Other words", "*x*"]))
    def edit_a_title(self, title):
        self.title = title
        self.write_registry()

    @rule(diameter=st.sampled_from([10, 12]))
    def edit_a_setting(self, diameter):
        self.diameter = diameter
        self.write_registry()

    @precondition(lambda self: self.moves < 3)
    @rule()
    def move_the_data(self):
        self.moves += 1
        Path(self.data).rename(f"moved-{self.moves}")
        self.data = f"moved-{self.moves}"

    @precondition(lambda self: len(list(Path(self.data, "images").iterdir())) < 4)
    @rule(value=st.integers(1, 9))
    def add_an_image(self, value):
        images = Path(self.data, "images")
        first = min(images.iterdir())
        tifffile.imwrite(images / f"new-{len(list(images.iterdir()))}.tif", tifffile.imread(first) + value)

    @rule()
    def score(self):
        code, err = self.command("score", "tool", Path(self.data, "masks"))
        assert code == 0, err

    @rule(recompute=st.booleans())
    def report(self, recompute):
        code, err = self.command("report", *["--recompute"] * recompute)
        assert code == 0, err
        session = connect(prepare(self.data, None, None, Path("own.toml")))
        expected = set()
        for row in session.registry.rows:
            hashes = session.spec(row, 0).hashes()
            newest = next((run for run in self.runs() if run.state == "finished" and run.spec_hash in hashes), None)
            if newest and (newest.run_id not in self.lost or recompute):
                expected.add(newest.run_id)
        assert {run["run_id"] for run in json.loads(Path("report/results.json").read_text())["runs"]} == expected

    @rule()
    def list_rows(self):
        assert self.command("list")[0] == 0

    @rule(which=st.integers(0, 3), name=st.sampled_from(["per_field.csv", "sensitivity.csv"]))
    def lose_an_artefact(self, which, name):
        finished = [run for run in self.runs() if run.state == "finished"]
        if finished:
            run = finished[which % len(finished)]
            tracking.artifact(run, "").joinpath(name).unlink(missing_ok=True)
            self.lost.add(run.run_id)

    @invariant()
    def what_is_finished_stays_as_it_is(self):
        there = {run.run_id: run for run in self.runs() if run.state == "finished"}
        assert self.known.keys() <= there.keys()
        assert all(f"{tracking.TAG}row" in run.data.tags for run in tracking._search(""))  # the others would be claimed for ever
        for run_id, run in there.items():
            found = (run.metrics, run.spec_hash, digests(tracking.artifact(run, "")))
            metrics, spec_hash, kept = self.known.setdefault(run_id, found)
            assert (metrics, spec_hash) == found[:2] and found[2].items() <= kept.items()
            scores = {name: value for name, value in run.metrics.items() if not name.startswith("seconds")}
            assert self.of_spec.setdefault(run.spec_hash, scores) == scores


def digests(folder):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files_of(folder).items()}


def forget_store():
    """Connections must not be shared with a process that begins here."""
    tracking.mlflow.tracking._tracking_service.utils._get_store().engine.dispose()


@pytest.fixture
def histories(empty_store, working_in, tmp_path, tiny_data):
    base, root = tmp_path / "base", tmp_path / "histories"
    base.mkdir()
    root.mkdir()
    shutil.copy(empty_store, base)
    shutil.copytree(tiny_data, base / "data")

    def run(examples, steps):
        run_state_machine_as_test(
            lambda: Histories(base, working_in, root),
            settings=settings(
                max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
            ),
        )
        print(f"{len(list(root.iterdir()))} histories of up to {steps} steps")

    return run


@pytest.mark.integration
def test_a_few_histories(histories):
    histories(examples=2, steps=8)


@pytest.mark.slow
def test_many_histories(histories):
    histories(examples=25, steps=25)
