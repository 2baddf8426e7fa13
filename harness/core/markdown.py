"""Markdown: tables, numbers, and texts of others made harmless."""

import re

import pandas as pd

NONE = "–"


def escape(text: str) -> str:
    r"""Text of others, as a title or a failure, so that Markdown shows it as it is; on one line.

    Examples
    --------
    >>> print(escape("My *own* | <b>row</b>"))
    My \*own\* \| \<b\>row\</b\>
    """
    line = " ".join(str(text).split())
    line = re.sub(r"([\\`*_\[\]<>&|~#])", r"\\\1", line)
    return re.sub(r"^([-+=]|\d+[.)](?=\s|$))", lambda found: f"{found[0][:-1]}\\{found[0][-1]}", line)  # lists and rules


def code(text: str) -> str:
    """Text of others as a code span.

    Examples
    --------
    >>> print(code("bbbc039"))
    `bbbc039`
    """
    return "`" + " ".join(str(text).split()).replace("`", "'") + "`"


def number(value: float | None, decimals: int = 3) -> str:
    """A number, or a dash where there is none."""
    return NONE if value is None or pd.isna(value) else f"{value:.{decimals}f}".replace("-", "−")


def signed(value: float | None, decimals: int = 3) -> str:
    """A difference with its sign, or a dash.

    Examples
    --------
    >>> signed(-0.25, 2)
    '−0.25'
    """
    return NONE if value is None or pd.isna(value) else f"{value:+.{decimals}f}".replace("-", "−")


def percent(value: float, decimals: int = 0) -> str:
    """A share.

    Examples
    --------
    >>> percent(0.861)
    '86 %'
    """
    return f"{100 * value:.{decimals}f} %".replace("-", "−")


def bounds(low: float, high: float, decimals: int = 3, sign: bool = False) -> str:
    """An interval; with a word between its ends where they may be negative."""
    if pd.isna(low):
        return NONE
    shown = signed if sign else number
    return f"{shown(low, decimals)}{' to ' if sign or low < 0 else '–'}{shown(high, decimals)}"


def to_markdown(frame: pd.DataFrame, words: tuple[str, ...] = ("",)) -> str:
    """A DataFrame as a pipe table, padded to be read as text too; the columns `words` to the left, numbers to the right.

    Cells are Markdown: text of others goes through `escape` before it gets here.
    """
    lines = [list(frame.columns), *frame.astype(str).to_numpy().tolist()]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    pads = [str.ljust if name in words else str.rjust for name in frame.columns]
    padded = [[pad(cell, width) for pad, cell, width in zip(pads, line, widths, strict=True)] for line in lines]
    rule = [pad(":", width, "-") for pad, width in zip(pads, widths, strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (padded[0], rule, *padded[1:]))
