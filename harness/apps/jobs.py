"""Images that are worked through file by file: what is left to do, and what made what is there.

Beside the label images lies `MANIFEST`, JSON line by line: first what they are made by, then for each the image it was made
of. A line follows its label image. Where it was lost with a killed process, the label image is made once more and has to
be the one that is there.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from glob import has_magic
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

from harness import exports
from harness.core.errors import HarnessError
from harness.core.files import claimed, written
from harness.core.label_images import check_labels, write_label_image
from harness.core.parallel import over_fields
from harness.datasets import NOT_TEXT, Choice, ChoiceError, field_name, is_text, read_image
from harness.datasets.dataset import digest_of, sha256_of
from harness.datasets.pixels import files_of, is_image_file
from harness.experiment.stages import versions_of

MANIFEST = "manifest.jsonl"
AGAIN = "--redo makes them again, or give another folder"

Made = tuple[np.ndarray, Callable[[Path], object]]  # labels, and what writes the files beside them, given OUT/<stem>
Done = tuple[str, int, str | None]  # file name, number of nuclei, what was wrong


class Seen(NamedTuple):
    """An image when its label image was made: bytes, time of its last change (ns since 1970), SHA-256.

    Of an OME-Zarr, those of all its files together.
    """

    size: int
    modified: int
    sha256: str


class Job(NamedTuple):
    """Images to be worked through.

    Attributes
    ----------
    left, there : int
        Images to be done, also those of which an export alone is missing, and images that are done.
    done : iterator of (str, int, str or None)
        Does the work: name of the image, number of nuclei, and what was wrong with the file, if something was.
    """

    left: int
    there: int
    done: Iterator[Done]


def images_in(images: Path, out: Path | None) -> dict[str, Path]:
    """The images that are meant, by the names that results have: paths below the folder, or below what a pattern begins with.

    Parameters
    ----------
    images : path-like
        An image, a folder of images and folders, or a pattern with `*`, `**`, `?` or `[...]`.
    out : path-like, optional
        Where results go. It is left out, as are other folders of results (those with a `MANIFEST`), hidden ones, and `masks`
        beside `images`.

    Raises
    ------
    HarnessError
        No such folder, no image in it, or two images of the same stem.
    """
    root, found = _found(Path(images), Path(out).resolve() if out else None)
    files = {file.relative_to(root).as_posix(): file for file in sorted(found)}
    if not files:
        raise HarnessError(f"{images}: not a folder with images; give one that holds TIFF, PNG or OME-Zarr, or a pattern")
    twice = sorted(stem for stem, count in Counter(map(field_name, files)).items() if count > 1)
    if twice:
        raise HarnessError(f"{images}: {twice[0]} is there with two endings; label images are named by the stem, so keep one")
    return files


def _found(images: Path, out: Path | None) -> tuple[Path, list[Path]]:
    """Resolved, since a worker may have another working folder."""
    if is_image_file(images):
        return images.resolve().parent, [images.resolve()]
    if images.is_dir() or not has_magic(str(images)):
        return images.resolve(), list(_below(images.resolve(), out))
    fixed = next(number for number, part in enumerate(images.parts) if has_magic(part))
    root = Path(*images.parts[:fixed]).resolve()
    matched = root.glob(str(Path(*images.parts[fixed:])))
    found = {file for path in matched for file in ([path] if is_image_file(path) else _below(path, out))}
    return root, [file for file in found if not any(_is_aside(root / each, out) for each in file.relative_to(root).parents[:-1])]


def _below(folder: Path, out: Path | None) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        here = Path(place)
        yield from (here / name for name in (*files, *folders) if is_image_file(here / name))
        folders[:] = [name for name in folders if not _is_aside(here / name, out)]


def _is_aside(folder: Path, out: Path | None) -> bool:
    """Whether no images are looked for in it: it is hidden, an image itself, or holds results or the masks of a data set."""
    annotated = folder.name == "masks" and (folder.parent / "images").is_dir()
    return annotated or folder.name.startswith(".") or is_image_file(folder) or folder == out or (folder / MANIFEST).is_file()


def job(
    files: dict[str, Path],
    out: Path,
    recipe: dict[str, Any],
    make: Callable[[Path], Made],
    redo: bool = False,
    formats: tuple[str, ...] = (),
    **where: Any,
) -> Job:
    """Find out what is left to do; `OUT/<stem>.tif` becomes the label image of an image.

    Parameters
    ----------
    files : dict of str to Path
        See `images_in`.
    out : path-like
        Folder of the label images.
    recipe : dict
        All that decides the label images besides the image, by name; see `recipe_of`.
    make : callable
        Picklable; from the path of an image to its label image.
    redo : bool
        Make again what was made otherwise, or of an image that has changed, and what nobody knows about.
    formats : tuple of str
        Of `harness.exports`: what else each label image is written as. Where it was made before, it is read again.
    **where
        `workers` or `scheduler`, see `harness.core.parallel.over_fields`; the label images do not depend on it.

    Raises
    ------
    HarnessError
        Without `redo`: label images are there that were made otherwise, of other images, or nobody knows how.
        Or a format cannot be written here.
    """
    out, recipe, formats = Path(out).resolve(), json.loads(json.dumps(recipe)), exports.check(formats)
    before, seen = _read(out / MANIFEST)
    there = [name for name in files if _is_there(_target(out, name))]
    if before and before != recipe and not redo and any(_is_there(_target(out, name)) for name in seen):
        raise HarnessError(f"{out}: its label images were made otherwise ({_difference(before, recipe)}); {AGAIN}")
    if there and not before and not redo:
        raise HarnessError(f"{out}: no {MANIFEST} says what made the {len(there)} label images that are there; {AGAIN}")
    listed = [name for name in there if before == recipe and name in seen]
    same = {name: _is_same(files[name], seen[name]) for name in listed}
    made, changed = ({name for name in listed if same[name] is state} for state in (True, False))
    if changed and not redo:
        raise HarnessError(f"{out}: {len(changed)} of its label images are of images that have changed since; {AGAIN}")
    done = {name for name in made if all(exports.path_of(_base(out, name), each).exists() for each in formats)}
    left = [(name, file, name in made) for name, file in files.items() if name not in done]
    do_one = partial(_do_one, make, out, redo, formats)
    return Job(len(left), len(done), _work(left, out, None if before == recipe else recipe, do_one, where))


def refuse_unchosen(files: Iterable[Path], choice: Choice) -> None:
    """Refuse a request whose choice of channel and plane fits none of its images; one that fits some is for `job` to do.

    Raises
    ------
    ChoiceError
        That of the first image.
    """
    first = None
    for file in files:
        try:
            read_image(file, *choice)
            return
        except ChoiceError as error:
            first = first or error
        except Exception:  # noqa: BLE001, S112  `job` says it of the image, and does the others
            continue
    if first:
        raise first


def recipe_of(parts: dict[str, Any], stages: tuple[str, ...], choice: Choice = Choice()) -> dict[str, Any]:
    """What decides label images besides the image, by name: some parts, what of a file was chosen, versions of stages."""
    return (
        parts | choice.given | {f"version of {stage}": version for stage, version in versions_of(("datasets", *stages)).items()}
    )


def _base(out: Path, name: str) -> Path:
    """What the names of an image's results begin with."""
    return out / field_name(name)


