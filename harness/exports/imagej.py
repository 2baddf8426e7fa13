"""ROIs of ImageJ and Fiji, a zip file as their ROI Manager saves and opens it."""

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from harness.core.errors import HarnessError
from harness.core.files import whole
from harness.exports.outlines import Polygon, outlines

MOVE, LINE, CLOSE = 0.0, 1.0, 4.0  # as java.awt.geom.PathIterator numbers them
LONGEST = 60535  # px; ImageJ reads larger coordinates as negative ones


def write(path: Path, labels: np.ndarray) -> None:
    """Write a label image as ROIs, one a nucleus, named by its id.

    A nucleus of one part without a hole is a traced ROI, as the wand makes it; another is a composite one. Both go along
    the edges of pixels, so that filling a ROI gives exactly the nucleus.

    Parameters
    ----------
    path : Path
        `.zip`, written whole or not at all.
    labels : (H, W) integer ndarray

    Raises
    ------
    HarnessError
        The image is larger than ImageJ's ROIs can be, or the file cannot be written.
    """
    if max(labels.shape) > LONGEST:
        raise HarnessError(f"{path}: ImageJ's ROIs end at {LONGEST} px, this image is {max(labels.shape)} px long; cut it")
    with whole(path) as partial, ZipFile(partial, "w", ZIP_DEFLATED) as archive:
        for id_, polygons in outlines(labels).items():
            archive.writestr(ZipInfo(f"{id_}.roi"), _roi(id_, polygons), ZIP_DEFLATED)  # its date is always 1980


def _roi(id_: int, polygons: list[Polygon]) -> bytes:
    from roifile import ROI_TYPE, ImagejRoi

    corners = np.array([corner for polygon in polygons for corner in polygon[0]])
    (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
    roi = ImagejRoi(name=str(id_), left=left, top=top, right=right, bottom=bottom)
    if [len(polygon) for polygon in polygons] == [1]:
        roi.roitype, roi.n_coordinates = ROI_TYPE.TRACED, len(corners)
        roi.integer_coordinates = (corners - (left, top)).astype(np.int32)
    else:
        roi.roitype = ROI_TYPE.RECT  # the file format's way to say composite
        roi.multi_coordinates = np.array(_path(polygons), np.float32)
        roi.shape_roi_size = len(roi.multi_coordinates)
    return roi.tobytes()


def _path(polygons: list[Polygon]) -> list[float]:
    path: list[float] = []
    for ring in (ring for polygon in polygons for ring in polygon):
        for step, corner in zip([MOVE, *[LINE] * len(ring)], ring, strict=False):
            path += [step, *corner]
        path.append(CLOSE)
    return path
