"""Data sets: fields, their nuclei as far as they are known, and their splits."""

from pathlib import Path

from harness.core.errors import HarnessError
from harness.datasets import bbbc038, bbbc039
from harness.datasets.bbbc038 import groups, is_bbbc038, open_bbbc038
from harness.datasets.bbbc039 import open_bbbc039
from harness.datasets.dataset import SPLITS, DataSet, Field
from harness.datasets.folder import keep_splits, open_folder, problems, unused, write_folder
from harness.datasets.pixels import NOT_TEXT, field_name, image_files, is_text, read_image, read_nuclei
from harness.datasets.planes import Choice, ChoiceError
from harness.datasets.synthetic import open_synthetic

__all__ = [
    "BUILT_IN",
    "NOT_TEXT",
    "SPLITS",
    "Choice",
    "ChoiceError",
    "DataSet",
    "Field",
    "faults",
    "field_name",
    "groups",
    "image_files",
    "is_at_hand",
    "is_bbbc038",
    "is_data_folder",
    "is_text",
    "keep_splits",
    "open_dataset",
    "problems",
    "read_image",
    "read_nuclei",
    "summary",
    "unused",
    "write_folder",
]


BUILT_IN = ("synthetic", "bbbc039")


def is_data_folder(dataset: str) -> bool:
    """Whether a data set is named by its folder, not by a name that is built in."""
    return dataset not in BUILT_IN and not is_bbbc038(dataset) and Path(dataset).is_dir()


def is_at_hand(dataset: str, data_dir: Path | None = None) -> bool:
    """Whether `open_dataset` has what it needs without a download; a folder or copy that was named may still be wrong."""
    if is_bbbc038(dataset):
        return bbbc038.is_at_hand(data_dir)
    return bbbc039.is_at_hand(data_dir) if dataset == "bbbc039" else dataset in BUILT_IN or is_data_folder(dataset)


def open_dataset(dataset: str, data_dir: Path | None = None) -> DataSet:
    """Open a data set by name or folder; files are checked, pixels are read when asked for.

    Parameters
    ----------
    dataset : str
        "synthetic", "bbbc039", a group of BBBC038's frames such as "bbbc038-256x256" (see `harness.datasets.bbbc038`), or the
        path of a folder (see `harness.datasets.folder.open_folder`).
    data_dir : Path, optional
        Unpacked copy of BBBC039 (see `harness.datasets.bbbc039.open_bbbc039`) or BBBC038.

    Raises
    ------
    HarnessError
        There is no such data set, or it is incomplete, altered or wrong.
    """
    if dataset == "synthetic":
        return open_synthetic()
    if dataset == "bbbc039":
        return open_bbbc039(data_dir)
    if is_bbbc038(dataset):
        return open_bbbc038(dataset, data_dir)
    if is_data_folder(dataset):
        return open_folder(Path(dataset))
    raise HarnessError(
        f"no data set '{dataset}': neither synthetic, nor bbbc039, nor bbbc038-<rows>x<columns>, nor a folder that is there"
    )


def summary(dataset: DataSet) -> dict:
    """What a data set holds; every field is read.

    Returns
    -------
    dict
        Ready for JSON: "name", "digest" and "splits", where each split has the numbers of "fields", of
        "annotated" ones and of "nuclei", its image "sizes" as [rows, columns], and the "names" of its fields.
    """
    return {
        "name": dataset.name,
        "digest": dataset.digest,
        "splits": {split: _split_summary(dataset, fields) for split, fields in dataset.splits.items()},
    }


def faults(dataset: DataSet) -> list[str]:
    """Everything that is wrong with the files of a data set, one line each; every field is read."""
    lines = []
    for name in (name for fields in dataset.splits.values() for name in fields):
        try:
            dataset.read_image(name)
            dataset.read_nuclei(name)
        except HarnessError as error:
            lines.append(str(error))
    return lines


def _split_summary(dataset: DataSet, fields: tuple[str, ...]) -> dict:
    nuclei = (dataset.read_nuclei(field) for field in fields)
    counts = [int(labels.max()) for labels in nuclei if labels is not None]
    sizes = sorted({dataset.read_image(field).shape for field in fields})
    return {
        "fields": len(fields),
        "annotated": len(counts),
        "nuclei": sum(counts),
        "sizes": [list(size) for size in sizes],
        "names": list(fields),
    }
