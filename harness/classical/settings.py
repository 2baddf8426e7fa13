"""What IdentifyPrimaryObjects can be told, with the paper's values as defaults."""

from dataclasses import dataclass

from harness.errors import HarnessError

CONFIGURATIONS = ("shape/intensity", "intensity/shape", "shape/shape", "intensity/intensity")

VERSIONS = ("3.1.9", "4")
SEEDS = ("shape", "intensity", "none")
LINES = ("shape", "intensity", "none")
FILL_HOLES = ("both", "declumping", "never")


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
    seed_smoothing : float or None
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
    seed_smoothing: float | None = None
    suppression: float | None = None
    low_resolution: bool = True
    fill_holes: str = "both"
    max_objects: int | None = None

    def __post_init__(self):
        _one_of("version", self.version, VERSIONS)
        _one_of("fill_holes", self.fill_holes, FILL_HOLES)
        _require(1 <= self.min_diameter <= self.max_diameter, "diameters", "1 <= min_diameter <= max_diameter",
                 (self.min_diameter, self.max_diameter))
        _require(self.bounds[0] <= self.bounds[1], "bounds", "lower <= upper", self.bounds)
        _require(self.correction > 0, "correction", "a positive factor", self.correction)
        for name in ("threshold_smoothing", "seed_smoothing", "suppression", "max_objects"):
            value = getattr(self, name)
            _require(value is None or value >= 0, name, "a number of at least 0", value)
        _require(not self.log_transform or self.version != "3.1.9", "log_transform",
                 "False with version 3.1.9, which has none (use version 4)", self.log_transform)


def parse_configuration(configuration):
    """Split a configuration such as "shape/intensity" into its seeds and its lines.

    Raises
    ------
    HarnessError
        When either is not one of CellProfiler's that are known here.
    """
    seeds, _, lines = str(configuration).partition("/")
    if seeds in SEEDS and lines in LINES:
        return seeds, lines
    raise HarnessError(f"CellProfiler configuration {configuration!r} is not SEEDS/LINES, each of them one of "
                       f"{', '.join(SEEDS)}; for example {CONFIGURATIONS[0]!r}")


def _one_of(name, value, choices):
    _require(value in choices, name, f"one of {', '.join(choices)}", value)


def _require(holds, name, expected, value):
    if not holds:
        raise HarnessError(f"CellProfiler setting {name} is {value!r}; expected {expected}")
