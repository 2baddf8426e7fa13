"""CellProfiler's IdentifyPrimaryObjects as label source, and what its best configurations agree on."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from harness.datasets import Field
from harness.sources.base import LabelSource, nothing_ignored
from harness.sources.classical import CONFIGURATIONS, Settings


@dataclass(frozen=True)
class CellProfiler(LabelSource):
    """`cellprofiler:<seeds>/<lines>`: one of the paper's four configurations (section 2.2)."""

    family = "cellprofiler"
    choices = tuple(f"cellprofiler:{configuration}" for configuration in CONFIGURATIONS)
    stages = ("classical",)
    defaults = asdict(Settings())

    def parameters(self) -> Settings:
        """The settings as the classical stage takes them."""
        changed: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in self.changed.items()}
        return Settings(**changed)

    @classmethod
    def named(cls, argument: str, changed: dict[str, Any]) -> Self:
        """See `LabelSource.named`; a setting that is out of its range is refused as well."""
        source = super().named(argument, changed)
        source.parameters()
        return source

    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """See `LabelSource.label`."""
        from harness.sources.classical.primary_objects import identify

        labels = identify(field.image, self.argument, self.parameters())
        return labels, nothing_ignored(labels)

    def _configurations(self) -> tuple[str, ...]:
        return (self.argument,)

    def pipeline(self) -> str:
        """See `LabelSource.pipeline`."""
        from harness.sources.classical.pipeline_file import pipeline_text

        return pipeline_text(self._configurations(), self.parameters())


@dataclass(frozen=True)
class Consensus(CellProfiler):
    """`consensus`: labels of Shape/Intensity, ignored where the three best configurations count differently."""

    family = "consensus"
    choices = ("consensus",)
    masks = True

    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """See `LabelSource.label`."""
        from harness.sources.classical.agreement import consensus

        return consensus(field.image, self.parameters())

    def _configurations(self) -> tuple[str, ...]:
        from harness.sources.classical.agreement import BEST

        return BEST
