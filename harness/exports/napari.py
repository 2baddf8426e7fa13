"""A table that napari opens as points at the centroids of the nuclei, with their ids as a property."""

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.measure import regionprops_table

from harness.core.files import whole

COLUMNS = {"label": "label", "centroid-0": "axis-0", "centroid-1": "axis-1", "num_pixels": "area"}


def write(path: Path, labels: np.ndarray) -> None:
    """Write `label`, `axis-0` (y) and `axis-1` (x) of the centroid in px, and `area` in px, a line per nucleus.

    napari takes a table with columns `axis-...` for points; the other columns become their features, and `label` is what
    a layer of labels knows its features by.

    Parameters
    ----------
    path : Path
        `.csv`, written whole or not at all.
    labels : (H, W) integer ndarray

    Raises
    ------
    HarnessError
        The file cannot be written.
    """
    table = regionprops_table(labels.astype(np.int32), properties=("label", "num_pixels", "centroid"))
    with whole(path) as partial:
        pd.DataFrame(table).rename(columns=COLUMNS).to_csv(partial, index=False, columns=list(COLUMNS.values()))
