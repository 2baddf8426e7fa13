"""`harness segment --review`: a sheet of the nuclei that a network is least certain of."""

from pathlib import Path

import pandas as pd
import tifffile

from harness.apps.jobs import images_in
from harness.datasets import Choice, field_name, read_image

SHEET = "review.png"
TILES = 24
LEAST = 2  # of an image, however many there are: one bad image would fill the sheet


def write_sheet(images: Path, out: Path, choice: Choice = Choice()) -> Path:
    """Draw the nuclei of the lowest confidence, from the tables and label images that are there.

    Parameters
    ----------
    images, out, choice
        As `harness.apps.segmenting.segment_files` has them.

    Returns
    -------
    Path
        OUT/review.png.
    """
    from harness.report.figures.doubtful import Crop, contact_sheet
    from harness.report.figures.style import save

    files = {field_name(name): file for name, file in images_in(images, out).items()}
    lines = _doubtful(out, list(files)).itertuples()
    crops = [Crop(read_image(files[line.field], *choice), tifffile.imread(out / f"{line.field}.tif"), line) for line in lines]
    save(contact_sheet(crops), out / SHEET, "", "")
    return out / SHEET


def _doubtful(out: Path, names: list[str]) -> pd.DataFrame:
    """As the sheet wants them, of images that could be segmented; `why` says how sharp the outline is."""
    there = {name: out / f"{name}.csv" for name in names if (out / f"{name}.csv").is_file()}
    empty = pd.DataFrame(columns=["field", "label", "confidence", "edge"])
    nuclei = pd.concat([empty, *(pd.read_csv(path).assign(field=name) for name, path in there.items())])
    nuclei = nuclei.assign(kind="label", doubt=1 - nuclei["confidence"], why=[f"edge {edge:.2f} / px" for edge in nuclei["edge"]])
    nuclei = nuclei.sort_values(["confidence", "edge", "field", "label"], kind="stable")
    return nuclei.groupby("field", sort=False).head(max(LEAST, TILES // max(len(there), 1))).head(TILES)
