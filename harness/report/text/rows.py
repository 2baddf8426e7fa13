"""What all tables of a report have in common."""

import pandas as pd

from harness.core.markdown import bounds, escape, number, signed, to_markdown
from harness.report.content import Content
from harness.report.tables import is_reference
from harness.scoring.names import METRICS, SIGNED


def title(content: Content, row: str) -> str:
    """What a row is called, as Markdown; one that learned from the annotation in italics, as in the paper."""
    shown = escape(content.titles[row])
    return f"*{shown}*" if is_reference(content.results, row) else shown


def value(metric: str, amount: float) -> str:
    """A metric's value with as many decimals as it is shown with, signed where it may be negative."""
    return (signed if metric in SIGNED else number)(amount, METRICS[metric].decimals)


def heading(metric: str) -> str:
    """The title of a metric's column."""
    shown = METRICS[metric]
    return f"{shown.title}, {shown.unit}" if shown.unit else shown.title


def with_intervals(content: Content, frame: pd.DataFrame) -> pd.DataFrame:
    """What `harness.report.tables.measured` gave as a table of texts: a line per row, value and interval per metric."""
    lines = []
    for row, cells in frame.groupby("row", sort=False):
        line = {"": title(content, str(row))}
        for cell in cells.itertuples():
            shown = value(cell.metric, cell.value)
            between = bounds(cell.low, cell.high, METRICS[cell.metric].decimals, cell.metric in SIGNED)
            line[heading(cell.metric)] = (f"**{shown}**" if cell.best else shown) + f" ({between})" * pd.notna(cell.low)
        lines.append(line)
    return pd.DataFrame(lines)


def unscored(content: Content, column: str) -> str:
    """A line about the rows with runs of an earlier harness that did not store a column of per_field.csv."""
    stored = content.per_field
    if stored.empty:
        return ""
    lacking = set(stored["row"]) if column not in stored else set(stored.loc[stored[column].isna(), "row"])
    bare = [escape(result.row.title) for result in content.done if result.name in lacking]
    said = "Runs of an earlier harness did not store all of this; `harness report --recompute` scores them again: "
    return f"{said}{', '.join(bare)}." if bare else ""


def section(content: Content, about: str, frame: pd.DataFrame, column: str) -> str:
    """A table of `with_intervals` and what is missing of it; nothing where no row is done."""
    shown = [about + to_markdown(with_intervals(content, frame))] if len(frame) else [about] * bool(content.done)
    return "\n\n".join(part.strip() for part in (*shown, unscored(content, column)) if part)
