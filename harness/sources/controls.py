"""The annotation, spoilt in a known way, as label sources: scored like any other labels, they tell what a score means."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import expand_labels

from harness.datasets import Field
from harness.sources.base import nothing_ignored
from harness.sources.manual import Manual


def _shifted(nuclei: np.ndarray) -> np.ndarray:
    return np.pad(nuclei, ((0, 0), (1, 0)))[:, :-1]


CONTROLS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "annotation": ("the annotation itself", lambda nuclei: nuclei),
    "shifted": ("the annotation, shifted by one pixel to the right", _shifted),
    "dilated": ("the annotation, each nucleus dilated by one pixel", lambda nuclei: expand_labels(nuclei, 1)),
    "merged": ("the annotation, all nuclei as one object", lambda nuclei: nuclei > 0),
    "empty": ("no nuclei", np.zeros_like),
}


@dataclass(frozen=True)
class Control(Manual):
    """`control:<change>`: what an annotator drew, changed as `CONTROLS` says."""

    family = "control"
    choices = tuple(f"control:{change}" for change in CONTROLS)
    stages = ("controls",)

    @property
    def title(self) -> str:
        """What it is, in words."""
        return CONTROLS[self.argument][0]

    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """See `LabelSource.label`."""
        nuclei, _ = super().label(field)
        changed = CONTROLS[self.argument][1](nuclei).astype(np.int32)
        return changed, nothing_ignored(changed)
