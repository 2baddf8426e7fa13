"""The annotation itself as label source."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.core.errors import HarnessError
from harness.datasets import DataSet, Field
from harness.sources.base import LabelSource, nothing_ignored


@dataclass(frozen=True)
class Manual(LabelSource):
    """`manual`: what an annotator drew, as the data set has it."""

    family = "manual"
    choices: ClassVar[tuple[str, ...]] = ("manual",)
    from_images = False
    is_truth = True
    needed = "mask"

    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """See `LabelSource.label`."""
        if field.nuclei is None:
            raise HarnessError("this field has no manual labels; add its mask or choose another label source")
        return field.nuclei, nothing_ignored(field.nuclei)

    def lacks(self, dataset: DataSet, names: tuple[str, ...]) -> list[str]:
        """The fields that are not annotated."""
        return [name for name in names if name in dataset.unannotated]
