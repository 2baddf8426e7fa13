"""Colours and habits that all pictures share; drawn with matplotlib's object interface: no screen, no global state."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.method.classmap import NUCLEUS, SEPARATION

# Okabe & Ito's colours: told apart with every kind of colour vision, and of different lightness in print.
ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE, BLACK = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#000000",
)
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = "os^vDPX"
DPI = 120
PLAIN: dict[str, Any] = {"parse_math": False}  # a title may hold a dollar sign


class Picture(NamedTuple):
    """A file in the report's folder of figures, its title, and a line about it in Markdown."""

    name: str
    title: str
    about: str


def save(figure: Figure, path: Path, title: str, about: str, dpi: int = DPI) -> Picture:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=dpi)
    return Picture(path.name, title, about)


def rgb(colour: str) -> np.ndarray:
    """A colour "#RRGGBB" as (3,) floats from 0 to 1."""
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def levels(image: np.ndarray) -> np.ndarray:
    """Intensities that are shown as background and as the brightest: two percentiles of a (H, W) image."""
    return np.percentile(image, [1, 99.7])


def brightness(image: np.ndarray, between: np.ndarray | None = None) -> np.ndarray:
    """Intensities of a (H, W) image as floats from 0 to 1, dim nuclei still to be seen."""
    low, high = levels(image) if between is None else between
    return np.clip((image - low) / max(high - low, 1), 0, 1) ** 0.6


def printed(image: np.ndarray, between: np.ndarray | None = None) -> np.ndarray:
    """The same with bright nuclei dark on white paper."""
    return 1 - 0.6 * brightness(image, between)


def coloured_classes(classes: np.ndarray) -> np.ndarray:
    """A class map as a (H, W, 3) picture."""
    picture = np.ones((*classes.shape, 3))
    picture[classes == NUCLEUS], picture[classes == SEPARATION] = rgb(SKY), rgb(VERMILION)
    return picture


def class_patches() -> list[Patch]:
    """Entries of a legend for `coloured_classes`."""
    return [Patch(facecolor=SKY, label="nucleus"), Patch(facecolor=VERMILION, label="separation")]


def show(axis: Axes, picture: np.ndarray, title: str) -> None:
    """A grey or coloured picture of values from 0 to 1, without ticks."""
    axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, loc="left", fontsize=10, **PLAIN)
    axis.set(xticks=[], yticks=[])


def panels(count: int, most: int, size: tuple[float, float], sharex: bool = False) -> tuple[Figure, np.ndarray]:
    """A figure of so many panels, `most` of them in a line, each of a size in inches, with one y axis; and its axes, (count,)."""
    columns = min(count, most)
    lines = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharex=sharex, sharey=True, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes[:count]


def legend_below(figure: Figure, handles: list, columns: int | None = None) -> None:
    """A legend under the panels, in one line unless columns are given."""
    figure.legend(handles=handles, loc="outside lower center", ncols=columns or len(handles), frameon=False, fontsize=9)
