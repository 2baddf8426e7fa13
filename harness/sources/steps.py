"""What a step after a label source is to the rest of the harness."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.datasets import Field
from harness.sources.base import LabelSource


@dataclass(frozen=True)
class Step(ABC):
    """What is done to labels."""

    name: ClassVar[str]
    stage: ClassVar[str] = "refinements"  # of `harness.experiment.stages`: the one that decides what the step does

    def unfit(self, source: LabelSource) -> str | None:
        """Why the step cannot refine the labels of a source, in words; None where it can."""
        return None

    @abstractmethod
    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Refine the labels of a field.

        Parameters
        ----------
        source : LabelSource
            That made the labels at first.
        field : harness.datasets.Field
            Only its image is looked at.
        labels : (H, W) int32 ndarray
        ignore : (H, W) bool ndarray

        Returns
        -------
        labels : (H, W) int32 ndarray
            Under the same ids, where a step does not say otherwise.
        ignore : (H, W) bool ndarray
        """
