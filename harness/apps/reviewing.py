"""`harness segment --review`: a sheet of the nuclei that a network is least certain of."""

from pathlib import Path

import pandas as pd
import tifffile

from harness.apps.jobs import images_in
from harness.datasets import field_name, read_image

SHEET = "review.png"
TILES = 24
LEAST = 2  # of an image, however many there are: one bad image would fill the sheet


def write_sheet(images: Path, out: Path) -> Path:
    """Draw the nuclei of the lowest confidence, from the tables and label images that are there.

    Parameters
    ----------
    images, out : Path
        As `harness.apps.segmenting.segment_files` has them.

    Returns
    -------
    Path
        OUT/review.png.
    """
    from harness.report.figures.doubtful import Crop, contact_sheet
    from harness.report.figures.style import save

    files = {field_name(file.name): file for file in images_in(images)}
    lines = _doubtful(out, list(files)).itertuples()
    crops = [Crop(read_image(files[line.field]), tifffile.imread(out / f"{line.field}.tif"), line) for line in lines]
    save(contact_sheet(crops), out / SHEET, "", "")
    return out / SHEET


def _doubtful(out: Path, stems: list[str]) -> pd.DataFrame:
    """As the sheet wants them, of images that could be segmented; `why` says how sharp the outline is."""
    tables = [pd.read_csv(path) for path in (out / f"{stem}.csv" for stem in stems) if path.is_file()]
    nuclei = pd.concat(tables) if tables else pd.DataFrame(columns=["image", "label", "confidence", "edge"])
    nuclei = nuclei.assign(field=nuclei["image"].astype(str), kind="label", doubt=1 - nuclei["confidence"])
    nuclei = nuclei.assign(why=[f"edge {edge:.2f} / px" for edge in nuclei["edge"]])
    nuclei = nuclei.sort_values(["confidence", "edge", "field", "label"], kind="stable")
    return nuclei.groupby("field", sort=False).head(max(LEAST, TILES // max(len(tables), 1))).head(TILES)
