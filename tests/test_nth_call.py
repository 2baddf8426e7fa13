"""Whichever call to the disk or the store fails, the same command ends with the same bits afterwards, and nothing older is lost.

After the failure: exit code 0, 1 or 2, lines of `harness: ...`, no traceback, no half-written file.
"""

import json
import shutil
import tempfile
from contextlib import suppress
from functools import partial

import numpy as np
import pytest
from faults import KINDS, Faults, files_of

from harness.experiment import tracking

ROW, OLDER = "classical-intensity-intensity", "classical-shape-shape"
SCORES = ("per_tile.csv", "per_field.csv", "sensitivity.csv", "predictions")


class Threshold:
    """What `segment` needs of a network: weights, and class probabilities of tiles."""

    input_shape = (None, None, None, 1)

    def get_weights(self):
        return [np.ones(1, np.float32)]

    def predict_on_batch(self, tiles):
        nucleus = (tiles[..., 0] > 0.5).astype(np.float32)
        return np.stack([1 - nucleus, nucleus, np.zeros_like(nucleus)], axis=-1)


COMMANDS = {
    "row": ("run", ROW, "--dataset", "data"),
    "label": ("label", "consensus", "data/images", "labels"),
    "segment": ("segment", "threshold", "data/images", "nuclei"),
    "score": ("score", "tool", "predictions", "--dataset", "data"),
    "report": ("report", "--dataset", "data"),
}


@pytest.fixture(scope="module")
def base(empty_store, tiny_data, working_in, tmp_path_factory):
    """Two fields of 72x96 px, a store in which a row is done, predictions of a tool, and a report that is older than that row."""
    from tests.conftest import _command

    folder = tmp_path_factory.mktemp("nth") / "base"
    shutil.copytree(tiny_data, folder / "data")
    shutil.copy(empty_store, folder)
    shutil.copytree(folder / "data" / "masks", folder / "predictions")
    with working_in(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.report.figures.draw_all", lambda *_: [])
        assert _command("report", "--dataset", "data")[0] == 0
        code, _, err = _command("run", OLDER, "--dataset", "data")
        assert code == 0, err
    return folder


@pytest.fixture
def attempt(base, working_in, tmp_path_factory, monkeypatch):
    """attempt(name, n, kind): the command `name` in a copy of `base`, its n-th call failing, then again with none failing."""
    from harness.apps import segmenting
    from harness.network import inference

    monkeypatch.setattr(segmenting, "network", lambda *_: Threshold())
    monkeypatch.setattr(inference, "for_windows", lambda network, _: network)
    monkeypatch.setattr(inference, "precision", lambda: "float32")  # asks TensorFlow, whose threads a training settles
    segmenting.windowed.cache_clear()
    monkeypatch.setattr("harness.report.figures.draw_all", lambda *_: [])
    return partial(_attempt, base, working_in, tmp_path_factory.mktemp("work"))


def _attempt(base, working_in, root, name, n=0, kind="error"):
    from tests.conftest import _command

    folder = root / f"{name}-{n}-{kind}"
    shutil.copytree(base, folder)
    (folder / "tmp").mkdir()
    with working_in(folder) as patch:
        patch.setattr(tempfile, "tempdir", str(folder / "tmp"))
        with Faults(root.parent, n, kind) as faults:
            code, _, err = _command(*COMMANDS[name])
        _check_failed(folder, base, name, code, err, faults)
        if n:
            code, _, again = _command(*COMMANDS[name])
            assert code == 0, again
        found = _result(name, folder)
        with suppress(Exception):
            tracking.mlflow.tracking._tracking_service.utils._get_store().engine.dispose()
    shutil.rmtree(folder)
    return found, faults.calls


def _check_failed(folder, base, name, code, err, faults):
    said = [line for line in err.splitlines() if line.startswith("harness: ")]
    assert code in (0, 1, 2) and "Traceback" not in err and bool(said) == bool(code), err
    assert all("\n" not in line for line in said)
    assert not [path for path in folder.rglob("*.partial") if name != "row"], faults.calls
    tracking.connect()
    assert [run.state for run in tracking.runs() if run.row == OLDER] == ["finished"]
    report = files_of(folder / "report")
    assert {"report.md", "results.json"} <= report.keys() and json.loads(report["results.json"])


def _result(name, folder):
    """Every bit that a command is for."""
    if name in ("label", "segment"):
        return files_of(folder / COMMANDS[name][-1])
    if name == "report":
        return files_of(folder / "report")
    row = {"row": ROW, "score": "tool"}[name]
    (run,) = [run for run in tracking.runs() if run.row == row and run.state == "finished"]
    scores = {metric: value for metric, value in run.metrics.items() if not metric.startswith("seconds")}
    stored = files_of(tracking.artifact(run, ""))
    return scores | {path: content for path, content in stored.items() if path.startswith(SCORES)}


def fails_well(attempt, name, n, kind, expected):
    found, calls = attempt(name, n, kind)
    if name in ("label", "segment"):  # lines of the manifest may come twice
        found, expected = ({**files, "manifest.jsonl": set(whole_lines(files["manifest.jsonl"]))} for files in (found, expected))
    assert found == expected, f"{name}, call {n} ({calls[n - 1]}), {kind}"


def whole_lines(manifest):
    """One that was cut short stays, and says nothing."""
    for line in manifest.splitlines():
        with suppress(ValueError):
            json.loads(line)
            yield line


@pytest.mark.integration
@pytest.mark.parametrize("name", COMMANDS)
def test_some_call_fails(attempt, chance, name):
    expected, calls = attempt(name)
    for n in sorted(chance.sample(range(1, len(calls) + 1), 5)):
        fails_well(attempt, name, n, chance.choice(KINDS), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_call_fails(attempt, name):
    expected, calls = attempt(name)
    failures, tried = [], 0
    for n, what in enumerate(calls, 1):
        for kind in KINDS if what == "write" else KINDS[:1]:
            tried += 1
            try:
                fails_well(attempt, name, n, kind, expected)
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  all are to be seen
                failures.append(f"{n} ({what}, {kind}): {type(error).__name__}: {str(error)[:500]}")
    print(f"{name}: {len(calls)} calls, {tried} failures tried")
    assert not failures, "\n".join(failures)
