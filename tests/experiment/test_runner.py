import numpy as np
import pytest
from imageio.v3 import imread

from harness.core.errors import HarnessError
from harness.experiment.runner import write_predictions
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
