"""What each kind of label noise costs by its level, kept and ignored."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.figures.style import BLACK, BLUE, GREEN, PLAIN, VERMILION, legend_below
from harness.report.noise import HARMS, HELPS, MASKS

COLOURS = {"kept": VERMILION, **dict(zip(MASKS.values(), (BLUE, GREEN), strict=True))}


def doses(panels: dict[str, pd.DataFrame]) -> Figure:
    """A row of panels per part, a column per kind of noise: difference from the row without noise by level, with intervals.

    Parameters
    ----------
    panels : dict of str to DataFrame
        What a row of panels is called, and its lines of one metric, see `harness.report.noise.of_masks`.
    """
    everything = pd.concat(panels.values())
    units = everything.groupby("kind", sort=False)["unit"].first()
    figure = Figure(figsize=(2.3 * len(units) + 0.6, 2.4 * len(panels) + 0.9), layout="constrained")
    axes = figure.subplots(len(panels), len(units), sharey="row", sharex="col", squeeze=False)
    for (called, lines), row in zip(panels.items(), axes, strict=True):
        for kind, axis in zip(units.index, row, strict=True):
            _panel(axis, lines[lines["kind"] == kind])
        row[0].set_ylabel(called, fontsize=9, **PLAIN)
    for (kind, unit), top, bottom in zip(units.items(), axes[0], axes[-1], strict=True):
        top.set_title(kind, fontsize=10)
        bottom.set_xlabel(unit, fontsize=9)
        levels = sorted(everything.loc[everything["kind"] == kind, "level"].unique())
        bottom.set_xticks([0, *levels], ["0", *(f"{level:g}" for level in levels)])
    names = ("kept", *everything["remedy"].unique())
    curves = [Line2D([], [], color=COLOURS[name], marker="o", label=name) for name in names]
    better = Line2D([], [], color=BLACK, marker="*", linestyle="", label="the better of the two (Holm, 5 %)")
    legend_below(figure, [*curves, better])
    return figure


def _panel(axis: Axes, lines: pd.DataFrame) -> None:
    axis.axhline(0, color=BLACK, linewidth=0.8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    for number, (mask, same) in enumerate(lines.groupby("remedy", sort=False)):
        if not number:
            _curve(axis, same, "kept", COLOURS["kept"], HARMS)
        _curve(axis, same, "remedied", COLOURS[mask], HELPS)
    if lines.empty:
        axis.text(0.5, 0.5, "not done, or failed", transform=axis.transAxes, ha="center", va="center", fontsize=8)


def _curve(axis: Axes, lines: pd.DataFrame, name: str, colour: str, better: str) -> None:
    values, low, high = (lines[f"{name}{end}"].to_numpy() for end in ("", "_low", "_high"))
    axis.plot([0, *lines["level"]], [0, *values], color=colour, linewidth=1.2)
    axis.errorbar(lines["level"], values, [values - low, high - values], fmt="o", color=colour, capsize=3, markersize=4)
    won = (lines["verdict"] == better).to_numpy()
    axis.plot(lines["level"][won], values[won], "*", color=BLACK, markersize=7, zorder=4)
