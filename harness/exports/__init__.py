"""Label images in the files of other programs, one module a format: an array goes in, a file comes out, pixel for pixel."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.core.errors import HarnessError
from harness.core.extras import need
from harness.exports import imagej, napari, ome_zarr, qupath


class Format(NamedTuple):
    """A kind of file.

    Attributes
    ----------
    ending : str
        What follows the name of the image.
    write : callable
        From path and (H, W) label image to the file, whole or not at all.
    needs : tuple of str
        Packages that the harness itself does without.
    """

    ending: str
    write: Callable[[Path, np.ndarray], None]
    needs: tuple[str, ...] = ()


FORMATS = {
    "imagej": Format(".zip", imagej.write, ("roifile",)),
    "qupath": Format(".geojson", qupath.write),
    "ome-zarr": Format(".ome.zarr", ome_zarr.write, ("zarr",)),
    "napari": Format(".napari.csv", napari.write),
}


def check(formats: Iterable[str]) -> tuple[str, ...]:
    """Some formats by name, each once.

    Raises
    ------
    HarnessError
        There is no such format, or it needs a package that is not installed.
    """
    chosen = tuple(dict.fromkeys(formats))
    for name in chosen:
        if name not in FORMATS:
            raise HarnessError(f"no export '{name}'; there is {', '.join(FORMATS)}")
        need(name, *FORMATS[name].needs)
    return chosen


def path_of(base: Path, name: str) -> Path:
    """Where a format puts the label image of an image, given its folder and name without ending."""
    return base.with_name(f"{base.name}{FORMATS[name].ending}")


def write(base: Path, labels: np.ndarray, formats: Iterable[str]) -> None:
    """Write a label image in some formats beside each other, see `path_of`."""
    for name in formats:
        FORMATS[name].write(path_of(base, name), labels)
