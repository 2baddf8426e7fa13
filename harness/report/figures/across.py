"""Rows on each of several data sets, and their ranks over all of them."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.report.across import FIGURE, Across
from harness.report.figures.style import BLACK, BLUE, PLAIN, VERMILION
from harness.scoring.names import TABLES


def across(found: Across) -> Figure:
    """A panel per data set with values and intervals, and one with mean ranks."""
    scores = found.scores[(found.scores["metric"] == FIGURE) & (found.scores["n"] > 0)]
    rows, ranks = list(dict.fromkeys(scores["row"])), found.ranks[found.ranks["metric"] == FIGURE]
    figure = Figure(figsize=(2.4 + 1.9 * (1 + len(found.names)), 1.5 + 0.42 * len(rows)), layout="constrained")
    axes = figure.subplots(1, 1 + len(found.names), sharey=True)
    for name, axis in zip(found.names, axes[:-1], strict=True):
        _dots(axis, rows, scores[scores["dataset"] == name], BLUE)
        axis.set_title(name, fontsize=10, **PLAIN)
        axis.set_xlim(-0.04, 1.04)
        axis.set_xticks([0, 0.5, 1])
    _dots(axes[-1], rows, ranks, VERMILION)
    axes[-1].set_title("mean rank", fontsize=10)
    axes[-1].set_xlim(0.7, len(rows) + 0.3)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    titles = {row: result.row.title for content in found.contents for row, result in content.results.items()}
    axes[0].set_yticks(range(len(rows)), [titles[row] for row in rows], **PLAIN)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    figure.supxlabel(f"{TABLES[FIGURE].title.replace('`', '')} with 95 % intervals; right: rank 1 is the best", fontsize=9)
    return figure


def _dots(axis: Axes, rows: list[str], table: pd.DataFrame, colour: str) -> None:
    for line in table.itertuples():
        height = rows.index(line.row)
        axis.plot([line.low, line.high], [height, height], color=BLACK, linewidth=1.4)
        axis.plot(line.value, height, "o", color=colour, markersize=6, zorder=3)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(left=False, labelsize=9)
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
