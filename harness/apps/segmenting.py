"""Nuclei of new images: a trained network as a program of its own."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from harness.apps.jobs import make_folder
from harness.core.errors import HarnessError
from harness.core.files import whole
from harness.core.label_images import write_label_image
from harness.core.parallel import over_fields
from harness.datasets import field_name, read_image
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


def segment_files(model: str, store: str, files: list[Path], out: Path, **where) -> Iterator[tuple[str, int, str | None]]:
    """Write the nuclei of each image: `OUT/<stem>.tif`, a label image, and `OUT/<stem>.csv`, see `properties`.

    Parameters
    ----------
    model, store : str
        See `network`.
    files : list of Path
        See `harness.apps.jobs.pending`.
    out : path-like
    **where
        `workers` or `scheduler`, see `harness.core.parallel.over_fields`.

    Yields
    ------
    (str, int, str or None)
        File name, number of nuclei, and what was wrong with the file, if something was.
    """
    network(model, store)
    make_folder(out)
    if files:
        yield from over_fields(partial(_segment_file, model, store, Path(out).resolve()), files, **where)


@cache
def network(model: str, store: str) -> Callable[[np.ndarray], np.ndarray]:
    """The network of a process; `model` as `harness.experiment.tracking.load_network` takes it, `store` the tracking store."""
    from harness.experiment import tracking

    tracking.connect(store)
    load_backend()
    return tracking.load_network(model)


def _segment_file(model, store, out, file):
    try:
        return file.name, _segment_image(network(model, store), read_image(file), out, field_name(file.name)), None
    except HarnessError as error:
        return file.name, 0, str(error)


def _segment_image(network, image, out, name):
    """The label image is written last: where it is, the image is done."""
    from harness.network.inference import predict_field  # imports Keras, which `load_backend` keeps quiet

    nuclei = nuclei_from_class_map(predict_field(network, image)[1])
    with whole(out / f"{name}.csv") as partial:
        properties(nuclei, image).assign(image=name).to_csv(partial, index=False, columns=["image", *COLUMNS.values()])
    write_label_image(out / f"{name}.tif", nuclei)
    return int(nuclei.max())


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
