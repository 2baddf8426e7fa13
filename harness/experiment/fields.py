"""What is done to one field, in whatever process: labels, tiles to learn from, scores.

Worker processes import this module, so nothing here needs MLflow or Keras.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from imageio.v3 import imread

from harness.core.clock import timed
from harness.core.errors import HarnessError
from harness.datasets import DataSet
from harness.method import tiles
from harness.method.classmap import class_map, training_map
from harness.scoring import evaluation
from harness.sources import LabelSource
from harness.sources.predicted import refine
from harness.sources.steps import Step


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


def refined(dataset: DataSet, name: str, steps: Sequence[Step], predictions: Path, side: int) -> evaluation.Prediction:
    """A network's prediction of a field after some steps: of the refined nuclei the class map, and from there on as before.

    Parameters
    ----------
    dataset : harness.datasets.DataSet
    name : str
    steps : sequence of harness.sources.steps.Step
    predictions : Path
        Folder `nuclei` of the network's run.
    side : int
        Of the tiles in px.
    """
    classes = class_map(refine(steps, dataset.read_image(name), imread(predictions / f"{name}.png").astype(np.int32)))
    return evaluation.from_class_maps(tiles.cut(classes, side), classes)


def score(
    dataset: DataSet, name: str, prediction: Callable[[], evaluation.Prediction]
) -> tuple[evaluation.Prediction, evaluation.Scores, float]:
    """Score a field; the post-processing that `prediction` does is done and timed here, in the worker."""
    predicted, seconds = timed(prediction)
    return predicted, evaluation.score_field(predicted, dataset.annotation(name)), seconds
