"""Rows with the groups that cannot be told apart, and their differences."""

from matplotlib.figure import Figure

from harness.report.comparison import Comparison
from harness.report.figures.style import BLACK, BLUE, PLAIN, VERMILION

GREY = "#888888"


def differences(found: Comparison, title: str) -> Figure:
    """The values of the rows, their groups as letters, and every difference with its interval and what could be shown at all."""
    figure = Figure(figsize=(11, 1.4 + 0.3 * max(len(found.ranking), len(found.pairs))), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    rows, pairs = found.ranking, found.pairs
    left.errorbar(rows["value"], range(len(rows)), xerr=_arms(rows, "value"), fmt="o", color=BLUE, capsize=3)
    _named(
        left, [f"{row.row}  {row.groups}" for row in rows.itertuples()], f"{title}\nrows that share a letter are not told apart"
    )
    colours = [VERMILION if apart else GREY for apart in pairs["told_apart"]]
    right.hlines(range(len(pairs)), pairs["low"], pairs["high"], colors=colours)
    right.scatter(pairs["difference"], range(len(pairs)), c=colours, zorder=3)
    right.scatter(pairs["smallest"], range(len(pairs)), marker="|", color=BLACK, zorder=3)
    right.axvline(0, color=BLACK, linewidth=0.8)
    _named(
        right,
        [f"{pair.better} − {pair.worse}" for pair in pairs.itertuples()],
        "differences with their intervals\n| the smallest these fields could show",
    )
    return figure


def _arms(table, centre):
    return [table[centre] - table["low"], table["high"] - table[centre]]


def _named(axis, names, title):
    axis.set_yticks(range(len(names)), names, **PLAIN)
    axis.invert_yaxis()
    axis.set_title(title, loc="left", fontsize=9, **PLAIN)
