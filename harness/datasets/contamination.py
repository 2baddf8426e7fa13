"""Contamination: fields that show the same place as another split, another data set, or BBBC039's test fields.

Fingerprints are worked out once and kept in the user's cache folder under the data set's digest; they are part of no identity.
"""

import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch

from harness.core.errors import HarnessError
from harness.core.files import whole
from harness.datasets.dataset import DataSet
from harness.datasets.fingerprints import VERSION, Fingerprint, Overlap, fingerprint, overlaps, packed, unpacked

KNOWN = "bbbc039-test.npz"  # beside this module: fingerprints of BBBC039's test fields
NOTHING = Fingerprint((0, 0), np.empty((0, 2), np.int16))


class Shared(NamedTuple):
    """A field that shows the same place as another one.

    Attributes
    ----------
    field, split : str
    other, where : str
        The other field, and its split or its data set with the split.
    spots, share
        See `harness.datasets.fingerprints.Overlap`.
    """

    field: str
    split: str
    other: str
    where: str
    spots: int
    share: float

    def __str__(self) -> str:
        return f"{self.field} ({self.split}) and {self.other} ({self.where})"


def within(dataset: DataSet) -> list[Shared]:
    """The pairs of fields of different splits that show the same place; unreadable images are passed over."""
    return _kept(dataset)[1]


def against(dataset: DataSet, other: DataSet) -> list[Shared]:
    """The fields of a data set that show the same place as one of another data set."""
    there = [(name, f"{other.name}/{split}") for name, split in _fields(other)]
    return _across(dataset, there, list(_kept(other)[0].values()))


def known(dataset: DataSet) -> list[Shared]:
    """The fields of any other data set that are test fields of BBBC039: what learns from them has seen that test."""
    if dataset.name == "bbbc039":
        return []
    with resources.files("harness.datasets").joinpath(KNOWN).open("rb") as file, np.load(file) as arrays:
        names, seen = arrays["names"].tolist(), unpacked(arrays)
    return _across(dataset, [(name, "bbbc039/test") for name in names], seen)


def of_test(found: Iterable[Shared]) -> list[Shared]:
    """Those of `within` that contaminate the test split."""
    return [each for each in found if "test" in (each.split, each.where)]


def learned(dataset: DataSet, other: DataSet) -> list[Shared]:
    """The test fields of a data set that networks of another one have learned or been chosen from."""
    return [each for each in against(dataset, other) if each.split == "test" and each.where != f"{other.name}/test"]


def said(found: Sequence[Shared]) -> str:
    """What `of_test` and `learned` found, in words for a mark on a run."""
    fields = {each.field if each.split == "test" else each.other for each in found}
    return f"of the test fields, {len(fields)} stand in training or validation, too"


def check(dataset: DataSet, found: Sequence[Shared], allowed: bool = False) -> None:
    """Refuse a contaminated test split, unless told otherwise.

    Raises
    ------
    HarnessError
        A test field is in training or validation, too, or in those of the data set that was learned from.
    """
    if found and not allowed:
        raise HarnessError(
            f"{dataset.name}: the test split is contaminated: {found[0]} show the same place ({len(found)} such pairs; "
            "harness data lists all, those of another data set with --against); take them out of a split list, or give "
            "--allow-contaminated, which marks the runs"
        )


def _across(dataset: DataSet, there: Sequence[tuple[str, str]], theirs: list[Fingerprint]) -> list[Shared]:
    here, mine = _fields(dataset), list(_kept(dataset)[0].values())
    return _named([*here, *there], overlaps([*mine, *theirs], [0] * len(mine) + [1] * len(theirs)))


def _fields(dataset: DataSet) -> list[tuple[str, str]]:
    return [(name, split) for split, names in dataset.splits.items() for name in names]


def _named(fields: Sequence[tuple[str, str]], found: Iterable[Overlap]) -> list[Shared]:
    return [Shared(*fields[one], *fields[other], spots, share) for one, other, spots, share in found]


def _kept(dataset: DataSet) -> tuple[dict[str, Fingerprint], list[Shared]]:
    """Fingerprints by field and the pairs within the data set, from the cache folder where they are there."""
    path = Path(pooch.os_cache("harness"), "fingerprints", f"{dataset.digest}-{VERSION}.npz")
    fields = _fields(dataset)
    with suppress(OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile), np.load(path) as arrays:
        if arrays["fields"].tolist() == [list(each) for each in fields]:  # of another order, or another kind of digest
            return _opened(fields, unpacked(arrays), arrays["pairs"])
    seen, readable = _looked_at(dataset, fields)
    splits = list(dataset.splits)
    found = overlaps(seen, [splits.index(split) for _, split in fields])
    pairs = np.array(found, float).reshape(-1, 4)
    if readable:
        with suppress(HarnessError), whole(path) as partial, partial.open("wb") as file:  # else it is worked out again
            np.savez_compressed(file, **(packed(seen) | {"fields": np.array(fields, str), "pairs": pairs}))  # type: ignore[arg-type]
    return _opened(fields, seen, pairs)


def _opened(
    fields: Sequence[tuple[str, str]], seen: list[Fingerprint], pairs: np.ndarray
) -> tuple[dict[str, Fingerprint], list[Shared]]:
    found = [Overlap(int(one), int(other), int(spots), share) for one, other, spots, share in pairs.tolist()]
    return dict(zip((name for name, _ in fields), seen, strict=True)), _named(fields, found)


def _looked_at(dataset: DataSet, fields: Iterable[tuple[str, str]]) -> tuple[list[Fingerprint], bool]:
    """A fingerprint of each field, and whether all could be read."""
    seen, readable = [], True
    for name, _ in fields:
        try:
            seen.append(fingerprint(dataset.read_image(name)))
        except HarnessError:  # said where the image is used, or by `harness data`
            seen.append(NOTHING)
            readable = False
    return seen, readable
