"""A folder of images that is worked through file by file: what is left to do, and what made what is there.

Beside the label images lies `MANIFEST`, JSON line by line: first what they are made by, then for each the image it was made
of. A line follows its label image. Where it was lost with a killed process, the label image is made once more and has to
be the one that is there.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

from harness.core.errors import HarnessError
from harness.core.files import claimed, written
from harness.core.label_images import write_label_image
from harness.core.parallel import over_fields
from harness.datasets import NOT_TEXT, field_name, image_files, is_text
from harness.datasets.dataset import sha256_of
from harness.experiment.stages import versions_of

MANIFEST = "manifest.jsonl"
AGAIN = "--redo makes them again, or give another folder"

Made = tuple[np.ndarray, Callable[[Path], object]]  # labels, and what writes the files beside them, given OUT/<stem>
Done = tuple[str, int, str | None]  # file name, number of nuclei, what was wrong


class Seen(NamedTuple):
    """An image when its label image was made: bytes, time of its last change (ns since 1970), SHA-256."""

    size: int
    modified: int
    sha256: str


class Job(NamedTuple):
    """A folder of images to be worked through.

    Attributes
    ----------
    left, there : int
        Images to be done, and images that are done.
    done : iterator of (str, int, str or None)
        Does the work: file name, number of nuclei, and what was wrong with the file, if something was.
    """

    left: int
    there: int
    done: Iterator[Done]


def images_in(images: Path) -> list[Path]:
    """The images of a folder.

    Raises
    ------
    HarnessError
        No such folder, no image in it, a name that is not UTF-8, or two images of the same stem.
    """
    folder = Path(images).resolve()  # a worker may have another working folder
    files = image_files(folder) if folder.is_dir() else []
    if not files:
        raise HarnessError(f"{images}: not a folder with images; give one that holds TIFF or PNG files")
    nameless = next((file for file in files if not is_text(file.name)), None)
    if nameless:
        raise HarnessError(f"{nameless}: {NOT_TEXT}")
    stems = Counter(field_name(file.name) for file in files)
    twice = sorted(stem for stem, count in stems.items() if count > 1)
    if twice:
        raise HarnessError(f"{images}: {twice[0]} is there with two endings; label images are named by the stem, so keep one")
    return files


def job(
    files: list[Path], out: Path, recipe: dict[str, Any], make: Callable[[Path], Made], redo: bool = False, **where: Any
) -> Job:
    """Find out what is left to do; `OUT/<stem>.tif` becomes the label image of an image.

    Parameters
    ----------
    files : list of Path
        See `images_in`.
    out : path-like
        Folder of the label images.
    recipe : dict
        All that decides the label images besides the image, by name; see `recipe_of`.
    make : callable
        Picklable; from the path of an image to its label image.
    redo : bool
        Make again what was made otherwise, or of an image that has changed, and what nobody knows about.
    **where
        `workers` or `scheduler`, see `harness.core.parallel.over_fields`; the label images do not depend on it.

    Raises
    ------
    HarnessError
        Without `redo`: label images are there that were made otherwise, of other images, or nobody knows how.
    """
    out, recipe = Path(out).resolve(), json.loads(json.dumps(recipe))
    before, seen = _read(out / MANIFEST)
    there = [file for file in files if _is_there(_target(out, file))]
    if before and before != recipe and not redo:
        raise HarnessError(f"{out}: its label images were made otherwise ({_difference(before, recipe)}); {AGAIN}")
    if there and not before and not redo:
        raise HarnessError(f"{out}: no {MANIFEST} says what made the {len(there)} label images that are there; {AGAIN}")
    listed = [file for file in there if before == recipe and file.name in seen]
    done = {file for file in listed if _is_same(file, seen[file.name])}
    if len(done) < len(listed) and not redo:
        raise HarnessError(f"{out}: {len(listed) - len(done)} of its label images are of images that have changed since; {AGAIN}")
    left = [file for file in files if file not in done]
    make_one = partial(_make_one, make, out, redo)
    return Job(len(left), len(done), _work(left, out, None if before == recipe else recipe, make_one, where))


def recipe_of(parts: dict[str, Any], stages: tuple[str, ...]) -> dict[str, Any]:
    """What decides label images besides the image, by name: some parts, and the versions of stages."""
    return parts | {f"version of {stage}": version for stage, version in versions_of(("datasets", *stages)).items()}


def _target(out: Path, file: Path) -> Path:
    return out / f"{field_name(file.name)}.tif"


def _is_there(path: Path) -> bool:
    """A file that was moved to its place right before a power cut may be empty."""
    return path.is_file() and path.stat().st_size > 0


def _read(manifest: Path) -> tuple[dict[str, Any] | None, dict[str, Seen]]:
    """What label images were made by, and by name the images they were made of; of one name the last line counts."""
    before, seen = None, dict[str, Seen]()
    if not manifest.is_file():
        return before, seen
    try:
        with manifest.open("rb") as lines:
            for entry in map(_parsed, lines):
                before = entry.get("recipe", before)
                if {"image", *Seen._fields} <= entry.keys():
                    seen[entry["image"]] = Seen(*(entry[name] for name in Seen._fields))
    except OSError as error:
        raise HarnessError(f"{manifest}: cannot be read ({error.strerror}); check its permissions") from error
    return before, seen


def _parsed(line: bytes) -> dict[str, Any]:
    """Nothing of a line that was cut short."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def _difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    name = next(name for name in {**now, **before} if before.get(name) != now.get(name))
    return f"{name}: {before.get(name)} then, {now.get(name)} now"


