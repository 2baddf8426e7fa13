"""What is done to one field, in whatever process: labels, tiles to learn from, scores.

Worker processes import this module, so nothing here needs MLflow or Keras.
"""

from collections.abc import Callable

import numpy as np

from harness.core.clock import timed
from harness.core.errors import HarnessError
from harness.datasets import DataSet
from harness.method import tiles
from harness.method.classmap import training_map
from harness.scoring import evaluation
from harness.sources import LabelSource


def labels_of(dataset: DataSet, source: LabelSource, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Label image and ignore mask that a label source gives a field; see `LabelSource.label`."""
    try:
        return source.label(dataset.field(name))
    except HarnessError as error:
        raise HarnessError(f"{dataset.name}: field {name}: {error}") from error


def tiles_of(dataset: DataSet, source: LabelSource, side: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Tiles of a field, `side` px wide, and their class maps for training: two (N, S, S) arrays."""
    labels, ignore = labels_of(dataset, source, name)
    return tiles.cut(dataset.read_image(name), side), tiles.cut(training_map(labels, ignore), side)


def score(
    dataset: DataSet, name: str, prediction: Callable[[], evaluation.Prediction]
) -> tuple[evaluation.Prediction, evaluation.Scores, float]:
    """Score a field; the post-processing that `prediction` does is done and timed here, in the worker."""
    predicted, seconds = timed(prediction)
    return predicted, evaluation.score_field(predicted, dataset.annotation(name)), seconds
