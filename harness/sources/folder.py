"""Label images that any other tool made, as label source `folder:DIR`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from harness.core.errors import HarnessError
from harness.datasets import DataSet, Field, image_files, read_image, read_nuclei
from harness.datasets.dataset import digest_of, sha256_of
from harness.datasets.pixels import ENDINGS, size
from harness.sources.base import LabelSource, nothing_ignored

IGNORE = "_ignore"  # after a field's name: the file with the pixels that shall not count
CELLPOSE = "_cp_masks"  # Cellpose adds it to the names of its label images


@dataclass(frozen=True)
class Folder(LabelSource):
    """`folder:DIR`: DIR/<field>.tif or .png, perhaps with `CELLPOSE` after the name, or binary image a nucleus in/<field>/.

    The ignore mask is <field>_ignore.tif beside it, as `harness label consensus` writes it, or nothing. Of frames that lie in
    folders of their own, as BBBC038's, results do, too: in DIR/<field>/images/.
    """

    family = "folder"
    choices = ("folder:DIR",)
    stages = ("folder",)
    from_images = False
    masks = True
    identity = "folder"  # the content counts, see `digest`, not where it lies

    @classmethod
    def named(cls, argument: str, changed: dict[str, Any]) -> Self:
        """See `LabelSource.named`; the folder need not be there yet."""
        super().named("DIR", changed)
        if not argument or "\0" in argument:
            raise HarnessError(f"the label source 'folder:{argument}' names no folder; write folder:DIR")
        return cls(str(Path(argument).resolve()), changed)  # a worker may have another working folder

    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """See `LabelSource.label`."""
        path, ignore = self.file(field.name), self.file(field.name, IGNORE)
        if path is None:
            raise HarnessError(f"{self.argument} has no label image of it; add {field.name}.tif")
        labels = read_nuclei(path)
        ignored = read_image(ignore) > 0 if ignore else nothing_ignored(labels)
        for file, array in ((path, labels), (ignore, ignored)):
            if array.shape != field.image.shape:
                raise HarnessError(
                    f"{file}: is {size(array.shape)}, but its image {size(field.image.shape)}; save both in the same size"
                )
        return labels, ignored

    def file(self, name: str, kind: str = "") -> Path | None:
        """Where the label image of a field is, or the folder with its nuclei, or another kind of file; None where there is none.

        Raises
        ------
        HarnessError
            There are several.
        """
        folder = Path(self.argument)
        if (own := folder / name / "images").is_dir():
            folder = own
        names = [f"{name}{kind}", *(f"{name}{kind}{suffix}{ending}" for suffix in ("", CELLPOSE) for ending in ENDINGS)]
        there = [folder / name for name in names if (folder / name).exists()]
        if len(there) > 1:
            raise HarnessError(f"{there[1]}: is a second label image of {name} beside {there[0].name}; keep one of them")
        return there[0] if there else None

    def lacks(self, dataset: DataSet, names: tuple[str, ...]) -> list[str]:
        """The fields without a label image."""
        return [name for name in names if not self.file(name)]

    @property
    def needed(self) -> str:
        """What a field has to have, in words."""
        return f"label image in {self.argument}"

    def digest(self, dataset: DataSet) -> str:
        """Of the label images and ignore masks of the fields of a data set."""
        names = [name for names in dataset.splits.values() for name in names]
        paths = [path for name in names for path in (self.file(name), self.file(name, IGNORE)) if path]
        files = [file for path in paths for file in (image_files(path) if path.is_dir() else [path])]
        return digest_of((str(file.relative_to(self.argument)), sha256_of(file)) for file in files)