def _is_same(file: Path, seen: Seen) -> bool:
    stat = file.stat()
    return (stat.st_size, stat.st_mtime_ns) == seen[:2] or sha256_of(file) == seen.sha256


def _work(left: list[Path], out: Path, recipe: dict[str, Any] | None, make_one: Callable, where: dict) -> Iterator[Done]:
    """One process alone writes the manifest; it begins anew where there is a new recipe."""
    if not left:
        return
    manifest = out / MANIFEST
    busy = f"{out}: another process on this machine works on it; wait for it or stop it"
    with written(manifest):
        out.mkdir(parents=True, exist_ok=True)
        manifest.open("ab").close()
    with claimed(manifest, busy), manifest.open("ab", buffering=0) as lines:
        if recipe:
            lines.seek(0)
            lines.truncate()
            _append(lines, {"recipe": recipe})
        for name, count, wrong, seen in over_fields(make_one, left, **where):
            if seen:
                _append(lines, {"image": name, **seen._asdict()})
            yield name, count, wrong


def _append(lines: FileIO, entry: dict[str, Any]) -> None:
    """A line of its own, also where the one before was cut short."""
    left = b"\n" * bool(lines.tell()) + json.dumps(entry).encode()
    with written(lines.name):
        while left:
            left = left[lines.write(left) :]


def _make_one(make: Callable[[Path], Made], out: Path, redo: bool, file: Path) -> tuple[str, int, str | None, Seen | None]:
    """The label image is written last: where it is, all is."""
    try:
        stat = file.stat()
        seen = Seen(stat.st_size, stat.st_mtime_ns, sha256_of(file))
        labels, write_beside = make(file)
        if not redo:
            _keep_another(_target(out, file), labels)
        write_beside(_target(out, file).with_suffix(""))
        write_label_image(_target(out, file), labels)
    except HarnessError as error:
        return file.name, 0, str(error), None
    except Exception as error:  # noqa: BLE001  one image must not end the others
        return file.name, 0, f"failed: {type(error).__name__}: {' '.join(str(error).split())}", None
    return file.name, int(labels.max(initial=0)), None, seen


def _keep_another(target: Path, labels: np.ndarray) -> None:
    if _is_there(target) and not np.array_equal(tifffile.imread(target), labels):
        raise HarnessError(
            f"{target} is there, not in {MANIFEST}, and another than is made now; move it elsewhere, or --redo replaces it"
        )
