"""Nuclei of new images: a trained network as a program of its own."""

import hashlib
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from harness.apps.jobs import Job, Made, images_in, job, recipe_of
from harness.core.files import whole
from harness.datasets import read_image
from harness.experiment.stages import PREDICTION
from harness.method.postprocess import nuclei_from_class_map
from harness.network.start import load_backend

COLUMNS = {
    "label": "label",
    "num_pixels": "area",
    "centroid-0": "y",
    "centroid-1": "x",
    "intensity_mean": "intensity_mean",
    "intensity_min": "intensity_min",
    "intensity_max": "intensity_max",
}


def segment_files(
    model: str, store: str, images: Path, out: Path, redo: bool = False, channel: str | None = None, **how: Any
) -> Job:
    """The nuclei of each image: `OUT/<stem>.tif`, a label image, and `OUT/<stem>.csv`, see `properties`.

    Parameters
    ----------
    model, store : str
        See `network`.
    images, out : path-like
        See `harness.apps.jobs.images_in`, and folder of the label images and tables.
    channel : str, optional
        See `harness.datasets.read_image`.
    redo, **how
        See `harness.apps.jobs.job`.

    Raises
    ------
    HarnessError
        There is no such network, or the folders do not fit; see `harness.apps.jobs`.
    """
    files = images_in(images, out)
    recipe = recipe_of({"network": _digest(network(model, store))}, ("tiles", *PREDICTION, "postprocess"), channel)
    return job(files, out, recipe, partial(_segment, model, store, channel), redo, **how)


def _digest(network: Any) -> str:
    """SHA-256, in hexadecimal, of a network's weights: it may have several names."""
    found = hashlib.sha256()
    for weight in network.get_weights():
        found.update(f"{weight.dtype} {weight.shape}".encode() + np.ascontiguousarray(weight).tobytes())
    return found.hexdigest()


@cache
def network(model: str, store: str) -> Callable[[np.ndarray], np.ndarray]:
    """The network of a process; `model` as `harness.experiment.tracking.load_network` takes it, `store` the tracking store."""
    from harness.experiment import tracking

    tracking.connect(store)
    load_backend()
    return tracking.load_network(model)


def _segment(model: str, store: str, channel: str | None, file: Path) -> Made:
    predict, image = network(model, store), read_image(file, channel)
    from harness.network.inference import predict_field  # imports Keras, which `load_backend` keeps quiet

    nuclei = nuclei_from_class_map(predict_field(predict, image)[1])

    def write_table(base: Path) -> None:
        table = properties(nuclei, image)
        table.insert(1, "image", base.name)  # after the label, which is what napari knows a table's lines by
        with whole(base.with_name(f"{base.name}.csv")) as partial_file:
            table.to_csv(partial_file, index=False)

    return nuclei, write_table


def properties(nuclei: np.ndarray, image: np.ndarray) -> pd.DataFrame:
    """Measure the nuclei of a field with scikit-image's region properties.

    Parameters
    ----------
    nuclei : (H, W) int32 ndarray
        Label image.
    image : (H, W) ndarray
        Intensities as stored.

    Returns
    -------
    DataFrame
        One line per nucleus: label, area (px), y and x of the centroid (px, from 0 at the first row and column), and
        the mean, smallest and largest intensity.
    """
    wanted = ("label", "num_pixels", "centroid", "intensity_mean", "intensity_min", "intensity_max")
    return pd.DataFrame(regionprops_table(nuclei, image, properties=wanted)).rename(columns=COLUMNS)
