"""Nuclei of new images: a trained network as a program of its own."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from harness.apps.jobs import Job, Made, images_in, job, recipe_of, refuse_unchosen
from harness.core.files import whole
from harness.datasets import Choice, read_image
from harness.method.postprocess import nuclei_from_class_map
from harness.network.start import load_backend
from harness.scoring.doubt import sharpness
from harness.sources.predicted import Predicted, refine
from harness.sources.refinements import Refined, described, open_steps
from harness.sources.steps import Step

STAGES = ("tiles", "windows", "postprocess", "doubt")
THREADS = 2  # images in work: one is read, post-processed and written while the network computes another
_computing = Lock()
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
    model: str,
    store: str,
    images: Path,
    out: Path,
    redo: bool = False,
    choice: Choice = Choice(),
    refinements: Sequence[str] = (),
    **how: Any,
) -> Job:
    """The nuclei of each image: `OUT/<stem>.tif`, a label image, and `OUT/<stem>.csv`, see `properties`.

    Parameters
    ----------
    model, store : str
        See `network`.
    images, out : path-like
        See `harness.apps.jobs.images_in`, and folder of the label images and tables.
    choice : harness.datasets.Choice
        Which channel or plane of each image.
    refinements : sequence of str
        Steps that the nuclei go through, see `harness.sources.refinements.open_step`.
    redo, **how
        See `harness.apps.jobs.job`.

    Raises
    ------
    HarnessError
        There is no such network or step, or the folders or the choice do not fit; see `harness.apps.jobs`.
    """
    files, steps = images_in(images, out), open_steps(refinements, Predicted())
    refuse_unchosen(files.values(), choice)
    trained = network(model, store)
    from harness.network.inference import precision  # imports Keras, which `load_backend` keeps quiet

    computed = precision()  # here, and for all workers: another processor's choice would make another label image
    parts: dict[str, Any] = {"network": _digest(trained), "precision": computed}
    parts |= {"refine": described(Refined(steps=steps))} if steps else {}
    recipe = recipe_of(parts, (*STAGES, *("refinements",) * bool(steps)), choice)
    return job(files, out, recipe, partial(_segment, model, store, computed, steps, choice), redo, threads=THREADS, **how)


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


@cache
def windowed(model: str, store: str, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    """The `network` of a process, made ready for windows; see `harness.network.inference.for_windows`."""
    trained = network(model, store)
    from harness.network.inference import for_windows

    return for_windows(trained, precision)


def _segment(model: str, store: str, precision: str, steps: Sequence[Step], choice: Choice, file: Path) -> Made:
    image = read_image(file, *choice)
    with _computing:  # the rest goes on beside it
        trained = windowed(model, store, precision)
        from harness.network.inference import predict_windows, side_of

        seen = predict_windows(trained, image, side_of(network(model, store)))
    nuclei = refine(steps, image, nuclei_from_class_map(seen.classes))

    def write_table(base: Path) -> None:
        table = properties(nuclei, image, seen.nucleus)
        table.insert(1, "image", base.name)  # after the label, which is what napari knows a table's lines by
        with whole(base.with_name(f"{base.name}.csv")) as partial_file:
            table.to_csv(partial_file, index=False)

    return nuclei, write_table


def properties(nuclei: np.ndarray, image: np.ndarray, probability: np.ndarray) -> pd.DataFrame:
    """Measure the nuclei of a field, with scikit-image's region properties, and how certain they are.

    Parameters
    ----------
    nuclei : (H, W) int32 ndarray
        Label image.
    image : (H, W) ndarray
        Intensities as stored.
    probability : (H, W) ndarray
        Of class nucleus, as the network sees it.

    Returns
    -------
    DataFrame
        One line per nucleus: label, area (px), y and x of the centroid (px, from 0 at the first row and column), the mean,
        smallest and largest intensity; confidence, the mean of `probability` over its pixels; and edge, see
        `harness.scoring.doubt.sharpness`, in 1/px.
    """
    wanted = ("label", "num_pixels", "centroid", "intensity_mean", "intensity_min", "intensity_max")
    measured = pd.DataFrame(regionprops_table(nuclei, image, properties=wanted)).rename(columns=COLUMNS)
    certain = regionprops_table(nuclei, probability, properties=(), extra_properties=(confidence,))
    return measured.assign(confidence=certain["confidence"].round(4), edge=sharpness(nuclei, image).round(4))


def confidence(mask: np.ndarray, probability: np.ndarray) -> float:
    """Mean over the pixels of a nucleus; scikit-image hands over their box."""
    return float(probability[mask].mean(dtype=np.float64))
