"""The U-Net as a drawing with its sizes (the paper's Fig. 2)."""

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

if TYPE_CHECKING:
    from matplotlib.artist import Artist

DEPTH = 4
COLOURS = {"convolution 3x3, selu": "#56B4E9", "concatenated": "#E5E5E5", "softmax": "#D55E00"}
ARROWS = {"max-pooling 2x2, dropout": ("#000000", "-"), "transposed convolution 2x2": ("#009E73", "-"), "copy": ("#888888", "--")}


def sizes(base: int, last: int, side: int = 512) -> list[tuple[int, int, int]]:
    """Filters and side of every level of the network.

    Parameters
    ----------
    base, last : int
        Widths of the network, see `harness.network.unet`.
    side : int
        Of the input in px.

    Returns
    -------
    list of (int, int, int)
        Side in px, filters on the way down, filters on the way up, from the top level to the bottom.
    """
    return [(side >> level, base << level, last if level == 0 else base << level) for level in range(DEPTH + 1)]


def architecture(base: int, last: int, tile: int = 512) -> Figure:
    """Draw the U-Net of these widths for tiles of a side in px; a matplotlib Figure."""
    figure = Figure(figsize=(11, 5.2), layout="constrained")
    axis = figure.subplots()
    levels = sizes(base, last, tile)
    for level, (side, down, up) in enumerate(levels):
        _level(axis, level, side, down, up)
    axis.annotate("tile", (_left(0) - 0.35, 0), ha="right", va="center", fontsize=10)
    _box(axis, _right(0) + 2.2, 0, 3, levels[0][0], COLOURS["softmax"])
    axis.annotate("classes", (_right(0) + 2.75, 0), ha="left", va="center", fontsize=10)
    handles: list[Artist] = [Patch(facecolor=colour, edgecolor="#333333", label=name) for name, colour in COLOURS.items()]
    handles += [Line2D([], [], color=colour, ls=style, label=name) for name, (colour, style) in ARROWS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    axis.set(xlim=(_left(0) - 1.4, _right(0) + 4), ylim=(-DEPTH * 1.6 - 1, 1.3))
    axis.set_axis_off()
    return figure


def _left(level):
    return 1.6 * level


def _right(level):
    return 1.6 * (2 * DEPTH - level) + 1


def _level(axis, level, side, down, up):
    height = -1.6 * level
    for offset in (0, 0.55):
        _box(axis, _left(level) + offset, height, down, side, COLOURS["convolution 3x3, selu"])
    axis.annotate(
        f"{side}²", (_left(level) - 0.12, height - 0.1 - _tall(side) / 2), ha="left", va="top", fontsize=8, color="0.35"
    )
    if level == DEPTH:
        return
    _arrow(
        axis, (_left(level) + 0.75, height - _tall(side) / 2), (_left(level + 1) - 0.08, height - 1.6), "max-pooling 2x2, dropout"
    )
    below = _left(DEPTH) + 0.9 if level == DEPTH - 1 else _right(level + 1) + 1.5
    _arrow(axis, (below, height - 1.6), (_right(level) + 0.15, height - _tall(side) / 2), "transposed convolution 2x2")
    _arrow(axis, (_left(level) + 1.0, height), (_right(level) - 0.1, height), "copy")
    _box(axis, _right(level), height, 2 * down, side, COLOURS["concatenated"])
    for offset in (0.6, 1.15):
        _box(axis, _right(level) + offset, height, up, side, COLOURS["convolution 3x3, selu"])


def _tall(side):
    return 0.35 + 0.75 * side / 512


def _box(axis, x, y, filters, side, colour):
    tall = _tall(side)
    axis.add_patch(Rectangle((x, y - tall / 2), 0.3, tall, facecolor=colour, edgecolor="#333333", linewidth=0.8))
    axis.annotate(filters, (x + 0.15, y + tall / 2 + 0.06), ha="center", va="bottom", fontsize=8)


def _arrow(axis, start, end, kind):
    colour, style = ARROWS[kind]
    axis.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour, "linestyle": style, "linewidth": 1.3})
