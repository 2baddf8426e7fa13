"""What refining does, to outlines on the image and field by field, and what each generation of networks adds."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from imageio.v3 import imread
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.experiment import tracking
from harness.experiment.results import RowResults
from harness.report.content import Content
from harness.report.figures.fields import short, window_with_most
from harness.report.figures.style import (
    BLACK,
    BLUE,
    MARKERS,
    PALETTE,
    PLAIN,
    VERMILION,
    legend_below,
    levels,
    panels,
    printed,
    show,
)
from harness.report.noise import is_spoilt
from harness.report.statistics import interval
from harness.report.tables import is_reference, learned_from
from harness.scoring.names import METRICS

SIDE = 72  # px of a window that is shown
SHOWN = ("dice_nuclei", "dice_separations", "jaccard_equal", "f1_90")  # of generations
OUTLINES = {"annotated": BLACK, "as they were": VERMILION, "refined": BLUE}


class Pair(NamedTuple):
    """A row and the one that is the same but for its refinements."""

    plain: RowResults
    refined: RowResults


def pairs(content: Content) -> list[Pair]:
    """The rows that refine something, labels or a prediction, each with the one that does not; both are done."""
    refining = [
        result
        for result in content.done
        if (result.row.refine or result.row.refine_prediction) and not is_spoilt(result.row)  # noise refines nothing
    ]
    return [
        Pair(plain, refined)
        for refined in refining
        for plain in content.done
        if _without(refined.row) == plain.row.model_copy(update={"title": ""})
    ]


def _without(row):
    """The row without what refines its prediction or, where nothing does, its labels."""
    return row.model_copy(update={"title": "", "refine_prediction" if row.refine_prediction else "refine": []})


# ---- outlines on the image


class Crop(NamedTuple):
    """A window of a field: (S, S) intensities as shown, and label images by whose they are, see `OUTLINES`."""

    name: str
    picture: np.ndarray
    labels: dict[str, np.ndarray]


def crops(pair: Pair, content: Content, count: int = 3) -> list[Crop]:
    """Windows where the rows' outlines differ most, of the test fields from the one that changes least to the one that does most.

    Parameters
    ----------
    pair : Pair
        Of rows whose first runs stored label images; fields without are left out.
    content : Content
    count : int
        Fields, evenly spread between the two.
    """
    changed = {}
    for name in content.dataset.splits["test"]:
        both = [_stored(result, name) for result in pair]
        if both[0] is not None and both[1] is not None:
            changed[name] = both, float(((both[0] > 0) != (both[1] > 0)).mean())
    order = sorted(changed, key=lambda name: changed[name][1])
    chosen = dict.fromkeys(order[at] for at in np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return [_crop(content, name, *changed[name][0]) for name in chosen]


def _stored(result, name):
    kind = "labels" if result.row.method == "classical" else "nuclei"
    path = tracking.artifact(result.runs[0], f"predictions/{kind}/{name}.png")
    return imread(path).astype(np.int32) if path else None


def _crop(content, name, plain, refined):
    image = content.dataset.read_image(name)
    window = window_with_most((plain > 0) != (refined > 0), [min(SIDE, length) for length in image.shape])
    labels = dict(zip(OUTLINES, (content.dataset.annotation(name), plain, refined), strict=True))
    picture = printed(image[window], levels(image[window]))
    return Crop(name, picture, {whose: each[window] for whose, each in labels.items()})


def outlines(shown: list[Crop]) -> Figure:
    """Outlines of the annotation and of both rows on the image, one panel per crop."""
    figure = Figure(figsize=(4.8 * len(shown), 5.4), layout="constrained")
    for axis, crop in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        show(axis, crop.picture, short(crop.name))
        for whose, labels in crop.labels.items():
            _contours(axis, labels, OUTLINES[whose])
    legend_below(figure, [Line2D([], [], color=colour, label=whose) for whose, colour in OUTLINES.items()])
    return figure


def _contours(axis: Axes, labels: np.ndarray, colour: str) -> None:
    """Nucleus by nucleus, so that those that touch have an outline each."""
    for id_ in np.unique(labels[labels > 0]):
        axis.contour(labels == id_, levels=[0.5], colors=colour, linewidths=1.1)


# ---- offsets of fields


def offsets(pairs: list[Pair], content: Content) -> Figure:
    """Outline offset of each test field before and after, one panel per pair of rows."""
    figure, axes = panels(len(pairs), 4, (3.4, 3.7), sharex=True)
    found = content.per_field.groupby(["row", "field"])["outline_offset"].mean()
    for axis, pair in zip(axes, pairs, strict=True):
        before, after = (found[result.name] for result in pair)
        axis.scatter(before, after.reindex(before.index), s=12, color=BLUE, alpha=0.6, linewidths=0)
        axis.axhline(0, color=BLACK, linewidth=0.8)
        axis.axvline(0, color=BLACK, linewidth=0.8)
        axis.axline((0, 0), slope=1, color="0.7", linewidth=0.8, linestyle="--")
        axis.set_title(f"{pair.refined.row.title}\nagainst {pair.plain.row.title}", fontsize=7, **PLAIN)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("offset before, px (positive: outside)", fontsize=9)
    figure.supylabel("offset after, px", fontsize=9)
    return figure


# ---- generations


def chains(content: Content) -> list[list[str]]:
    """Rows that are done and learn from each other, the first of each chain being the labels that its network learned from.

    Predictions as they are: a refined one is another row of the same network.
    """
    rows = {result.name: result.row for result in content.done if not result.row.refine_prediction}
    taught = {row.teacher for row in rows.values() if row.teacher}
    labels = dict(learned_from(content.results))
    found = []
    for last in (name for name, row in rows.items() if row.teacher in rows and name not in taught):
        chain = list(_back(rows, last))[::-1]
        found.append([labels[chain[0]], *chain] if chain[0] in labels else chain)
    return found


def _back(rows, name) -> Iterator[str]:
    while name in rows:
        yield name
        name = rows[name].teacher


def generations(chains: list[list[str]], content: Content) -> Figure:
    """Scores along each chain with their intervals, and as a line what a network comes to that learned from the annotation."""
    references = [result.name for result in content.done if _is_line(content, result.name)]
    figure = Figure(figsize=(3.2 * len(SHOWN), 3.6), layout="constrained")
    last = max(_first(chain, content) + len(chain) for chain in chains)
    for metric, axis in zip(SHOWN, figure.subplots(1, len(SHOWN)), strict=True):
        for at, chain in enumerate(chains):
            _along(axis, chain, metric, content, at)
        for at, row in enumerate(references):
            if (row, metric) in content.boot:
                axis.axhline(content.boot[row, metric][0], **_line(at))
        axis.set_xticks(range(last), ["labels", *map(str, range(1, last))])
        axis.set_xlabel("generation of the network", fontsize=9)
        axis.margins(x=0.15)
        axis.set_title(METRICS[metric].plain, fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="0.9")
    if len(chains) > 1:
        lines = [Line2D([], [], label=content.titles[chain[-1]], **_style(at)) for at, chain in enumerate(chains)]
        lines += [Line2D([], [], label=content.titles[row], **_line(at)) for at, row in enumerate(references)]
        legend_below(figure, lines, columns=2)
    return figure


def _is_line(content, name):
    """As chains hold predictions as they are, so do the lines."""
    return is_reference(content.results, name) and not content.results[name].row.refine_prediction


def _style(number):
    return {"color": PALETTE[number % len(PALETTE)], "marker": MARKERS[number % len(MARKERS)]}


def _line(number):
    return {"color": BLACK, "linewidth": 0.9, "linestyle": ("--", ":", "-.")[number % 3]}


def _first(chain, content):
    """The number of a chain's first generation; labels are none."""
    return 0 if content.results[chain[0]].row.method == "classical" else 1


def _along(axis, chain, metric, content, number):
    numbered = enumerate(chain, start=_first(chain, content))
    known = [(at, interval(content.boot[row, metric])) for at, row in numbered if (row, metric) in content.boot]
    if known:
        places, values = zip(*known, strict=True)
        value, low, high = np.array(values).T
        axis.errorbar(places, value, yerr=[value - low, high - value], capsize=3, **_style(number))
