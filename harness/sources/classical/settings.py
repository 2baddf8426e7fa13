"""What IdentifyPrimaryObjects can be told, with the paper's values as defaults."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from sys import float_info
from typing import Any

from harness.core.errors import HarnessError

CONFIGURATIONS = ("shape/intensity", "intensity/shape", "shape/shape", "intensity/intensity")

VERSIONS = ("3.1.9", "4")
SEEDS = ("shape", "intensity", "none")
LINES = ("shape", "intensity", "none")
FILL_HOLES = ("both", "declumping", "never")

# px. No nucleus is wider in any microscope (20 um at 0.02 um a pixel), and the filters that follow from lengths grow with
# their square: 50 MB at this one, more than a machine has a hundred times farther.
LONGEST = 1000
WIDEST = 100_000  # px, for the one length that people set large so that it holds nothing back; wider than any image


@dataclass(frozen=True)
class Settings:
    """Settings of CellProfiler's IdentifyPrimaryObjects, in its own order.

    Attributes
    ----------
    version : {"3.1.9", "4"}
        Whose way to the minimum-cross-entropy threshold is followed; all else is the same in both.
    min_diameter, max_diameter : int
        Typical diameters in pixels; they set the size filter and every automatic scale.
    discard_size : bool
        Remove objects whose area is outside that of disks of these diameters.
    discard_border : bool
        Remove objects that touch the image border.
    threshold_smoothing : float
        CellProfiler's smoothing scale; 1.3488 is a Gaussian of sigma 1 pixel, 0 is none.
    correction : float
        Factor on the threshold.
    bounds : tuple of float
        Lower and upper bound of the threshold, on intensities scaled to 0..1.
    log_transform : bool
        Find the threshold on logarithms of the intensities (only in version 4).
    seed_smoothing : int or None
        Size of the filter before intensity seeds are looked for, in pixels; None is automatic, 0 is none.
    suppression : float or None
        Distance within which only the highest maximum is a seed, in pixels; None is automatic.
    low_resolution : bool
        Look for seeds on a reduced image when `min_diameter` is over 10.
    fill_holes : {"both", "declumping", "never"}
        When holes are filled: after thresholding and declumping, after declumping only, or never.
    max_objects : int or None
        Fields with more objects are left empty; None is no limit.
    """

    version: str = "3.1.9"
    min_diameter: int = 10
    max_diameter: int = 50
    discard_size: bool = True
    discard_border: bool = False
    threshold_smoothing: float = 1.3488
    correction: float = 1.0
    bounds: tuple[float, float] = (0.0, 1.0)
    log_transform: bool = False
    seed_smoothing: int | None = None
    suppression: float | None = None
    low_resolution: bool = True
    fill_holes: str = "both"
    max_objects: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            holds, expected = _RULES[name]
            if not holds(value):
                raise HarnessError(f"CellProfiler setting {name} is {value!r}; expected {expected}")
        if self.min_diameter > self.max_diameter:
            raise HarnessError(
                f"CellProfiler setting min_diameter is {self.min_diameter!r}; expected at most "
                f"max_diameter, which is {self.max_diameter!r}"
            )
        if self.log_transform and self.version == "3.1.9":
            raise HarnessError(
                "CellProfiler setting log_transform is True; expected False with version 3.1.9, which has none: choose version 4"
            )


def _number(value: Any) -> bool:
    """Not `math.isfinite`, which whole numbers of 400 digits break."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= float_info.max


def _whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_length(value: Any) -> bool:
    return _number(value) and 0 <= value <= LONGEST


def _one_of(choices: tuple[str, ...]) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value in choices, f"one of {', '.join(choices)}"


def _diameter(largest: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: _whole(value) and 1 <= value <= largest, f"whole pixels from 1 to {largest}"


_CHOICE = (lambda value: isinstance(value, bool), "true or false")
_RULES = {
    "version": _one_of(VERSIONS),
    "min_diameter": _diameter(LONGEST),
    "max_diameter": _diameter(WIDEST),
    "discard_size": _CHOICE,
    "discard_border": _CHOICE,
    "threshold_smoothing": (_is_length, f"a scale from 0 to {LONGEST}"),
    "correction": (lambda value: _number(value) and value > 0, "a factor above 0"),
    "bounds": (
        lambda value: isinstance(value, tuple) and len(value) == 2 and all(map(_number, value)) and value[0] <= value[1],
        "two numbers (lower, upper)",
    ),
    "log_transform": _CHOICE,
    "seed_smoothing": (
        lambda value: value is None or (_whole(value) and _is_length(value)),
        f"whole pixels from 0 to {LONGEST}, or None for automatic",
    ),
    "suppression": (lambda value: value is None or _is_length(value), f"pixels from 0 to {LONGEST}, or None for automatic"),
    "low_resolution": _CHOICE,
    "fill_holes": _one_of(FILL_HOLES),
    "max_objects": (
        lambda value: value is None or (_whole(value) and 0 <= value < 2**31),
        "a whole number below 2^31 or None for no limit",
    ),
}


def parse_configuration(configuration: str) -> tuple[str, str]:
    """Split a configuration such as "shape/intensity" into its seeds and its lines.

    Raises
    ------
    HarnessError
        When either is not one of CellProfiler's that are known here.
    """
    seeds, _, lines = str(configuration).partition("/")
    if seeds in SEEDS and lines in LINES:
        return seeds, lines
    raise HarnessError(
        f"CellProfiler configuration {configuration!r} is not SEEDS/LINES, each of them one of "
        f"{', '.join(SEEDS)}; for example {CONFIGURATIONS[0]!r}"
    )
