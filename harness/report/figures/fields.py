"""Fields with what the protocol `equal` counts as errors."""

from typing import NamedTuple

import numpy as np
from imageio.v3 import imread
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from scipy.ndimage import uniform_filter
from skimage.segmentation import find_boundaries

from harness.experiment import tracking
from harness.experiment.results import RowResults
from harness.report.content import Content
from harness.report.figures.style import BLACK, GREEN, PLAIN, PURPLE, SKY, VERMILION, YELLOW, legend_below, levels, printed, rgb
from harness.scoring.mismatches import KINDS, classify

ERROR_COLOURS = {"missed": VERMILION, "extra": SKY, "merged": YELLOW, "split": PURPLE}
Window = tuple[slice, ...]


class Example(NamedTuple):
    """A field to show: (H, W) image, annotated and predicted label image, with its rank and score as heading."""

    heading: str
    name: str
    image: np.ndarray
    annotated: np.ndarray
    predicted: np.ndarray


def examples(result: RowResults, content: Content) -> list[Example]:
    """Best, median and worst field of a row, of those whose prediction is stored."""
    ranked = content.field_scores.loc[result.name, "jaccard_equal"].dropna().sort_values(ascending=False, kind="stable")
    found, last = [], len(ranked) - 1
    places = {last // 2: "median", last: "worst", 0: "best"} if len(ranked) else {}
    for at, rank in sorted(places.items()):
        name = str(ranked.index[at])
        stored = tracking.artifact(result.runs[0], f"predictions/nuclei/{name}.png")
        if stored:
            image, nuclei = content.dataset.read_image(name), content.dataset.annotation(name)
            found.append(Example(f"{rank}: {ranked.iloc[at]:.3f}", name, image, nuclei, imread(stored).astype(np.int32)))
    return found


def fields_with_errors(shown: list[Example]) -> Figure:
    """Fields with their errors filled, and below each the window with most of them."""
    height, width = shown[0].image.shape
    figure = Figure(figsize=(4.8 * len(shown), 9.6 * height / width + 0.9), layout="constrained")
    axes = figure.subplots(2, len(shown), squeeze=False)
    for (whole, detail), example in zip(axes.T, shown, strict=True):
        _draw(whole, detail, example)
    handles: list = [Patch(facecolor=colour, edgecolor=BLACK, label=kind) for kind, colour in ERROR_COLOURS.items()]
    handles += [
        Line2D([], [], color=colour, label=f"{whose} outline") for whose, colour in (("annotated", BLACK), ("predicted", GREEN))
    ]
    legend_below(figure, handles)
    return figure


def _draw(whole, detail, example):
    errors = classify(example.annotated, example.predicted)
    arrays = (example.image, example.annotated, example.predicted)
    window = _busiest(errors, example.annotated, example.predicted)
    counts = ", ".join(f"{len(errors[kind])} {kind}" for kind in KINDS)
    whole.imshow(_overlay(*arrays, errors))
    whole.add_patch(_frame(window))
    whole.set_title(f"{example.heading}, field {short(example.name)}\n{counts}", fontsize=10, **PLAIN)
    enlarged = (_enlarged(array[window]) for array in arrays)
    detail.imshow(_overlay(*enlarged, errors, levels(example.image), "thick"))
    for axis in (whole, detail):
        axis.set(xticks=[], yticks=[])


def short(name: str) -> str:
    """Names of BBBC039 are long; the plate's well and site tell its fields apart."""
    return name if len(name) <= 24 else f"{name[:20]}…"


def _busiest(errors, annotated, predicted):
    """The window with most pixels of errors, or of nuclei where there are none."""
    wrong = np.isin(annotated, errors["missed"] + errors["split"])
    wrong |= np.isin(predicted, errors["extra"] + errors["merged"])
    return densest(wrong if wrong.any() else annotated > 0)


def densest(mask: np.ndarray, parts: int = 4) -> Window:
    """The window, a `parts`-th of the field each way, with most pixels of a (H, W) mask."""
    return window_with_most(mask, [length // parts for length in mask.shape])


def window_with_most(mask: np.ndarray, size: list[int]) -> Window:
    """The window of (height, width) px with most pixels of a (H, W) mask."""
    near = uniform_filter(mask.astype(np.float32), size, mode="constant")
    centre = np.unravel_index(near.argmax(), near.shape)
    corner = [int(np.clip(c - n // 2, 0, whole - n)) for c, n, whole in zip(centre, size, mask.shape, strict=True)]
    return tuple(slice(start, start + n) for start, n in zip(corner, size, strict=True))


def _frame(window):
    rows, columns = window
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return Rectangle((columns.start, rows.start), *size, fill=False, edgecolor=BLACK, linewidth=1.2)


def _enlarged(array, times=4):
    return array.repeat(times, axis=0).repeat(times, axis=1)


def _overlay(image, annotated, predicted, errors, between=None, outline="inner"):
    """RGB picture: the image dark on white, errors filled, outlines on top."""
    picture = np.repeat(printed(image, between)[..., None], 3, axis=2)
    for kind, colour in ERROR_COLOURS.items():
        labels = predicted if kind in ("extra", "merged") else annotated
        inside = np.isin(labels, errors[kind])
        picture[inside] = 0.35 * picture[inside] + 0.65 * rgb(colour)
    picture[find_boundaries(annotated, mode=outline)] = rgb(BLACK)
    picture[find_boundaries(predicted, mode=outline)] = rgb(GREEN)
    return picture
