"""Nuclei of new images: a trained network as a program of its own."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from harness.apps.jobs import Job, Made, images_in, job, recipe_of
from harness.core.files import whole
from harness.datasets import read_image
from harness.experiment.stages import NUCLEI
from harness.method import tiles
from harness.method.postprocess import nuclei_from_class_map
from harness.network.start import load_backend
from harness.sources.predicted import Predicted, refine
from harness.sources.refinements import Refined, Step, described, open_steps

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
    model: str, store: str, images: Path, out: Path, redo: bool = False, refinements: Sequence[str] = (), **where: Any
) -> Job:
    """The nuclei of each image: `OUT/<stem>.tif`, a label image, and `OUT/<stem>.csv`, see `properties`.

    Parameters
    ----------
    model, store : str
        See `network`.
    images, out : path-like
        Folder of TIFF and PNG images, and folder of the label images and tables.
    refinements : sequence of str
        Steps that the nuclei go through, see `harness.sources.refinements.open_step`.
    redo, **where
        See `harness.apps.jobs.job`.

    Raises
    ------
    HarnessError
        There is no such network or step, or the folders do not fit; see `harness.apps.jobs`.
    """
    files, steps = images_in(images), open_steps(refinements, Predicted())
    parts = _identity(network(model, store))
    parts |= {"refine": described(Refined(steps=steps))} if steps else {}
    recipe = recipe_of(parts, ("tiles", *NUCLEI, *("refinements",) * bool(steps)))
    return job(files, out, recipe, partial(_segment, model, store, steps), redo, **where)


def _identity(network: Any) -> dict[str, Any]:
    """Its tiles are named where they are not the paper's, which folders made by earlier versions do not name."""
    from harness.network.inference import side_of

    side = side_of(network)
    return {"network": _digest(network)} | ({"tile": side} if side != tiles.SIZE else {})


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


def _segment(model: str, store: str, steps: Sequence[Step], file: Path) -> Made:
    predict, image = network(model, store), read_image(file)
    from harness.network.inference import predict_field  # imports Keras, which `load_backend` keeps quiet

    nuclei = refine(steps, image, nuclei_from_class_map(predict_field(predict, image)[1]))

    def write_table(base: Path) -> None:
        table = properties(nuclei, image).assign(image=base.name)
        with whole(base.with_name(f"{base.name}.csv")) as partial_file:
            table.to_csv(partial_file, index=False, columns=["image", *COLUMNS.values()])

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
