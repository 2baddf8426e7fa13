"""BBBC038v1 as it is downloaded: stage1_train of the 2018 Data Science Bowl, Caicedo et al. 2019, CC0.

A folder per frame holds images/<frame>.png and, in masks/, a binary PNG per nucleus. The frames are of many sizes and kinds;
those of one size that show fluorescence are a data set, called by that size: bbbc038-256x256.
"""

import hashlib
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from harness.core.errors import HarnessError
from harness.datasets import pixels
from harness.datasets.dataset import SPLITS, DataSet, digest_of, sha256_of

NAME = "bbbc038"
KINDS = ("fluorescence", "bright-field", "colour")
SEED = 0

Shape = tuple[int, int]


def is_bbbc038(dataset: str) -> bool:
    """Whether a data set is BBBC038, or one of its groups of frames."""
    return re.fullmatch(rf"{NAME}(-\d+x\d+)?", dataset) is not None


def is_at_hand(data_dir: Path | None = None) -> bool:
    """Whether somebody named a copy."""
    return bool(data_dir or os.environ.get("HARNESS_DATA_DIR"))


def open_bbbc038(name: str, data_dir: Path | None = None) -> DataSet:
    """Open the fluorescence frames of one size, split 50 : 25 : 25 by their names alone.

    Parameters
    ----------
    name : str
        "bbbc038-<rows>x<columns>".
    data_dir : Path, optional
        The unpacked stage1_train; else HARNESS_DATA_DIR names it.

    Raises
    ------
    HarnessError
        There is no such copy or group, or a frame lacks its image or its masks. What only the pixels can tell (sizes, overlaps)
        is found when a frame is read.
    """
    folder = _folder(data_dir)
    shapes = _shapes(folder)
    frames = [frame for frame, shape in shapes.items() if _named(shape) == name]
    frames = [frame for frame in frames if kind_of(folder, frame) == KINDS[0]]
    if not frames:
        sizes = ", ".join(f"{group} ({count})" for group, count in sorted(Counter(map(_named, shapes.values())).items()))
        raise HarnessError(f"{folder}: has no fluorescence frames '{name}'; its frames by size: {sizes}; see harness data")
    masks = {frame: _masks(folder, frame) for frame in frames}
    return DataSet(
        name=name,
        digest=_digest(folder, masks),
        splits=_splits(frames),
        read_image=partial(_read_image, folder),
        read_nuclei=partial(_read_nuclei, folder),
    )


def groups(data_dir: Path | None = None) -> list[dict]:
    """What kinds of frames a copy holds.

    Returns
    -------
    list of dict
        Ready for JSON, by size and kind: "size" as [rows, columns], "kind" (one of `KINDS`), "frames", and "dataset", what the
        group is called; None where it is no fluorescence and not used.
    """
    folder = _folder(data_dir)
    shapes = _shapes(folder)
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
        kinds = list(pool.map(partial(kind_of, folder), shapes))
    counted = Counter(zip(shapes.values(), kinds, strict=True))
    return [
        {"size": list(shape), "kind": kind, "frames": count, "dataset": _named(shape) if kind == KINDS[0] else None}
        for (shape, kind), count in sorted(counted.items(), key=lambda entry: (entry[0][0], KINDS.index(entry[0][1])))
    ]


def kind_of(folder: Path, frame: str) -> str:
    """One of `KINDS`: grey on a dark ground, grey on a bright one (a mean above half of the range), or real colours."""
    shown = pixels.read_channels(_image(folder, frame))
    if shown.ndim == 3:
        return "colour"
    return "bright-field" if shown.mean() > np.iinfo(shown.dtype).max / 2 else "fluorescence"


def _folder(data_dir: Path | None) -> Path:
    named = data_dir or os.environ.get("HARNESS_DATA_DIR")
    if not named:
        raise HarnessError(
            f"{NAME} is not downloaded by this program: unpack stage1_train.zip of https://bbbc.broadinstitute.org/BBBC038 "
            "and name the folder with --data-dir or HARNESS_DATA_DIR"
        )
    return Path(named).resolve()  # a worker may have another working folder


def _shapes(folder: Path) -> dict[str, Shape]:
    """Frame to its size, by name; of the images no more than the header is read."""
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    frames = [path.name for path in there if path.is_dir() and (path / "images").is_dir()]
    if not frames:
        raise HarnessError(
            f"{folder} is no copy of BBBC038: it must hold a folder per frame, each with images/ and masks/; "
            "name the unpacked stage1_train with --data-dir or HARNESS_DATA_DIR"
        )
    return {frame: _shape(_image(folder, frame)) for frame in frames}


def _shape(path: Path) -> Shape:
    try:
        height, width = iio.improps(path, plugin="pillow").shape[:2]
    except (OSError, ValueError, SyntaxError) as error:  # Pillow's ways to say that a file is no image
        raise HarnessError(
            f"{path}: cannot be read as an image ({type(error).__name__}); unpack the archive again or take the frame out"
        ) from error
    return height, width


def _named(shape: Shape) -> str:
    return f"{NAME}-{shape[0]}x{shape[1]}"


def _image(folder: Path, frame: str) -> Path:
    return folder / frame / "images" / f"{frame}.png"


def _masks(folder: Path, frame: str) -> list[Path]:
    there = folder / frame / "masks"
    found = pixels.image_files(there) if there.is_dir() else []
    if not found:
        raise HarnessError(f"{there}: holds no masks; unpack stage1_train again, or take the frame out")
    return found


def _digest(folder: Path, masks: dict[str, list[Path]]) -> str:
    files = [path for frame, of_frame in masks.items() for path in (_image(folder, frame), *of_frame)]
    names = [path.relative_to(folder).as_posix() for path in files]
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        return digest_of(zip(names, pool.map(sha256_of, files), strict=True))


def _splits(frames: list[str]) -> dict[str, tuple[str, ...]]:
    """A frame draws the same lot on every machine; half of them learn, a quarter validates, a quarter is scored on."""
    drawn = sorted(frames, key=lambda frame: hashlib.sha256(f"{SEED} {frame}".encode()).hexdigest())
    quarter = max(1, round(len(drawn) / 4))
    parts = (drawn[2 * quarter :], drawn[quarter : 2 * quarter], drawn[:quarter])
    return {split: tuple(sorted(part)) for split, part in zip(SPLITS, parts, strict=True)}


def _read_image(folder: Path, frame: str) -> np.ndarray:
    return pixels.read_image(_image(folder, frame))


def _read_nuclei(folder: Path, frame: str) -> np.ndarray:
    nuclei, masks = np.zeros(_shape(_image(folder, frame)), np.int32), _masks(folder, frame)
    for id_, path in enumerate(masks, start=1):
        nucleus = pixels.read_binary(path)
        if nucleus.shape != nuclei.shape:
            raise HarnessError(
                f"{path}: is {pixels.size(nucleus.shape)}, but its frame {pixels.size(nuclei.shape)}; save both in the same size"
            )
        if not nucleus.any():
            raise HarnessError(f"{path}: is an empty mask; take it out")
        if nuclei[nucleus].any():
            other = masks[nuclei[nucleus].max() - 1].name
            raise HarnessError(
                f"{path}: overlaps {other} by {np.count_nonzero(nuclei[nucleus])} px; a pixel belongs to one nucleus, so cut one"
            )
        nuclei[nucleus] = id_
    return nuclei
