"""CellProfiler's IdentifyPrimaryObjects as label source, and what its best configurations agree on."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from harness.core.errors import HarnessError
from harness.datasets import Field
from harness.sources.base import AUTO, LabelSource, nothing_ignored
from harness.sources.classical import CONFIGURATIONS, Settings

DIAMETERS = ("min_diameter", "max_diameter")


@dataclass(frozen=True)
class CellProfiler(LabelSource):
    """`cellprofiler:<seeds>/<lines>`: one of the paper's four configurations (section 2.2)."""

    family = "cellprofiler"
    choices = tuple(f"cellprofiler:{configuration}" for configuration in CONFIGURATIONS)
    stages = ("classical",)
    defaults = asdict(Settings())

    def parameters(self) -> Settings:
        """The settings as the classical stage takes them; a HarnessError where a diameter is still to be told from images."""
        for name in _left_open(self.changed):
            raise HarnessError(f"{self.name}: {name} is {AUTO}, and no image at hand shows a nucleus by itself; give a number")
        return _parameters(self.changed)

    @classmethod
    def named(cls, argument: str, changed: dict[str, Any]) -> Self:
        """See `LabelSource.named`; a setting that is out of its range is refused as well."""
        source = super().named(argument, changed)
        _parameters(_but_diameters(changed) if _left_open(changed) else changed)
        return source

    def fitted(self, images: Callable[[], Iterable[np.ndarray]]) -> LabelSource:
        """See `LabelSource.fitted`."""
        left_open = _left_open(self.changed)
        if not left_open:
            return self
        from harness.sources.classical.diameters import diameter_range

        told = diameter_range(images, _parameters(_but_diameters(self.changed)))
        numbers = dict(zip(DIAMETERS, told, strict=True)) if told else self.changed
        return self.named(self.argument, self.changed | {name: numbers[name] for name in left_open})

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


def _left_open(settings: dict[str, Any]) -> list[str]:
    return [name for name in DIAMETERS if settings.get(name) == AUTO]


def _but_diameters(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in DIAMETERS}


def _parameters(settings: dict[str, Any]) -> Settings:
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    return Settings(**given)
