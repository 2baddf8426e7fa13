"""IdentifyPrimaryObjects, step by step."""

import numpy as np

from harness.classical import filters
from harness.classical.components import label
from harness.classical.flood import flood
from harness.classical.foreground import foreground
from harness.classical.seeds import distances, find_seeds, jitter, smooth_for_seeds
from harness.classical.settings import CONFIGURATIONS, Settings, parse_configuration
from harness.classical.threshold import threshold
from harness.errors import HarnessError


def identify(image, configuration, settings=Settings()):
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


def identify_all(image, configurations=CONFIGURATIONS, settings=Settings()):
    """Label images of several configurations; what they share is computed once.

    Returns
    -------
    dict of str to ndarray of int32, shape (H, W)
        By configuration; see `identify`.
    """
    wanted = {name: parse_configuration(name) for name in configurations}
    image = grey(image)
    mask = foreground(image, threshold(image, settings), settings)
    regions, _ = label(mask)
    landscape = _Landscape(image, mask, regions, settings)
    return {name: finish(landscape.divide(*parts), settings) for name, parts in wanted.items()}


def grey(image):
    """Image as CellProfiler loads it: float32, integers divided by the largest value of their type."""
    image = np.asarray(image)
    if image.dtype.kind in "ui":
        return (image / np.float64(np.iinfo(image.dtype).max)).astype(np.float32)
    return image.astype(np.float32)


def finish(labels, settings):
    """Filter the objects, fill their holes and number them."""
    if settings.discard_border:
        labels = filters.discard_border(labels)
    if settings.discard_size:
        labels = filters.discard_size(labels, settings.min_diameter, settings.max_diameter)
    if settings.fill_holes != "never":
        labels = filters.fill_holes(labels)
    labels = filters.relabel(labels)
    if settings.max_objects is not None and labels.max() > settings.max_objects:
        return np.zeros_like(labels)
    return labels


class _Landscape:
    """What the configurations of one image share, each part computed when first asked for."""

    def __init__(self, image, mask, regions, settings):
        self.image, self.mask, self.regions, self.settings = image, mask, regions, settings
        self.parts = {}

    def divide(self, seeds, lines):
        if "none" in (seeds, lines):
            return self.regions
        jittered = seeds == "shape"
        height = self._once("image", lambda: 1 - self.image) if lines == "intensity" else self._depth(jittered)
        return flood(height.astype(np.float64), self._once(seeds, lambda: self._seeds(seeds)), self.mask)

    def _once(self, name, make):
        if name not in self.parts:
            self.parts[name] = make()
        return self.parts[name]

    def _distance(self, jittered):
        plain = self._once("distance", lambda: distances(self.mask))
        return plain + jitter(plain.shape) if jittered else plain

    def _depth(self, jittered):
        distance = self._distance(jittered)
        return -distance - (-distance).min()

    def _seeds(self, kind):
        height = self._distance(True) if kind == "shape" else smooth_for_seeds(self.image, self.settings)
        return find_seeds(height, self.regions, self.settings)
