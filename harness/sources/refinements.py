"""Steps that refine the labels of any source, from the image alone: `refine = [...]` of a row, `--refine` of `harness label`.

A step takes labels and ignore mask as the source, or the step before, made them, and gives both. A new one is a frozen
dataclass here whose fields are its settings, and its place in `REFINEMENTS`. Those that make labels worse stand in `noise`.
"""

from abc import ABC
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.measure import regionprops
from skimage.morphology import disk

from harness.core.errors import HarnessError
from harness.core.label_images import renumber
from harness.datasets import DataSet, Field
from harness.method.classmap import SEPARATION, class_map
from harness.sources.base import LabelSource
from harness.sources.declumping import recut
from harness.sources.noise import NOISE
from harness.sources.outlines import outlines_at, steepest_outlines
from harness.sources.steps import Step

WIDEST = 10  # px of a band along outlines; a nucleus of any data set here would be all band


def _check_below(step: Step, **highest: float) -> None:
    """Settings that are shares: more than 0, and less than each one's highest."""
    for setting, high in highest.items():
        value = getattr(step, setting)
        if not 0 < value < high:
            raise HarnessError(f"refinement {step.name}: {setting} is {value!r}; expected more than 0 and less than {high}")


@dataclass(frozen=True)
class HalfContrast(Step):
    """Outlines move to where the image falls to a share of each nucleus' own contrast.

    A blurred edge lies where the intensity is half way between both sides, whatever the threshold that found the nucleus;
    minimum cross-entropy lies lower. Background is the median of a ring around the nucleus,
    its level the median of the nucleus without its outermost pixels.

    Attributes
    ----------
    level : float
        Share of the contrast, 0.5 for the edge of a blurred disc.
    reach : float
        How far an outline may move, in equivalent diameters of the nucleus; 0.12 is 3 px for a nucleus of 25 px.
    """

    name = "half-contrast"
    level: float = 0.5
    reach: float = 0.12

    def __post_init__(self) -> None:
        _check_below(self, level=1, reach=0.5)

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`."""
        return outlines_at(self.level, self.reach, field.image, labels), ignore


@dataclass(frozen=True)
class SteepestGradient(Step):
    """Outlines move to where the image is steepest, which is where a blurred edge lies, whatever is on either side of it.

    Attributes
    ----------
    reach : float
        How far an outline may move, in equivalent diameters of the nucleus.
    """

    name = "steepest-gradient"
    reach: float = 0.12

    def __post_init__(self) -> None:
        _check_below(self, reach=0.5)

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`."""
        return steepest_outlines(self.reach, field.image, labels), ignore


class _OfDiscarded(Step, ABC):
    """A step about what the size filter of a source threw away."""

    def unfit(self, source: LabelSource) -> str | None:
        """See `Step.unfit`."""
        return None if "discard_size" in source.defaults else f"{source.name} has no size filter"

    @staticmethod
    def _everything(source: LabelSource, field: Field) -> np.ndarray:
        return replace(source, changed=source.changed | {"discard_size": False}).label(field)[0]


@dataclass(frozen=True)
class IgnoreDiscarded(_OfDiscarded):
    """What the size filter threw away is something, and nobody knows what: it is ignored, not called background."""

    name = "ignore-discarded"

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`; the rim by which an outline was moved inwards is background, since its nucleus was kept."""
        everything = self._everything(source, field)
        discarded = ~np.isin(everything, everything[labels > 0])
        return labels, ignore | (discarded & (everything > 0) & (labels == 0))


@dataclass(frozen=True)
class RestoreClumps(_OfDiscarded):
    """What the size filter threw away as too large comes back: most of it is nuclei that touch, for a later step to divide."""

    name = "restore-clumps"

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`; ids are new."""
        everything = self._everything(source, field)
        large = np.bincount(everything.ravel()) > np.pi / 4 * source.settings["max_diameter"] ** 2
        large[0] = False
        back = large[everything] & (labels == 0)
        return renumber(np.where(back, everything + labels.max(), labels).astype(np.int32)), ignore & ~back


@dataclass(frozen=True)
class Declump(Step):
    """Nuclei are divided where they have a neck, and joined where they touch without one.

    Attributes
    ----------
    split, join : float
        See `harness.sources.declumping.recut`.
    """

    name = "declump"
    split: float = 0.85
    join: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.split <= self.join:
            raise HarnessError(f"refinement declump: split is {self.split!r} and join {self.join!r}; expected 0 < split <= join")

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`; the same foreground, ids are new."""
        return recut(self.split, self.join, field.image, labels), ignore


@dataclass(frozen=True)
class IgnoreConcave(Step):
    """A nucleus is convex; what is not is several of them, or none, and is ignored.

    Attributes
    ----------
    solidity : float
        Share of its convex hull that a nucleus fills at least.
    """

    name = "ignore-concave"
    solidity: float = 0.9

    def __post_init__(self) -> None:
        _check_below(self, solidity=1)

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`; the labels stay."""
        concave = [nucleus.label for nucleus in regionprops(labels) if nucleus.solidity < self.solidity]
        return labels, ignore | np.isin(labels, concave)


