"""How wide nuclei are, told from images alone: what `min_diameter` and `max_diameter` are where a row says "auto".

Foreground that is about as large as its convex hull is one nucleus, not a clump. Its diameter is that of a disc of its area, and
counts by its area, so that specks count for little. The range goes from well below the 5th percentile to
above the 95th: small nuclei are often in clumps, and dim ones come out smaller than they are.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
from skimage.measure import regionprops_table

from harness.core.label_images import remove_touching_edge
from harness.sources.classical.components import label
from harness.sources.classical.foreground import foreground
from harness.sources.classical.primary_objects import grey
from harness.sources.classical.settings import LONGEST, Settings
from harness.sources.classical.thresholds import threshold

SOLID = 0.94  # area by that of the convex hull
PERCENTILES = (5, 95)
# With these the training images of BBBC039 give what the paper set by hand, 10 to 50 px.
FACTORS = (0.4, 1.25)

Images = Callable[[], Iterable[np.ndarray]]


@lru_cache(maxsize=16)
def diameter_range(images: Images, settings: Settings) -> tuple[int, int] | None:
    """Smallest and largest diameter of nuclei.

    Parameters
    ----------
    images : callable
        Gives (H, W) images; asked once.
    settings : Settings
        How the foreground is found.

    Returns
    -------
    (int, int) or None
        Whole px; None where no nucleus stands by itself.
    """
    areas = np.concatenate([np.empty(0), *(_single_nuclei(image, settings) for image in images())])
    if not areas.size:
        return None
    areas.sort()
    share = np.cumsum(areas) / areas.sum()
    found = (areas[np.searchsorted(share, percentile / 100)] for percentile in PERCENTILES)
    low, high = (round(factor * float(np.sqrt(4 * area / np.pi))) for factor, area in zip(FACTORS, found, strict=True))
    return min(max(low, 1), LONGEST), max(high, 1)


def _single_nuclei(image: np.ndarray, settings: Settings) -> np.ndarray:
    """Areas in px of the parts of the foreground that are one nucleus and wholly in the image."""
    image = grey(image)
    parts, _ = label(foreground(image, threshold(image, settings), settings))
    measured = regionprops_table(remove_touching_edge(parts), properties=("num_pixels", "area_convex"))
    area = measured["num_pixels"].astype(float)
    return area[area >= SOLID * measured["area_convex"]]
