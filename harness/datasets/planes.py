"""Files that hold several planes, of which one shows the nuclei: channels, colours, depth, time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from harness.core.errors import HarnessError
from harness.core.extras import need

KINDS = {"C": "channels", "S": "colours", "Z": "planes in depth", "T": "moments"}
CHANNELS = "CS"
SPLIT = "save the plane or projection that shows the nuclei in a file of its own"


class ChoiceError(HarnessError):
    """A file holds several planes, and what was chosen of them is none or not one."""


class Choice(NamedTuple):
    """Which plane of a file shows the nuclei; both are needed where there are channels and planes of another kind.

    Attributes
    ----------
    channel : str, optional
        A name or, counted from 0, a number; alone, also the number of a plane where there are no channels.
    plane : int, optional
        In depth or time, counted from 0.
    """

    channel: str | None = None
    plane: int | None = None

    @property
    def given(self) -> dict[str, str | int]:
        """What was chosen, by name: part of what decides labels and of a data set's digest."""
        return {name: value for name, value in self._asdict().items() if value is not None}


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
    def several(self) -> list[tuple[str, int]]:
        """The axes beside rows and columns that are longer than 1, with their lengths; a letter may come twice."""
        lengths = zip(self.axes, self.pixels.shape, strict=True)
        return [(axis, length) for axis, length in lengths if axis not in "YX" and length > 1]

    def split(self) -> tuple[str, str]:
        """The letters of `several`: those of channels and colours, and those of other planes."""
        axes = "".join(axis for axis, _ in self.several)
        return "".join(axis for axis in axes if axis in CHANNELS), "".join(axis for axis in axes if axis not in CHANNELS)


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Say in one line that an image cannot be read: decoders raise anything from OSError to struct.error."""
    try:
        yield
    except HarnessError:
        raise
    except FileNotFoundError:
        raise HarnessError(f"{path}: there is no such file; check the folder") from None
    except Exception as error:
        hint = "; install imagecodecs" if "imagecodecs" in str(error) else ""
        raise HarnessError(
            f"{path}: cannot be read as an image ({type(error).__name__}{hint}); replace the file or take it out of the data set"
        ) from error


def choose(path: Path, stored: Stored, choice: Choice) -> Stored:
    """One plane of a file.

    Parameters
    ----------
    path : Path
        For messages.
    stored : Stored
    choice : Choice
        Colours need none: they may be equal.

    Returns
    -------
    Stored
        Without the chosen axes, in memory.

    Raises
    ------
    ChoiceError
        There is no such channel or plane, or not all was chosen that the file holds several of.
    """
    channels, planes = stored.split()
    if len(channels) > 1 or len(planes) > 1:
        raise ChoiceError(f"{path}: {too_many(stored)}")
    if choice.plane is None and not channels and choice.channel not in stored.names:
        channels, planes = planes, ""
    at: dict[str, int] = {}
    if choice.channel is not None:
        at[channels] = _channel(path, stored, channels, choice.channel)
    if choice.plane is not None:
        at[planes] = _plane(path, stored, planes, choice.plane)
    if {axis for axis, _ in stored.several} - {*at, "S"}:
        raise ChoiceError(f"{path}: {too_many(stored)}")
    index = tuple(at.get(axis, slice(None)) for axis in stored.axes)
    with decoding(path):
        pixels = np.asarray(stored.pixels[index])
    return Stored(pixels, "".join(axis for axis in stored.axes if axis not in at))


def number(text: str) -> int | None:
    """What a text counts from 0; None where it is no number, or one of more digits than any file has planes."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _channel(path: Path, stored: Stored, axis: str, channel: str) -> int:
    names = _names(stored, axis)
    at = names.index(channel) if channel in names else number(channel)
    if at is None or at >= len(names):
        raise ChoiceError(f"{path}: has no channel '{channel:.100}'; there is {_listed(names)}")
    return at


def _plane(path: Path, stored: Stored, axis: str, plane: int) -> int:
    count = dict(stored.several).get(axis, 1)
    if plane >= count:
        raise ChoiceError(f"{path}: has no plane {plane}; there {'is' if count == 1 else 'are'} {count}, counted from 0")
    return plane


def too_many(stored: Stored) -> str:
    """What is wrong with a file of several planes, and what to do, in words."""
    channels, planes = stored.split()
    if not channels + planes or len(channels) > 1 or len(planes) > 1:
        return f"{_told(stored)}; {SPLIT}"
    wanted = ["channel"] * len(channels) + ["plane"] * len(planes)
    options, files = " and ".join(f"--{each}" for each in wanted), " and ".join(f"{each}.txt" for each in wanted)
    by = "number or name" if channels else "number"
    return f"{_told(stored)}; choose the one that shows the nuclei by {by}, with {options} or in a data folder's metadata/{files}"


def _told(stored: Stored) -> str:
    told = []
    for axis, length in stored.several:
        names = _names(stored, axis)
        told.append(f"{length} {KINDS.get(axis, 'planes')}" + (f" ({_listed(names)})" if any(names) else ""))
    return f"has {' and '.join(told) or 'no rows or no columns'}"


def _names(stored: Stored, axis: str) -> tuple[str, ...]:
    """As many as there are planes along an axis; empty where the file has no name for one."""
    count = dict(stored.several).get(axis, 1)
    named = len(stored.names) == count and axis in ("C", "")
    return stored.names if named else ("",) * count


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"{number} {name}".strip() for number, name in enumerate(names))


def open_ome_zarr(path: Path) -> Stored:
    """The image of an OME-Zarr folder in full resolution, of any version until 0.5; pixels are read when they are asked for.

    Raises
    ------
    HarnessError
        It holds no image, or several, or not as many axes as it says.

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
    array: Any = group[scales["datasets"][0]["path"]]
    axes = scales.get("axes", "tczyx")  # fixed before version 0.3
    if len(axes) != array.ndim:
        raise HarnessError(f"{path}: names {len(axes)} axes of an array of {array.ndim}; replace it or take it out")
    names = [str(each.get("label", "")) for each in about.get("omero", {}).get("channels", ())]
    return Stored(array, "".join(map(_letter, axes)), tuple(names))


def _letter(axis: str | dict[str, str]) -> str:
    if isinstance(axis, str):
        return axis.upper()
    return "C" if axis.get("type") == "channel" else axis["name"].upper()[:1]
