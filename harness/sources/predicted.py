"""The nuclei that the network of another row sees, as label source `network:ROW`: self-training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from harness.core.errors import HarnessError
from harness.datasets import Field
from harness.sources.base import LabelSource, nothing_ignored
from harness.sources.steps import Step


@dataclass(frozen=True)
class Predicted(LabelSource):
    """`network:ROW`, a row of the same registry: its network's nuclei, predicted, stitched and post-processed.

    It is a name. Which network that is, only the experiment knows: it puts label images in place of this source, see
    `harness.experiment.generations`.
    """

    family = "network"
    choices = ("network:ROW",)
    from_images = False
    identity = "network"  # the network counts, which a spec holds as its parent, not what its row is called

    @classmethod
    def named(cls, argument: str, changed: dict[str, Any]) -> Self:
        """See `LabelSource.named`; whether there is such a row, only a registry knows."""
        super().named("ROW", changed)
        if not argument:
            raise HarnessError("the label source 'network:' names no row; write network:ROW")
        return cls(argument, changed)

    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """See `LabelSource.label`; without a run of its row there is no network."""
        raise HarnessError(f"{self.name} labels are made where the row is run; use harness run or harness reproduce")


def refine(steps: Sequence[Step], image: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Take nuclei that a network predicted through the steps that labels go through.

    Parameters
    ----------
    steps : sequence of Step
    image : (H, W) ndarray
    nuclei : (H, W) int32 ndarray

    Returns
    -------
    (H, W) int32 ndarray
    """
    field, ignore = Field("", lambda _: image, lambda _: None), nothing_ignored(nuclei)
    for step in steps:
        nuclei, ignore = step.apply(Predicted(), field, nuclei, ignore)
    return nuclei