@dataclass(frozen=True)
class IgnoreOutlines(Step):
    """Where exactly a nucleus ends is what labels know least: a band along its outline is ignored.

    Attributes
    ----------
    width : int
        px to both sides, towards background alone: what separates two nuclei is still taught.
    """

    name = "ignore-outlines"
    width: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.width <= WIDEST or self.width != int(self.width):
            raise HarnessError(f"refinement ignore-outlines: width is {self.width!r}; expected a whole number from 1 to {WIDEST}")

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`; the labels stay."""
        nuclei, around = labels > 0, disk(int(self.width))
        sure = binary_erosion(nuclei, around, border_value=1) | ~binary_dilation(nuclei, around)
        return labels, ignore | (~sure & (class_map(labels) != SEPARATION))


REFINEMENTS: tuple[type[Step], ...] = (
    HalfContrast,
    RestoreClumps,
    Declump,
    IgnoreDiscarded,
    IgnoreConcave,
    IgnoreOutlines,
    SteepestGradient,
)
STEPS: dict[str, type[Step]] = {step.name: step for step in (*REFINEMENTS, *NOISE)}


def open_step(wanted: str | dict[str, Any]) -> Step:
    """A step by its name, or by a table `{step = NAME, SETTING = VALUE}`.

    Raises
    ------
    HarnessError
        No such step, or it has no such setting, or not of such a value.
    """
    settings = dict(wanted) if isinstance(wanted, dict) else {"step": wanted}
    name = settings.pop("step", None)
    if name not in STEPS:
        raise HarnessError(f"unknown refinement '{name}'; expected one of {', '.join(STEPS)}")
    known = [field.name for field in fields(STEPS[name])]
    for setting, value in settings.items():
        if setting not in known:
            raise HarnessError(f"refinement {name} has no setting '{setting}'; expected {', '.join(known) or 'none'}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise HarnessError(f"refinement {name}: {setting} is {value!r}; expected a number")
    return STEPS[name](**settings)


def open_steps(wanted: Sequence[str | dict[str, Any]], source: LabelSource) -> tuple[Step, ...]:
    """Steps for the labels of a source, see `open_step`.

    Raises
    ------
    HarnessError
        Besides, a step that does not go with the source.
    """
    steps = tuple(map(open_step, wanted))
    for step in steps:
        if why := step.unfit(source):
            raise HarnessError(f"refinement {step.name}: {why}; leave the step out")
    return steps


@dataclass(frozen=True)
class Refined(LabelSource):
    """A label source whose labels go through some steps."""

    source: LabelSource | None = None
    steps: tuple[Step, ...] = ()

    masks = True

    @property
    def _of(self) -> LabelSource:
        assert self.source  # noqa: S101  a dataclass cannot say that it has no default after others that have
        return self.source

    @property
    def name(self) -> str:
        """That of the source: the steps stand beside it, in a registry as in a spec."""
        return self._of.name

    @property
    def identity(self) -> str:
        """That of the source."""
        return self._of.identity

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the source."""
        return self._of.settings

    @property
    def stages(self) -> tuple[str, ...]:  # type: ignore[override]  # a class' constant elsewhere
        """Those of the source, and those of the steps."""
        return (*self._of.stages, *dict.fromkeys(step.stage for step in self.steps))

    @property
    def from_images(self) -> bool:  # type: ignore[override]
        """As the source."""
        return self._of.from_images

    @property
    def is_truth(self) -> bool:  # type: ignore[override]
        """As the source, a refined annotation is one; with noise it is none any more."""
        return self._of.is_truth and not any(isinstance(step, NOISE) for step in self.steps)

    @property
    def needed(self) -> str:
        """As the source."""
        return self._of.needed

    def fitted(self, images: Callable[[], Iterable[np.ndarray]]) -> LabelSource:
        """As the source."""
        return replace(self, source=self._of.fitted(images))

    def label(self, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """See `LabelSource.label`."""
        labels, ignore = self._of.label(field)
        for step in self.steps:
            labels, ignore = step.apply(self._of, field, labels, ignore)
        return labels, ignore

    def lacks(self, dataset: DataSet, names: tuple[str, ...]) -> list[str]:
        """As the source."""
        return self._of.lacks(dataset, names)

    def digest(self, dataset: DataSet) -> str | None:
        """As the source."""
        return self._of.digest(dataset)


def described(source: LabelSource) -> list[dict[str, Any]]:
    """The steps of a source with every setting, as a spec holds them; none where it has none."""
    return [{"step": step.name, **asdict(step)} for step in source.steps] if isinstance(source, Refined) else []
