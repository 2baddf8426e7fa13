"""A data set as a tracking store holds it: all but its pixels."""

from functools import partial
from typing import Any, NoReturn

from harness.core.errors import HarnessError
from harness.datasets.dataset import DataSet


def described(dataset: DataSet) -> dict[str, Any]:
    """What a run keeps of its data set, ready for JSON: name, digest, splits, and the fields without annotation."""
    return {"name": dataset.name, "digest": dataset.digest, "splits": dataset.splits, "unannotated": sorted(dataset.unannotated)}


def not_at_hand(kept: dict[str, Any]) -> DataSet:
    """A data set of which only this is known; reading a field of it is refused.

    Parameters
    ----------
    kept : dict
        What `described` gave. Runs of an earlier harness name the fields of the test split alone; `splits` then lacks the others.
    """
    read = partial(_refuse, kept["name"])
    splits = {split: tuple(names) for split, names in kept["splits"].items()}
    return DataSet(kept["name"], kept["digest"], splits, read, read, frozenset(kept["unannotated"]), at_hand=False)


def _refuse(dataset: str, field: str) -> NoReturn:
    raise HarnessError(
        f"{dataset}: field {field} is needed and the data set is not at hand; give its folder with --dataset, "
        "or of bbbc039 with --data-dir (harness data --dataset bbbc039 fetches it)"
    )
