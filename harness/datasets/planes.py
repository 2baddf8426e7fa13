"""Files that hold several planes, of which one shows the nuclei: channels, colours, depth, time."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.core.errors import HarnessError
from harness.core.extras import need

KINDS = {"C": "channels", "S": "colours", "Z": "planes in depth", "T": "moments"}
CHOOSE = "choose the one that shows the nuclei by number or name, with --channel or in a data folder's metadata/channel.txt"
SPLIT = "save the plane or projection that shows the nuclei in a file of its own"


class Stored(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    pixels : ndarray or zarr.Array
        Read from disk when it is indexed, in the latter case.
    axes : str
        A letter for each axis: Y and X, and C, Z, T, S (colours) or others beside them.
    names : tuple of str
        Of the channels, as far as the file names them.
    """

    pixels: Any
    axes: str
    names: tuple[str, ...] = ()

    @property
    def several(self) -> dict[str, int]:
        """The axes beside rows and columns that are longer than 1, with their lengths."""
        lengths = zip(self.axes, self.pixels.shape, strict=True)
        return {axis: length for axis, length in lengths if axis not in "YX" and length > 1}


def choose(path: Path, stored: Stored, channel: str) -> Stored:
    """One channel of a file or, where it has no channels, one plane.

    Parameters
    ----------
    path : Path
        For messages.
    stored : Stored
    channel : str
        A name or, counted from 0, a number.

    Returns
    -------
    Stored
        Without that axis, in memory.

    Raises
    ------
    HarnessError
        There is no such channel, or there are planes of two kinds.
    """
    if len(stored.several) > 1:
        raise HarnessError(f"{path}: {too_many(stored)}")
    axis = next(iter(stored.several), "")
    names = _names(stored, axis)
    at = names.index(channel) if channel in names else int(channel) if channel.isdecimal() else len(names)
    if at >= len(names):
        raise HarnessError(f"{path}: has no channel '{channel}'; there is {_listed(names)}")
    index = tuple(at if each == axis else slice(None) for each in stored.axes)
    return Stored(np.asarray(stored.pixels[index]), stored.axes.replace(axis, ""))


def too_many(stored: Stored) -> str:
    """What is wrong with a file of several planes, and what to do, in words."""
    if len(stored.several) != 1:
        return f"{_told(stored)}; {SPLIT}"
    named = any(names := _names(stored, *stored.several))
    return f"{_told(stored)}{f' ({_listed(names)})' if named else ''}; {CHOOSE}"


def _told(stored: Stored) -> str:
    told = " and ".join(f"{length} {KINDS.get(axis, 'planes')}" for axis, length in stored.several.items())
    return f"has {told or 'no rows or no columns'}"


def _names(stored: Stored, axis: str) -> tuple[str, ...]:
    """As many as there are planes along an axis; empty where the file has no name for one."""
    count = stored.several.get(axis, 1)
    named = len(stored.names) == count and axis in ("C", "")
    return stored.names if named else ("",) * count


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{number} {name}".strip() for number, name in enumerate(names))


def open_ome_zarr(path: Path) -> Stored:
    """The image of an OME-Zarr folder in full resolution, of any version until 0.5; pixels are read when they are asked for.

    Raises
    ------
    HarnessError
        It holds no image, or several.

    References
    ----------
    https://ngff.openmicroscopy.org/0.5/ and its older versions
    """
    need(f"{path}: OME-Zarr", "zarr")
    import zarr

    try:
        group = zarr.open_group(path, mode="r")
    except FileNotFoundError:
        raise HarnessError(f"{path}: holds no OME-Zarr; replace it or take it out") from None
    about: dict[str, Any] = dict(group.attrs)
    about = about.get("ome", about)  # version 0.5
    if "multiscales" not in about:
        images = [name for name in group.group_keys() if name.isdecimal()]  # bioformats2raw numbers them
        if len(images) == 1:
            return open_ome_zarr(path / images[0])
        raise HarnessError(f"{path}: is an OME-Zarr of {len(images) or 'no'} images; give the folder of one, or one a file")
    scales = about["multiscales"][0]
    array = group[scales["datasets"][0]["path"]]
    axes = scales.get("axes", "tczyx")  # fixed before version 0.3
    names = [str(each.get("label", "")) for each in about.get("omero", {}).get("channels", ())]
    return Stored(array, "".join(map(_letter, axes)), tuple(names))


def _letter(axis: str | dict[str, str]) -> str:
    if isinstance(axis, str):
        return axis.upper()
    return "C" if axis.get("type") == "channel" else axis["name"].upper()[:1]
