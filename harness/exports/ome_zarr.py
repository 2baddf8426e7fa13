"""OME-Zarr label images, version 0.4: the one that most programs read."""

from pathlib import Path
from typing import Any

import numpy as np

from harness.core.files import whole_folder

VERSION = "0.4"
CHUNK = 1024  # px


def write(path: Path, labels: np.ndarray) -> None:
    """Write a label image as an OME-Zarr image that is marked as labels, of one resolution.

    It opens by itself. Copied to `labels/NAME` of an OME-Zarr image and listed there, it belongs to that image.

    Parameters
    ----------
    path : Path
        Folder, `.ome.zarr`; it appears whole or not at all, an earlier one there is replaced.
    labels : (H, W) integer ndarray

    Raises
    ------
    HarnessError
        The folder cannot be written.

    References
    ----------
    https://ngff.openmicroscopy.org/0.4/#label-md
    """
    import zarr
    from numcodecs import Zlib

    with whole_folder(path) as new:
        group = zarr.create_group(new, zarr_format=2, overwrite=True, attributes=_attributes(path))
        chunks = tuple(min(CHUNK, length) for length in labels.shape)
        separated: Any = {"name": "v2", "separator": "/"}
        array = group.create_array(
            "0", shape=labels.shape, dtype=np.int32, chunks=chunks, compressors=Zlib(), chunk_key_encoding=separated
        )
        array[:] = labels


def _attributes(path: Path) -> dict:
    return {
        "multiscales": [
            {
                "version": VERSION,
                "name": path.name.removesuffix(".ome.zarr"),
                "axes": [{"name": name, "type": "space"} for name in "yx"],
                "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}]}],
            }
        ],
        "image-label": {"version": VERSION},
    }
