"""What MLflow shows at the top of a run's page, in Markdown."""

from collections.abc import Mapping

from harness.core.markdown import escape
from harness.scoring.names import TABLES

HEAD = "| | mean | sd | seeds | 95 %, over seeds | published |\n|:--|--:|--:|--:|--:|--:|"


def of_row(title: str, told: Mapping[str, float], published: Mapping[str, float]) -> str:
    """The title of a row with its line of the tables, turned.

    Parameters
    ----------
    title : str
    told : mapping of str to float
        As `harness.experiment.tracking.summarise` logs it: `NAME`, `NAME/sd`, `NAME/n`, `NAME/low` and `NAME/high`.
    published : mapping of str to float
        By metric, as far as there are such values.

    Returns
    -------
    str
        The title alone where no seed is finished.
    """
    lines = [_line(name, told, published.get(name)) for name in TABLES if name in told]
    if not lines:
        return escape(title)
    return "\n".join([f"{escape(title)}\n\n{HEAD}", *lines])


def of_report(text: str, whole: str, room: int = 6000) -> str:
    """The first sections of a report, as many as there is room for: its tables.

    Parameters
    ----------
    text : str
        A report in Markdown. Its sections with pictures are left out, since MLflow's pages would not find them.
    whole : str
        The artefact to open for all of it.
    room : int
        Characters; MLflow keeps 8,000 of a description.

    Returns
    -------
    str
    """
    head, *sections = text.split("\n## ")
    told = f"{head}\nThe whole report, with its figures, is the artefact `{whole}`.\n"
    for section in sections:
        if len(told) + len(section) > room:
            break
        if "![" not in section:
            told += f"\n## {section}"
    return told


def _line(name: str, told: Mapping[str, float], published: float | None) -> str:
    sd, low, high = (told.get(f"{name}/{of}") for of in ("sd", "low", "high"))
    between = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    cells = (TABLES[name].title, _number(told[name]), _number(sd), f"{told[f'{name}/n']:.0f}", between, _number(published))
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
