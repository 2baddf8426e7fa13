"""Scores of fields, F1 over IoU, learning curves."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from harness.report.content import Content
from harness.report.figures.style import BLACK, BLUE, MARKERS, PALETTE, PLAIN, VERMILION, panels
from harness.report.noise import is_spoilt
from harness.report.statistics import interval
from harness.scoring.names import TABLES
from harness.scoring.pooling import F1


def score_dots(content: Content) -> Figure:
    """Every field's score per row and metric, with the tables' values."""
    done = content.done
    roomy = ConstrainedLayoutEngine(wspace=0.06)  # else the last tick of one panel runs into the first of the next
    figure = Figure(figsize=(10, 1.6 + 0.75 * len(done)), layout=roomy)
    axes = figure.subplots(1, len(TABLES), sharey=True)
    for (name, metric), axis in zip(TABLES.items(), axes, strict=True):
        for height, result in enumerate(done):
            _dots(axis, height, content.field_scores.loc[result.name, name].dropna())
            _mean(axis, height, content.boot.get((result.name, name)))
        axis.set_title(metric.plain, fontsize=10)
        _bare(axis)
        axis.grid(axis="x", color="0.9")
    axes[0].set_yticks(range(len(done)), [result.row.title for result in done], **PLAIN)
    axes[0].set_ylim(len(done) - 0.5, -0.5)
    return figure


def _dots(axis, height, scores):
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(scores))
    axis.scatter(scores, height + jitter, s=9, color=BLUE, alpha=0.45, linewidths=0)


def _mean(axis, height, values):
    if values is not None:
        value, low, high = interval(values)
        axis.plot([low, high], [height, height], color=BLACK, linewidth=1.6, zorder=3)
        axis.plot([value, value], [height - 0.36, height + 0.36], color=BLACK, linewidth=1.6, zorder=3)


def _bare(axis):
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(left=False, labelsize=9)
    axis.set_axisbelow(True)


def iou_curves(content: Content) -> Figure:
    """F1 of each row over the IoU from which a pair counts; rows that learn from noise have a figure of their own."""
    scored = content.quality["row"].unique()
    rows = [row for row in scored if not is_spoilt(content.results[row].row)] or list(scored)
    figure = Figure(figsize=(8.4, max(3.8, 0.21 * len(rows))), layout="constrained")
    axis = figure.subplots()
    for number, row in enumerate(rows):
        axis.plot(
            [thresh / 100 for thresh in F1],
            [content.boot[row, name][0] for name in F1.values()],
            label=content.titles[row],
            color=PALETTE[number % len(PALETTE)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linestyle="-" if content.results[row].row.method == "network" else "--",
        )
    axis.set(xlabel="IoU", ylabel="F1", ylim=(0, 1.02))
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="0.9")
    for text in figure.legend(loc="outside right center", frameon=False, fontsize=9).get_texts():
        text.set(**PLAIN)
    return figure


def learning_curves(history: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """Loss of training and validation by epoch, one panel per row and one line per seed.

    Parameters
    ----------
    history : DataFrame
        row, seed, epoch, loss, val_loss.
    titles : dict of str to str
        Of the rows.
    """
    rows = list(history["row"].unique())
    figure, axes = panels(len(rows), 8, (3.4, 3.2))
    for row, axis in zip(rows, axes, strict=True):
        for _, run in history[history["row"] == row].groupby("seed"):
            axis.plot(run["epoch"], run["loss"], color=BLUE, marker=".", label="training")
            axis.plot(run["epoch"], run["val_loss"], color=VERMILION, linestyle="--", marker=".", label="validation")
            best = run.loc[run["val_loss"].idxmin()]
            axis.plot(best["epoch"], best["val_loss"], "o", markersize=10, markerfacecolor="none", color=VERMILION)
        axis.set_title(titles[row], fontsize=10, **PLAIN)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="0.9")
    axes[0].set_ylabel("loss")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].legend(handles[:2], labels[:2], frameon=False)
    return figure
