"""The paper's Fig. 1 and Fig. 3, and a picture of what there is to learn from."""

import numpy as np
from imageio.v3 import imread
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from harness.core.label_images import over_squares, remove_touching_edge
from harness.datasets import DataSet
from harness.experiment import tracking
from harness.experiment.results import RowResults
from harness.method import tiles
from harness.method.classmap import NUCLEUS, SEPARATION, class_map
from harness.method.postprocess import postprocessing_steps
from harness.report.figures.fields import densest
from harness.report.figures.style import (
    BLACK,
    PALETTE,
    SKY,
    brightness,
    class_patches,
    coloured_classes,
    legend_below,
    printed,
    rgb,
    show,
)
from harness.scoring.evaluation import tiles_of_strip

PALE = 0.35  # of a colour, on white


def most_separated(dataset: DataSet) -> str:
    """The test field with most annotated separations."""
    return max(dataset.splits["test"], key=lambda field: (class_map(dataset.annotation(field)) == SEPARATION).sum())


def raw_input(image: np.ndarray) -> Figure:
    """A (H, W) image as it is, from its darkest pixel in black to its brightest in white (the paper's Fig. 1)."""
    height, width = image.shape
    figure = Figure(figsize=(6, 6 * height / width), layout="constrained")
    axis = figure.subplots()
    axis.imshow(image, cmap="gray")
    axis.set(xticks=[], yticks=[])
    return figure


# ---- label sources


def label_panels(given: list[RowResults], dataset: DataSet, name: str) -> dict[str, np.ndarray]:
    """The window of a field with most separations: title to image or class map.

    Parameters
    ----------
    given : list of RowResults
        Classical rows that are done.
    dataset : harness.datasets.DataSet
    name : str
        Of the field.

    Returns
    -------
    dict of str to ndarray
        "input", "manual labels", and the labels of each row whose run stored them.
    """
    manual, image = dataset.annotation(name), dataset.read_image(name)
    window = densest(class_map(manual) == SEPARATION, parts=3)
    panels = {"input": printed(image)[window], "manual labels": class_map(manual)[window]}
    for result in given:
        stored = tracking.artifact(result.runs[0], f"predictions/labels/{name}.png")
        if stored:
            panels[result.row.title] = class_map(imread(stored).astype(np.int32))[window]
    return panels


def label_sources(panels: dict[str, np.ndarray]) -> Figure:
    """What `label_panels` gave, side by side."""
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    height, width = panels["input"].shape
    figure = Figure(figsize=(3.4 * columns, 3.4 * rows * height / width + 0.3 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, panel) in zip(axes, panels.items(), strict=False):
        show(axis, panel if panel.dtype != np.uint8 else coloured_classes(panel), title)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    legend_below(figure, class_patches())
    return figure


# ---- post-processing


def tile_to_show(result: RowResults, dataset: DataSet) -> tuple[np.ndarray, np.ndarray] | None:
    """The test tile with most predicted separations: its (S, S) intensities and class map; None where none is stored."""
    folder = tracking.artifact(result.runs[0], "predictions/tiles")
    names = [name for name in dataset.splits["test"] if folder and (folder / f"{name}.png").exists()]
    if not folder or not names:
        return None
    strips = {name: tiles_of_strip(imread(folder / f"{name}.png")) for name in names}
    name, index = max(
        ((name, index) for name, maps in strips.items() for index in range(len(maps))),
        key=lambda at: (strips[at[0]][at[1]] == SEPARATION).sum(),
    )
    classes = strips[name][index]
    return tiles.cut(dataset.read_image(name), len(classes))[index], classes


def postprocessing(image: np.ndarray, classes: np.ndarray) -> Figure:
    """The paper's Fig. 3: input, class map, new separation lines, and nuclei without those at the edge of the tile.

    Parameters
    ----------
    image : (H, W) ndarray
        Intensities.
    classes : (H, W) uint8 ndarray
        Background 0, nucleus 1, separation 2.
    """
    steps = postprocessing_steps(classes)
    lines = np.where((classes == NUCLEUS)[..., None], 1 - PALE * (1 - rgb(SKY)), 1.0)
    lines[over_squares(steps["skeleton"], np.maximum)] = rgb(BLACK)
    panels = {
        "1  input": brightness(image),
        "2  segmentation": coloured_classes(classes),
        "3  skeleton, dilated": lines,
        "4  nuclei, those at the edge removed": _coloured(remove_touching_edge(steps["nuclei"])),
    }
    figure = Figure(figsize=(14, 3.9), layout="constrained")
    for axis, (title, picture) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        show(axis, picture, title)
    legend_below(figure, [*class_patches(), Patch(facecolor=BLACK, label="new separation line")])
    return figure


def _coloured(labels):
    """Label image in colours that differ between most neighbours; white background."""
    colours = np.array([rgb(colour) for colour in PALETTE[:-1]])
    picture = colours[(labels * 7) % len(colours)]
    picture[labels == 0] = 1
    return picture