def _target(out: Path, name: str) -> Path:
    return out / f"{field_name(name)}.tif"


def _is_there(path: Path) -> bool:
    """A file that was moved to its place right before a power cut may be empty."""
    return path.is_file() and path.stat().st_size > 0


def _read(manifest: Path) -> tuple[dict[str, Any] | None, dict[str, Seen]]:
    """What label images were made by, and by name the images they were made of; of one name the last line counts."""
    before, seen = None, dict[str, Seen]()
    if not manifest.exists():
        return before, seen
    if not manifest.is_file():
        raise HarnessError(f"{manifest}: is no file, and what made the label images is written there; move it elsewhere")
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


def _is_same(image: Path, seen: Seen) -> bool | None:
    """None where that cannot be read, which the work on the image says, and does the others."""
    try:
        return _size_and_time(image) == seen[:2] or _sha256(image) == seen.sha256
    except (HarnessError, OSError):
        return None


def _size_and_time(image: Path) -> tuple[int, int]:
    stats = [file.stat() for file in files_of(image)]
    return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)


def _sha256(image: Path) -> str:
    if not image.is_dir():
        return sha256_of(image)
    return digest_of((file.relative_to(image).as_posix(), sha256_of(file)) for file in files_of(image))


def _work(left: list[tuple], out: Path, recipe: dict[str, Any] | None, do_one: Callable, where: dict) -> Iterator[Done]:
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
        for name, count, wrong, seen in over_fields(do_one, *zip(*left, strict=True), **where):
            if seen:
                _append(lines, {"image": name, **seen._asdict()})
            yield name, count, wrong


def _append(lines: FileIO, entry: dict[str, Any]) -> None:
    """A line of its own, also where the one before was cut short."""
    left = b"\n" * bool(lines.tell()) + json.dumps(entry).encode()
    with written(lines.name):
        while left:
            left = left[lines.write(left) :]


def _do_one(
    make: Callable[[Path], Made], out: Path, redo: bool, formats: tuple[str, ...], name: str, file: Path, made: bool
) -> tuple[str, int, str | None, Seen | None]:
    """Of a label image that was `made` before, exports are missing."""
    try:
        labels, seen = _export(out, formats, name) if made else _make(make, out, redo, formats, name, file)
    except HarnessError as error:
        return name, 0, str(error), None
    except Exception as error:  # noqa: BLE001  one image must not end the others
        return name, 0, f"failed: {type(error).__name__}: {' '.join(str(error).split())}", None
    return name, int(labels.max(initial=0)), None, seen


def _export(out: Path, formats: tuple[str, ...], name: str) -> tuple[np.ndarray, None]:
    labels = check_labels(tifffile.imread(_target(out, name)))  # it may have been corrected by hand
    exports.write(_base(out, name), labels, formats)
    return labels, None


def _make(
    make: Callable[[Path], Made], out: Path, redo: bool, formats: tuple[str, ...], name: str, file: Path
) -> tuple[np.ndarray, Seen]:
    """The label image is written last: where it is, all is."""
    if not is_text(name):
        raise HarnessError(NOT_TEXT)
    seen = Seen(*_size_and_time(file), _sha256(file))
    labels, write_beside = make(file)
    if not redo:
        _keep_another(_target(out, name), labels)
    write_beside(_base(out, name))
    exports.write(_base(out, name), labels, _renewed(_base(out, name), formats) if redo else formats)
    write_label_image(_target(out, name), labels)
    return labels, seen


def _renewed(base: Path, formats: tuple[str, ...]) -> tuple[str, ...]:
    """What is exported anew: also what is there of the label image that is replaced."""
    return exports.check((*formats, *(each for each in exports.FORMATS if exports.path_of(base, each).exists())))


def _keep_another(target: Path, labels: np.ndarray) -> None:
    if _is_there(target) and not np.array_equal(tifffile.imread(target), labels):
        raise HarnessError(
            f"{target} is there, not in {MANIFEST}, and another than is made now; move it elsewhere, or --redo replaces it"
        )
