"""What every data set is to the rest of the harness."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from harness.core.errors import HarnessError

SPLITS = ("training", "validation", "test")


@dataclass(frozen=True)
class Field:
    """A field of view; its pixels are read when they are first looked at.

    Attributes
    ----------
    name : str
    read_image, read_nuclei : callable
        See `DataSet`.
    """

    name: str
    read_image: Callable[[str], np.ndarray]
    read_nuclei: Callable[[str], np.ndarray | None]

    @cached_property
    def image(self) -> np.ndarray:
        """Intensities as stored, (H, W)."""
        return self.read_image(self.name)

    @cached_property
    def nuclei(self) -> np.ndarray | None:
        """Annotated nuclei as (H, W) int32 label image; None where there is no annotation."""
        return self.read_nuclei(self.name)


@dataclass(frozen=True)
class DataSet:
    """Fields with their splits; pixels are read only when asked for.

    Both readers take a field's name, can be pickled and raise `HarnessError` for a file that cannot be used.

    Attributes
    ----------
    name : str
        "synthetic", "bbbc039" or the folder's name.
    digest : str
        SHA-256, in hexadecimal, over the content that is there: neither paths nor times.
    splits : dict of str to tuple of str
        "training", "validation" and "test" to the names of their fields, in the order of the split list.
    read_image : callable
        Field name to image, 2-D, of the dtype it was stored in.
    read_nuclei : callable
        Field name to label image, 2-D int32, 0 background; None where the field is not annotated.
    unannotated : frozenset of str
        The fields that have no mask, known without reading any.
    at_hand : bool
        Whether pixels can be read; see `harness.datasets.stored`.
    """

    name: str
    digest: str
    splits: dict[str, tuple[str, ...]]
    read_image: Callable[[str], np.ndarray]
    read_nuclei: Callable[[str], np.ndarray | None]
    unannotated: frozenset[str] = frozenset()
    at_hand: bool = True

    def field(self, name: str) -> Field:
        """The field of a name."""
        return Field(name, self.read_image, self.read_nuclei)

    def annotation(self, name: str) -> np.ndarray:
        """What a field is scored against, (H, W) int32; a HarnessError where it has no annotation."""
        nuclei = self.read_nuclei(name)
        if nuclei is None:
            raise HarnessError(f"{self.name}: field {name} has no mask to be scored against; add it or leave the field out")
        return nuclei


def digest_of(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 in hexadecimal over pairs of file name and the file's own SHA-256, whatever their order."""
    lines = sorted(f"{sha256}  {name}\n" for name, sha256 in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 in hexadecimal of a file's bytes.

    Raises
    ------
    HarnessError
        The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def split_list_names(text: str) -> list[str]:
    """Names in a split list, one a line; blank lines and the kind of line end do not count."""
    return [line.strip() for line in text.split("\n") if line.strip()]
