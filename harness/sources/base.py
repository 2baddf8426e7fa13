"""What a label source is to the rest of the harness."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from harness.core.errors import HarnessError
from harness.datasets import DataSet, Field

AUTO = "auto"  # a setting that is told from images
IMAGES = 32  # that are looked at for that


def sample(names: Sequence[Any]) -> list[Any]:
    """Evenly spread ones of some fields or files, enough to tell settings from."""
    chosen = np.linspace(0, len(names) - 1, min(len(names), IMAGES)).round().astype(int)
    return [names[at] for at in chosen]


@dataclass(frozen=True)
class LabelSource(ABC):
    """Where the label images for training, and the predictions of classical rows, come from.

    A source is a value: it can be compared, printed and sent to another process.

    Attributes
    ----------
    argument : str
        What stands after the colon of its name: `shape/intensity` of `cellprofiler:shape/intensity`.
    changed : dict
        The settings that differ from the defaults.
    """

    argument: str = ""
    changed: dict[str, Any] = field(default_factory=dict)

    family: ClassVar[str]
    choices: ClassVar[tuple[str, ...]]  # the names to choose from, for people
    stages: ClassVar[tuple[str, ...]] = ()  # of `harness.experiment.stages`: those that decide the labels
    from_images: ClassVar[bool] = True  # rather than there already
    is_truth: ClassVar[bool] = False  # the annotation that rows are scored against
    defaults: ClassVar[dict[str, Any]] = {}  # its settings
    masks: ClassVar[bool] = False  # it can say of pixels that it knows nothing about them

    @classmethod
    def named(cls, argument: str, changed: dict[str, Any]) -> Self:
        """The source of a name and settings.

        Raises
        ------
        HarnessError
            No such source, or it has no such setting.
        """
        source = cls(argument, changed)
        if source.name not in cls.choices:
            raise HarnessError(f"unknown label source '{source.name}'; expected one of {', '.join(cls.choices)}")
        for name in changed:
            if name not in cls.defaults:
                expected = ", ".join(cls.defaults) or "none, these labels are there already"
                raise HarnessError(f"'{source.name}' has no setting '{name}'; expected {expected}")
        return source

    @property
    def name(self) -> str:
        """As a registry has it."""
        return f"{self.family}:{self.argument}" if self.argument else self.family

    @property
    def identity(self) -> str:
        """What stands for the name in the identity of a run."""
        return self.name

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by name, also those left at the default."""
        return self.defaults | self.changed

    def fitted(self, images: Callable[[], Iterable[np.ndarray]]) -> "LabelSource":
        """The source with numbers for settings that are `AUTO`, as far as images tell them.

        Parameters
        ----------
        images : callable
            Gives the (H, W) images to learn from; not asked where nothing is `AUTO`.
        """
        return self

    @abstractmethod
    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """Make the label image of a field.

        Parameters
        ----------
        field : harness.datasets.Field
            Its nuclei are looked at by `manual` alone.

        Returns
        -------
        labels : (H, W) int32 ndarray
            0 background, nuclei 1..n.
        ignore : (H, W) bool ndarray
            Pixels about which the source says nothing; they are left out of the loss.

        Raises
        ------
        HarnessError
            The field cannot be labelled.
        """

    def lacks(self, dataset: DataSet, names: tuple[str, ...]) -> list[str]:
        """Those of some fields that the source has nothing for; no pixel is read."""
        return []

    @property
    def needed(self) -> str:
        """What a field has to have, in words."""
        return "image"

    def missing(self, dataset: DataSet, split: str) -> str | None:
        """What the fields of a split lack for this source to label them, in words; None where nothing is missing."""
        lacking = self.lacks(dataset, dataset.splits[split])
        if not lacking:
            return None
        return (
            f"{len(lacking)} {split} fields of {dataset.name} have no {self.needed}, {lacking[0]} the first; "
            "add them, or do without this row"
        )

    def digest(self, dataset: DataSet) -> str | None:
        """SHA-256, in hexadecimal, of what the labels are made of besides the data set; None where that is nothing."""
        return None

    def pipeline(self) -> str:
        """Text of a CellProfiler pipeline that makes the label images.

        Raises
        ------
        HarnessError
            CellProfiler does not make them.
        """
        raise HarnessError(f"{self.name} labels are not made by CellProfiler; choose cellprofiler:<seeds>/<lines> or consensus")


def nothing_ignored(labels: np.ndarray) -> np.ndarray:
    """The ignore mask of a source that is sure of every pixel."""
    return np.zeros(labels.shape, bool)
