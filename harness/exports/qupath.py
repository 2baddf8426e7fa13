"""Detections of QuPath, as GeoJSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.files import whole
from harness.exports.outlines import Polygon, outlines


def write(path: Path, labels: np.ndarray) -> None:
    """Write a label image as a feature collection, one detection a nucleus, named by its id.

    A nucleus is a Polygon with its holes, or a MultiPolygon where it has several 4-connected parts, along the edges of its
    pixels; coordinates are x and y in px from the corner of the image.

    Parameters
    ----------
    path : Path
        `.geojson`, written whole or not at all.
    labels : (H, W) integer ndarray

    Raises
    ------
    HarnessError
        The file cannot be written.

    References
    ----------
    RFC 7946; https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
    """
    features = [_feature(id_, polygons) for id_, polygons in outlines(labels).items()]
    with whole(path) as partial:
        partial.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")


def _feature(id_: int, polygons: list[Polygon]) -> dict[str, Any]:
    closed = [[[*ring, ring[0]] for ring in polygon] for polygon in polygons]
    geometry = (
        {"type": "Polygon", "coordinates": closed[0]} if len(closed) == 1 else {"type": "MultiPolygon", "coordinates": closed}
    )
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "detection", "name": str(id_)}}
