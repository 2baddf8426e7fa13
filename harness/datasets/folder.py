"""A folder of one's own as data set: images, the masks there are, and split lists if there are any."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile

from harness.core.errors import HarnessError
from harness.core.files import whole
from harness.datasets import pixels
from harness.datasets.dataset import SPLITS, DataSet, digest_of, sha256_of, split_list_names
from harness.datasets.planes import Choice, number

SHARES = {"training": 0.6, "validation": 0.2, "test": 0.2}
SEED = 0


@dataclass(frozen=True)
class Contents:
    """What lies in a data folder: field to image, field to mask file or folder of masks, splits, which plane shows the nuclei."""

    images: dict[str, Path]
    masks: dict[str, Path]
    splits: dict[str, tuple[str, ...]]
    choice: Choice
    problems: tuple[str, ...]


def open_folder(folder: Path) -> DataSet:
    """Open a folder with images/ and, where nuclei are known, masks/.

    The split lists metadata/{training,validation,test}.txt are optional. Fields that no list names go to the
    splits that have no list, 60 : 20 : 20, drawn from their names alone; only annotated ones go to the test
    split. With all three lists, fields that none names are not used. Where images have several channels,
    metadata/channel.txt holds the number, from 0, or the name of the one that shows the nuclei; where they have
    several planes, metadata/plane.txt holds its number, from 0.

    Parameters
    ----------
    folder : Path
        See `harness.datasets.pixels` for the kinds of images and masks.

    Raises
    ------
    HarnessError
        Something about the files or lists is wrong; the first problem, and how many there are. What only
        the pixels can tell (sizes, NaN) is found when a field is read, or by `problems`.
    """
    folder = folder.resolve()  # a worker may have another working folder
    contents = _contents(folder)
    if contents.problems:
        more = len(contents.problems) - 1
        raise HarnessError(contents.problems[0] + (f" ({more} more; harness data lists all)" if more else ""))
    return DataSet(
        name=folder.name,
        digest=_digest(folder, contents),
        splits=contents.splits,
        read_image=partial(_read_image, contents.images, contents.choice),
        read_nuclei=partial(_read_nuclei, contents.images, contents.masks, contents.choice),
        unannotated=frozenset(contents.images) - frozenset(contents.masks),
    )


def problems(folder: Path) -> list[str]:
    """Everything that is wrong with a data folder, one line each; every image and mask is read.

    Raises
    ------
    HarnessError
        There is no such folder, or it has no images.
    """
    contents = _contents(folder)
    return [*contents.problems, *_problems_of_pixels(contents)]


def unused(folder: Path) -> list[str]:
    """The fields of a data folder that no split names, although there are lists for all three."""
    contents = _contents(folder)
    return sorted(set(contents.images) - {field for fields in contents.splits.values() for field in fields})


def keep_splits(dataset: DataSet, folder: Path) -> None:
    """Write the splits that were drawn as split lists, so that images added later do not move the others.

    Raises
    ------
    HarnessError
        The lists cannot be written.
    """
    for split, fields in dataset.splits.items():
        path = folder / "metadata" / f"{split}.txt"
        if not path.exists():
            with whole(path) as partial_path:
                partial_path.write_text("".join(f"{field}\n" for field in fields), encoding="utf-8")


def write_folder(dataset: DataSet, folder: Path) -> None:
    """Write a data set as a data folder: images/*.tif, masks/*.png (16-bit label images) and the split lists.

    Raises
    ------
    HarnessError
        The folder is there already and not empty, or cannot be written.
    """
    try:
        for part in ("images", "masks", "metadata"):
            (folder / part).mkdir(parents=True)
    except OSError as error:
        raise HarnessError(f"{folder}: no data set can be written there ({error.strerror}); name a new folder") from error
    for split, fields in dataset.splits.items():
        names = "".join(f"{field}.png\n" for field in fields)
        (folder / "metadata" / f"{split}.txt").write_text(names, encoding="utf-8")
        for field in fields:
            tifffile.imwrite(folder / "images" / f"{field}.tif", dataset.read_image(field))
            nuclei = dataset.read_nuclei(field)
            if nuclei is not None:
                iio.imwrite(folder / "masks" / f"{field}.png", nuclei.astype(np.uint16))


def _contents(folder: Path) -> Contents:
    if not (folder / "images").is_dir():
        raise HarnessError(f"{folder} is not a data folder: put the images in {folder / 'images'}")
    images, wrong_images = _by_field(folder / "images")
    masks, wrong_masks = _by_field(folder / "masks", folders=True)
    if not images:
        raise HarnessError(f"{folder / 'images'}: holds no TIFF, PNG or OME-Zarr; put the images there")
    wrong = [*wrong_images, *wrong_masks]
    wrong += [
        f"{path}: is a mask without its image; name it like the image, add the image or remove the mask"
        for field, path in masks.items()
        if field not in images
    ]
    texts = (folder / "metadata" / f"{name}.txt" for name in (*SPLITS, *Choice._fields))
    wrong += [f"{path}: is no file; put the list or word there, or take it out" for path in texts if _is_no_file(path)]
    lists, wrong_lists = _split_lists(folder / "metadata", images)
    splits = _complete(lists, images, masks)
    choice, wrong_choice = _choice(folder / "metadata")
    wrong += [*wrong_lists, *_wrong_test(folder, splits["test"], masks), *wrong_choice]
    return Contents(images, masks, splits, choice, tuple(wrong))


def _choice(folder: Path) -> tuple[Choice, list[str]]:
    """What channel.txt and plane.txt hold, and what is wrong with the latter."""
    channel, word = (_word(folder / f"{each}.txt") for each in Choice._fields)
    plane = number(word or "")
    if word is None or plane is not None:
        return Choice(channel, plane), []
    return Choice(channel), [f"{folder / 'plane.txt'}: holds '{word:.100}'; write the number of a plane, counted from 0"]


def _is_no_file(path: Path) -> bool:
    """Whether something else is there: a folder, or a link that leads nowhere."""
    return os.path.lexists(path) and not path.is_file()


def _word(file: Path) -> str | None:
    return file.read_text(encoding="utf-8-sig", errors="replace").strip() or None if file.is_file() else None


def _by_field(folder: Path, folders: bool = False) -> tuple[dict[str, Path], list[str]]:
    """Field to file (or folder, where allowed), in the order of names, and what does not belong there."""
    found: dict[str, Path] = {}
    wrong = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        field = pixels.field_name(path.name) if pixels.is_image_file(path) else path.name
        if path.name.startswith("."):
            continue
        if not pixels.is_text(path.name):
            wrong.append(f"{path}: {pixels.NOT_TEXT}")
            continue
        if not (pixels.is_image_file(path) or (folders and path.is_dir())):
            wrong.append(f"{path}: is neither TIFF nor PNG nor OME-Zarr; convert it or move it elsewhere")
        elif field in found:
            wrong.append(f"{path}: is named like {found[field].name}; keep one of them or rename it")
        else:
            found[field] = path
    return found, wrong


def _split_lists(folder: Path, images: Mapping[str, Path]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Split to fields for each list that is there, and what is wrong with the lists."""
    lists: dict[str, tuple[str, ...]] = {}
    wrong, seen = [], dict[str, str]()
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if not path.is_file():
            continue
        names = split_list_names(path.read_text(encoding="utf-8-sig", errors="replace"))
        lists[split] = tuple(name if name in images else pixels.field_name(name) for name in names)
        for name, field in zip(names, lists[split], strict=True):
            if field not in images:
                wrong.append(f"{path}: names {name:.100}, which is not in images/; add it or take out the line")
            if field in seen:
                wrong.append(f"{path}: names {name:.100}, as {seen[field]}.txt does; take out one of the lines")
            seen[field] = split
    return lists, wrong


def _complete(
    lists: Mapping[str, tuple[str, ...]], images: Iterable[str], masks: Mapping[str, Path]
) -> dict[str, tuple[str, ...]]:
    """Give the fields that no list names to the splits that have no list."""
    listed = {field for fields in lists.values() for field in fields}
    free = sorted(set(images) - listed, key=_lot)
    absent = [split for split in SPLITS if split not in lists]
    total = sum(SHARES[split] for split in absent)
    splits = dict(lists)
    count = {split: max(1, round(len(free) * SHARES[split] / total)) for split in absent}
    if "test" in absent:
        splits["test"] = tuple([field for field in free if field in masks][: count["test"]])
        free = [field for field in free if field not in splits["test"]]
    if "validation" in absent:
        n = count["validation"] if "training" in absent else len(free)
        splits["validation"], free = tuple(free[:n]), free[n:]
    if "training" in absent:
        splits["training"] = tuple(free)
    return {split: splits[split] if split in lists else tuple(sorted(splits[split])) for split in SPLITS}


def _lot(field: str) -> str:
    """What a field draws: the same on every machine, and whatever other fields there are."""
    return hashlib.sha256(f"{SEED} {field}".encode()).hexdigest()


def _wrong_test(folder: Path, test: tuple[str, ...], masks: Mapping[str, Path]) -> list[str]:
    if not test:
        return [f"{folder}: has no test fields; put masks of some fields in masks/, the scores need them"]
    return [
        f"{folder / 'masks'}: has no mask of the test field {field}; add it or take it out of test.txt"
        for field in test
        if field not in masks
    ]


def _digest(folder: Path, contents: Contents) -> str:
    files = [
        path
        for fields in contents.splits.values()
        for field in fields
        for path in (*pixels.files_of(contents.images[field]), *_mask_files(contents.masks.get(field)))
    ]
    names = [path.relative_to(folder).as_posix() for path in files]
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        hashes = list(pool.map(sha256_of, files))
    lists = [(split, hashlib.sha256("\n".join(fields).encode()).hexdigest()) for split, fields in contents.splits.items()]
    lists += [(name, hashlib.sha256(str(value).encode()).hexdigest()) for name, value in contents.choice.given.items()]
    return digest_of([*zip(names, hashes, strict=True), *lists])


def _mask_files(mask: Path | None) -> list[Path]:
    if mask is None:
        return []
    return pixels.image_files(mask) if mask.is_dir() and not pixels.is_ome_zarr(mask) else pixels.files_of(mask)


def _read_image(images: Mapping[str, Path], choice: Choice, field: str) -> np.ndarray:
    return pixels.read_image(images[field], *choice)


def _read_nuclei(images: Mapping[str, Path], masks: Mapping[str, Path], choice: Choice, field: str) -> np.ndarray | None:
    if field not in masks:
        return None
    nuclei, shape = pixels.read_nuclei(masks[field]), pixels.read_image(images[field], *choice).shape
    if nuclei.shape != shape:
        raise HarnessError(
            f"{masks[field]}: is a mask of {pixels.size(nuclei.shape)}, but its image is "
            f"{pixels.size(shape)}; save both in the same size"
        )
    return nuclei


def _problems_of_pixels(contents: Contents) -> Iterator[str]:
    for field in contents.images:
        try:
            _read_image(contents.images, contents.choice, field)
            _read_nuclei(contents.images, contents.masks, contents.choice, field)
        except HarnessError as error:
            yield str(error)
