from types import SimpleNamespace

import numpy as np
import pytest
from imageio.v3 import imread

from harness.core.errors import HarnessError
from harness.experiment import runner
from harness.experiment.runner import _training_times, write_predictions
from harness.scoring.evaluation import Prediction


@pytest.mark.parametrize("count", [3, 300, 65535])
def test_predictions_come_back_as_they_were_written(tmp_path, count):
    nuclei = np.arange(count + 1, dtype=np.int32)[None]
    write_predictions(tmp_path, {"a": Prediction([], [], nuclei, {"labels/{}": nuclei[:, ::-1]})})
    np.testing.assert_array_equal(imread(tmp_path / "predictions" / "nuclei" / "a.png"), nuclei)
    np.testing.assert_array_equal(imread(tmp_path / "predictions" / "labels" / "a.png"), nuclei[:, ::-1])


def test_more_nuclei_than_a_png_holds_are_refused_and_not_wrapped(tmp_path):
    with pytest.raises(HarnessError, match="field a: 65536 nuclei are more than a PNG holds"):
        write_predictions(tmp_path, {"a": Prediction([], [], np.arange(65537)[None], {})})


def test_a_training_step_is_timed_without_validation():
    epochs = [{"seconds": 100, "train_seconds": each, "cpu_seconds": 150, "other_seconds": 1} for each in (90, 75, 80)]
    times = _training_times(epochs, steps=250)
    assert times == {"training": 300, "training_cpu": 450, "training_others": 3, "train_step": pytest.approx(80 / 250)}


def test_epochs_that_an_earlier_version_trained_have_no_time_of_a_step():
    older = [{"seconds": 100}, {"seconds": 110}]
    assert _training_times(older, steps=250) == {"training": 210}
    assert _training_times([*older, {"seconds": 9, "train_seconds": 5, "cpu_seconds": 1, "other_seconds": 0}], 10) == {
        "training": 219,
        "train_step": 0.5,
    }


def test_a_store_that_fails_while_tidying_up_does_not_hide_the_cause(monkeypatch):
    def broken(*_, **__):
        raise ValueError("the cause")
        yield

    def lost(*_):
        raise RuntimeError("the store is lost")

    monkeypatch.setattr(runner, "_one_by_one", broken)
    monkeypatch.setattr(runner.tracking, "row_run", lambda spec: spec.row)
    monkeypatch.setattr(runner.tracking, "summarise", lost)
    with pytest.raises(ValueError, match="the cause"):
        list(runner.run_all([SimpleNamespace(row="a", title="A", lineage=[], parent=None)], None, print))
