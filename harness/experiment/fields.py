"""What is done to one field, in whatever process: labels, tiles to learn from, scores.

Worker processes import this module, so nothing here needs MLflow or Keras.
"""

from harness.core.errors import HarnessError
from harness.method import tiles
from harness.method.classmap import training_map
from harness.scoring import evaluation
from harness.sources import stored_labels
from harness.sources.labels import label_field


def labels_of(dataset, source, settings, name):
    """Label image and ignore mask that a label source gives a field; see `harness.sources.labels.label_field`."""
    try:
        if stored_labels.is_folder(source):
            return stored_labels.read(source, name, dataset.read_image(name).shape)
        nuclei = dataset.read_nuclei(name) if source == "manual" else None
        return label_field(source, settings, dataset.read_image(name), nuclei)
    except HarnessError as error:
        raise HarnessError(f"{dataset.name}: field {name}: {error}") from error


def tiles_of(dataset, source, settings, name):
    """Tiles of a field and their class maps for training: two (N, S, S) arrays."""
    labels, ignore = labels_of(dataset, source, settings, name)
    return tiles.cut(dataset.read_image(name)), tiles.cut(training_map(labels, ignore))


def score(dataset, name, prediction):
    """Score a field.

    Parameters
    ----------
    dataset : DataSet
    name : str
        Of the field.
    prediction : callable
        Makes the `evaluation.Prediction`: post-processing is done here, in the worker.

    Returns
    -------
    tuple
        The prediction, and its `evaluation.Scores`.
    """
    prediction = prediction()
    return prediction, evaluation.score_field(prediction, dataset.read_nuclei(name))
