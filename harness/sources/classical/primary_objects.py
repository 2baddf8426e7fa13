"""IdentifyPrimaryObjects, step by step."""

from collections.abc import Callable, Sequence

import numpy as np

from harness.core.errors import HarnessError
from harness.sources.classical.components import label
from harness.sources.classical.distance import distances
from harness.sources.classical.filters import fill_holes, finish
from harness.sources.classical.flood import flood
from harness.sources.classical.foreground import foreground
from harness.sources.classical.seeds import find_seeds, jitter, smooth_for_seeds
from harness.sources.classical.settings import CONFIGURATIONS, Settings, parse_configuration
from harness.sources.classical.thresholds import threshold


def identify(image: np.ndarray, configuration: str, settings: Settings = Settings()) -> np.ndarray:
    """Label image of the nuclei in an image, as CellProfiler's IdentifyPrimaryObjects finds them.

    Parameters
    ----------
    image : ndarray, shape (H, W)
        Integers, which are scaled by the largest value of their type, or finite floats on the scale 0 to 1.
    configuration : str
        How clumps are told apart, "SEEDS/LINES", each of them "shape", "intensity" or "none".
    settings : Settings

    Returns
    -------
    ndarray of int32, shape (H, W)
        0 background, nuclei 1..n.

    Raises
    ------
    HarnessError
        When the image is not one, or the configuration is unknown.
    """
    return identify_all(image, (configuration,), settings)[configuration]


def identify_all(
    image: np.ndarray, configurations: Sequence[str] = CONFIGURATIONS, settings: Settings = Settings()
) -> dict[str, np.ndarray]:
    """Label images of several configurations; what they share is computed once.

    Returns
    -------
    dict of str to ndarray of int32, shape (H, W)
        By configuration; see `identify`.
    """
    wanted = {name: parse_configuration(name) for name in configurations}
    image = grey(image)
    mask = foreground(image, threshold(image, settings), settings)
    landscape = _Landscape(image, mask, label(mask)[0], settings)
    return {name: finish(landscape.divide(*parts), settings) for name, parts in wanted.items()}


def grey(image: np.ndarray) -> np.ndarray:
    """Image as CellProfiler loads it: float32, integers divided by the largest value of their type.

    Raises
    ------
    HarnessError
        When it is not a plane of real, finite numbers.
    """
    image = np.asarray(image)
    if image.ndim != 2 or image.size == 0:
        raise HarnessError(
            f"image has shape {image.shape}; expected one grey plane (rows, columns) with pixels: "
            "split channels, stacks and time points first"
        )
    if image.dtype.kind in "ui":
        return (image / np.float64(np.iinfo(image.dtype).max)).astype(np.float32)
    if image.dtype.kind not in "fb":
        raise HarnessError(f"image has values of type {image.dtype}; expected integers or real numbers")
    with np.errstate(over="ignore"):  # what is too large becomes infinite
        image = image.astype(np.float32)
    if not np.isfinite(image).all():
        raise HarnessError("image has values that are not finite (NaN or infinity): replace them first")
    return image


class _Landscape:
    """What the configurations of one image share, each part computed when first asked for."""

    def __init__(self, image: np.ndarray, mask: np.ndarray, regions: np.ndarray, settings: Settings) -> None:
        self.image, self.mask, self.regions, self.settings = image, mask, regions, settings
        self.parts: dict[str, np.ndarray] = {}

    def divide(self, seeds: str, lines: str) -> np.ndarray:
        """Regions divided among their seeds."""
        if "none" in (seeds, lines):
            return self.regions
        jittered = seeds == "shape"
        height = self._once("image", lambda: 1 - self.image) if lines == "intensity" else self._depth(jittered)
        return flood(height, self._once(seeds, lambda: self._seeds(seeds)), self.regions)

    def _once(self, name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        if name not in self.parts:
            self.parts[name] = make()
        return self.parts[name]

    def _distance(self, jittered: bool) -> np.ndarray:
        if jittered:
            return self._once("jittered", self._jittered)
        return self._once("distance", lambda: distances(self.mask))

    def _jittered(self) -> np.ndarray:
        """Distances with noise; shape seeds look past holes even if these are never filled."""
        if self.settings.fill_holes == "never":
            return distances(fill_holes(self.regions) > 0) + jitter(self.mask.shape)
        return self._distance(False) + jitter(self.mask.shape)

    def _depth(self, jittered: bool) -> np.ndarray:
        distance = self._distance(jittered)
        return distance.max() - distance

    def _seeds(self, kind: str) -> np.ndarray:
        height = self._distance(True) if kind == "shape" else smooth_for_seeds(self.image, self.settings)
        return find_seeds(height, self.regions, self.settings)
