"""A sheet of the nuclei whose labels are most likely wrong."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from skimage.segmentation import find_boundaries

from harness.report.figures.fields import short
from harness.report.figures.style import PLAIN, SKY, VERMILION, printed, rgb

ACROSS = 6
MARGIN = 2.2  # side of a crop over the diameter of its nucleus
SMALLEST = 40  # px, side of a crop


class Crop(NamedTuple):
    """A field, its labels and one line of `harness.apps.triage.Triage.nuclei`."""

    image: np.ndarray
    labels: np.ndarray
    nucleus: Any


def contact_sheet(crops: list[Crop]) -> Figure:
    """One picture per nucleus: its own outline in red, its neighbours' in blue; a cross where none is labelled."""
    down = max(1, -(-len(crops) // ACROSS))
    figure = Figure(figsize=(2.1 * ACROSS, 2.5 * down), layout="constrained")
    for axis, crop in zip(figure.subplots(down, ACROSS, squeeze=False).flat, [*crops, *[None] * (down * ACROSS)], strict=False):
        axis.axis("off")
        if crop:
            _draw(axis, crop)
    return figure


def _draw(axis, crop):
    nucleus, side = crop.nucleus, round(max(SMALLEST, MARGIN * 2 * np.sqrt(crop.nucleus.area / np.pi)))
    places = zip((nucleus.y, nucleus.x), crop.labels.shape, strict=True)
    corners = [int(np.clip(round(centre - side / 2), 0, max(0, extent - side))) for centre, extent in places]
    window = tuple(slice(corner, corner + side) for corner in corners)
    picture = np.repeat(printed(crop.image)[window][..., None], 3, axis=2)
    labels = crop.labels[window]
    picture[find_boundaries(labels, mode="inner")] = rgb(SKY)
    if nucleus.kind == "missing":
        axis.plot(nucleus.x - corners[1], nucleus.y - corners[0], "x", color=VERMILION, markersize=12)
    else:
        picture[find_boundaries(labels == nucleus.label, mode="inner")] = rgb(VERMILION)
    axis.imshow(picture)
    number = "missing" if nucleus.kind == "missing" else f"nucleus {nucleus.label}"
    axis.set_title(f"{short(nucleus.field)}\n{number}, {nucleus.doubt:.2f}\n{nucleus.why}", fontsize=7, loc="left", **PLAIN)
