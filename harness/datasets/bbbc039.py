"""BBBC039v1: 200 fields of U2OS nuclei; Broad Bioimage Benchmark Collection, Caicedo et al. 2018, CC0.

Every file is compared with its known SHA-256 (`bbbc039.sha256`, beside this module) before it is used.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import resources
from pathlib import Path, PurePosixPath

import numpy as np
import pooch

from harness.core.errors import HarnessError
from harness.datasets.dataset import SPLITS, DataSet, digest_of, sha256_of, split_list_names
from harness.datasets.pixels import read_image, read_nuclei

BASE_URL = "https://data.broadinstitute.org/bbbc/BBBC039/"
ARCHIVES = {
    "images.zip": "sha256:6f30a5d4fe38c928ded972704f085975f8dc0d65d9aa366df00e5a9d449fddd7",
    "masks.zip": "sha256:f9e6043d8ca56344a4886f96a700d804d6ee982f31e2b2cd3194af2a053c2710",
    "metadata.zip": "sha256:a2c1f900bed9ba92a99553efd4c2ae98598433691c7401d818653ab61110deb2",
}


def open_bbbc039(data_dir: Path | None = None) -> DataSet:
    """Open an unpacked copy of BBBC039, or download it into the user's cache folder.

    The masks of the training split, of the validation split or of both may be absent, each as a whole: the
    label sources of the paper do without them (section 2.2).

    Parameters
    ----------
    data_dir : Path, optional
        Folder holding images/, masks/ and metadata/; else HARNESS_DATA_DIR names it; else the cache folder.

    Raises
    ------
    HarnessError
        A file is missing or altered, only some masks of a split are there, or the download failed.
    """
    folder = data_dir or os.environ.get("HARNESS_DATA_DIR") or _downloaded()
    folder = Path(folder)
    sha256 = _check(folder, known_files())
    splits = {split: _split_fields(folder, split) for split in SPLITS}
    return DataSet(
        name="bbbc039",
        digest=digest_of(sha256.items()),
        splits=splits,
        read_image=partial(_read_image, folder),
        read_nuclei=partial(_read_nuclei, folder),
        unannotated=frozenset(field for fields in splits.values() for field in fields if f"masks/{field}.png" not in sha256),
    )


def known_files() -> dict[str, str]:
    """Path inside the data folder to SHA-256, for all 403 files; of a split list, that of its names.

    The names are joined with a line feed after each, because line ends differ between copies of the lists.
    """
    text = resources.files("harness.datasets").joinpath("bbbc039.sha256").read_text(encoding="ascii")
    return {name: sha256 for sha256, name in (line.split() for line in text.splitlines())}


def download(folder: Path, base_url: str = BASE_URL, archives: Mapping[str, str] = ARCHIVES) -> Path:
    """Download and unpack the archives; `folder` appears only once everything is in it.

    Parameters
    ----------
    folder : Path
        Where images/, masks/ and metadata/ shall lie; must not exist. Its parent is made if need be.
    base_url : str
        Where the archives are, ending in a slash.
    archives : mapping of str to str
        Archive to its known hash, as "sha256:<hexadecimal>".

    Raises
    ------
    HarnessError
        The server is not reached; an archive is truncated, altered or unsafe to unpack; the disk is full.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-download-") as temporary:
            unpacked = Path(temporary, "unpacked")
            fetcher = pooch.create(temporary, base_url, registry=dict(archives), retry_if_failed=1)
            for archive in archives:
                unpack(_fetch(fetcher, archive), unpacked)
            _move(unpacked, folder)
    except OSError as error:
        raise HarnessError(
            f"{folder}: BBBC039 cannot be written there ({error.strerror}); make room or name an unpacked copy with --data-dir"
        ) from error
    return folder


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP archive, without macOS' own entries; refuse one that would write outside `folder`."""
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.namelist() if PurePosixPath(member).parts[:1] != ("__MACOSX",)]
        for member in members:
            if not (folder / member).resolve().is_relative_to(folder.resolve()):
                raise HarnessError(
                    f"{archive.name}: its entry {member!r} would be written outside the data folder; do not use this archive"
                )
        opened.extractall(folder, members)


def is_at_hand(data_dir: Path | None = None) -> bool:
    """Whether `open_bbbc039` would open a copy that somebody named or that was downloaded before."""
    return bool(data_dir or os.environ.get("HARNESS_DATA_DIR")) or _cache().exists()


def _cache() -> Path:
    return Path(pooch.os_cache("harness"), "bbbc039")


def _downloaded() -> Path:
    return _cache() if _cache().exists() else download(_cache())


def _fetch(fetcher: pooch.Pooch, archive: str) -> Path:
    try:
        return Path(fetcher.fetch(archive))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong hash is a ValueError
        reason = "its content is not the known one" if isinstance(error, ValueError) else type(error).__name__
        raise HarnessError(
            f"cannot download {fetcher.get_url(archive)} ({reason}); try again, or unpack the "
            "archives of BBBC039 yourself and name the folder with --data-dir"
        ) from error


def _move(unpacked: Path, folder: Path) -> None:
    try:
        unpacked.rename(folder)
    except OSError:
        if not folder.is_dir():  # otherwise another process was faster: its copy is as good
            raise


def _check(folder: Path, known: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 by path of what is there, all of it as known; masks of whole splits may be absent."""
    if not all((folder / part).is_dir() for part in ("images", "masks", "metadata")):
        raise HarnessError(
            f"{folder} is not a copy of BBBC039: it must hold images/, masks/ and metadata/; "
            "name one with --data-dir or HARNESS_DATA_DIR"
        )
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        found = dict(zip(known, pool.map(partial(_sha256, folder), known), strict=True))
    wrong = [name for name in known if found[name] != known[name]]
    absent = set() if any(name.startswith("metadata/") for name in wrong) else _absent_masks(folder, found)
    wrong = [name for name in wrong if name not in absent]
    if wrong:
        state = "missing" if found[wrong[0]] is None else "not the original"
        raise HarnessError(
            f"BBBC039 in {folder}: {wrong[0]} is {state} ({len(wrong)} of {len(known)} files "
            "missing or altered); unpack the official archives again or name another copy"
        )
    return {name: sha256 for name, sha256 in found.items() if sha256 is not None}


def _sha256(folder: Path, name: str) -> str | None:
    path = folder / name
    if not path.is_file():
        return None
    if path.suffix == ".txt":
        names = split_list_names(path.read_text(encoding="utf-8", errors="replace"))
        return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()
    return sha256_of(path)


def _absent_masks(folder: Path, found: Mapping[str, str | None]) -> set[str]:
    """Masks that may be absent: all of the training split, all of the validation split."""
    absent = set()
    for split in ("training", "validation"):
        masks = {f"masks/{field}.png" for field in _split_fields(folder, split)}
        if all(found[mask] is None for mask in masks):
            absent |= masks
    return absent


def _split_fields(folder: Path, split: str) -> tuple[str, ...]:
    text = Path(folder, "metadata", f"{split}.txt").read_text(encoding="utf-8")
    return tuple(Path(name).stem for name in split_list_names(text))


def _read_image(folder: Path, field: str) -> np.ndarray:
    return read_image(folder / "images" / f"{field}.tif")


def _read_nuclei(folder: Path, field: str) -> np.ndarray | None:
    path = folder / "masks" / f"{field}.png"
    return read_nuclei(path) if path.exists() else None
