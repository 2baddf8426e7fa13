"""Each row between the controls, which are the annotation spoilt in a known way, and the ceiling, a second annotation."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.experiment.registry import CEILING, CONTROL
from harness.experiment.results import RowResults
from harness.report.content import Content
from harness.report.figures.style import BLACK, BLUE, PALETTE, PLAIN
from harness.report.statistics import interval
from harness.scoring.names import TABLES

STYLES = ("-", "--", "-.", ":", (0, (1, 3)))
COLOURS = [colour for colour in PALETTE if colour != BLUE]  # which is the rows'


def references(content: Content) -> list[RowResults]:
    """The controls and ceilings that are done."""
    return [result for result in content.done if result.row.method in (CONTROL, CEILING)]


def placed(content: Content) -> Figure:
    """A panel per metric of the tables: dots for rows, lines for what they are measured by."""
    lines = references(content)
    rows = [result for result in content.done if result not in lines]
    figure = Figure(figsize=(11, 2.2 + 0.32 * len(rows) + 0.18 * len(lines)), layout="constrained")
    axes = figure.subplots(1, len(TABLES), sharey=True)
    for (metric, shown), axis in zip(TABLES.items(), axes, strict=True):
        for number, result in enumerate(lines):
            _line(axis, content.boot.get((result.name, metric)), number)
        for height, result in enumerate(rows):
            _dot(axis, height, content.boot.get((result.name, metric)))
        axis.set_title(shown.plain, fontsize=10)
        axis.spines[["top", "right", "left"]].set_visible(False)
        axis.tick_params(left=False, labelsize=9)
        axis.set_xlim(-0.03, 1.03)
    axes[0].set_yticks(range(len(rows)), [result.row.title for result in rows], **PLAIN)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)
    handles = [axes[0].plot([], [], **_style(number))[0] for number in range(len(lines))]
    legend = figure.legend(
        handles, [result.row.title for result in lines], loc="outside lower center", ncols=2, frameon=False, fontsize=9
    )
    for text in legend.get_texts():
        text.set(**PLAIN)
    return figure


def _style(number: int) -> dict:
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[number % len(STYLES)], "linewidth": 1.8}


def _line(axis: Axes, values, number: int) -> None:
    if values is not None:
        axis.axvline(values[0], **_style(number))


def _dot(axis: Axes, height: int, values) -> None:
    if values is not None:
        value, low, high = interval(values)
        axis.plot([low, high], [height, height], color=BLACK, linewidth=1.4)
        axis.plot(value, height, "o", color=BLUE, markersize=6, zorder=3)
