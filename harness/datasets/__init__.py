"""Data sets: fields, their nuclei as far as they are known, and their splits."""

from pathlib import Path

from harness.datasets.bbbc039 import open_bbbc039
from harness.datasets.dataset import SPLITS, DataSet
from harness.datasets.synthetic import open_synthetic
from harness.errors import HarnessError

__all__ = ["SPLITS", "DataSet", "open_dataset"]

VERSION = 1


def open_dataset(dataset: str, data_dir: Path | None = None) -> DataSet:
    """Open a data set by name or folder; no pixel is read yet.

    Parameters
    ----------
    dataset : str
        "bbbc039" or "synthetic".
    data_dir : Path, optional
        Unpacked copy of BBBC039 (see `open_bbbc039`).

    Raises
    ------
    HarnessError
        There is no such data set, or it is incomplete or altered.
    """
    if dataset == "bbbc039":
        return open_bbbc039(data_dir)
    if dataset == "synthetic":
        return open_synthetic()
    raise HarnessError(f"no data set {dataset!r}; known: bbbc039, synthetic")
