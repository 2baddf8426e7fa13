"""`harness compare`: rows of a store, two by two, as a table, a figure and metrics of their runs."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from harness.core.errors import HarnessError
from harness.core.files import make_folder
from harness.core.markdown import bounds, number, signed, to_markdown
from harness.datasets import DataSet
from harness.experiment import tracking
from harness.experiment.registry import CEILING
from harness.experiment.results import RowResults, made_again, read_all
from harness.report import damage
from harness.report.comparison import PER_FIELD, Comparison, compare, title
from harness.scoring import pooling
from harness.scoring.names import METRICS, SIGNED

WORDS = ("better", "worse", "group", "told apart")  # columns of text
COMPARED = [name for name in METRICS if name not in (*SIGNED, "ap")]


def compare_rows(dataset: DataSet, results: Mapping[str, RowResults], rows: list[str], metric: str) -> Comparison:
    """Compare rows that have runs by a metric, from what the runs stored.

    Parameters
    ----------
    dataset : DataSet
    results : mapping of str to RowResults
        Every row, see `harness.experiment.session.Session.results`.
    rows : list of str
        Two at least, or none for all that have runs.
    metric : str
        One of `COMPARED`, or one with "_fields" after it, for the mean over fields.

    Raises
    ------
    HarnessError
        No such metric or row, a row without a finished run, fewer than two rows, or fewer than two test fields; or what a run
        stored is damaged.
    """
    chosen = choose(results, rows)
    if len(chosen) < 2:
        raise HarnessError(f"nothing to compare {', '.join(chosen) or 'rows'} with; harness list shows which rows have runs")
    found = compare(metric, terms_of(dataset, chosen, metric))
    if found.fields < 2:
        raise HarnessError(
            f"{found.fields} test fields on which all of {', '.join(chosen)} have a {metric}; two at least are needed"
        )
    return found


def choose(results: Mapping[str, RowResults], rows: list[str]) -> dict[str, RowResults]:
    """The rows asked for, or all that have runs but a ceiling; refused where one has none."""
    for row in rows:
        if row not in results:
            raise HarnessError(f"unknown row '{row}'; there is {', '.join(results)}")
        if not results[row].runs:
            raise HarnessError(f"{row}: {results[row].state}; run it first: harness run {row}")
    return {
        name: result
        for name, result in results.items()
        if result.runs and (name in rows if rows else result.row.method != CEILING)
    }


def terms_of(dataset: DataSet, results: dict[str, RowResults], metric: str) -> dict[str, pd.DataFrame]:
    """The `harness.scoring.pooling.terms` of a metric by row, index seed and field.

    Raises
    ------
    HarnessError
        No such metric, or a row has none, or what it stored is damaged.
    """
    base = metric.removesuffix(PER_FIELD)
    if base not in COMPARED:
        raise HarnessError(f"no metric '{metric}' to compare by; there is {', '.join(COMPARED)}, and each with {PER_FIELD}")
    damage.refuse(results, dataset)
    made = pooling.terms(*(read_all(results, f"{table}.csv") for table in ("per_tile", "per_field")))[base]
    lacking = [row for row in results if row not in made.index.get_level_values("row")]
    if lacking:
        raise HarnessError(f"{lacking[0]}: its runs have no {base}; leave it out, or {made_again(results[lacking[0]].runs[0])}")
    made = _per_field(made) if metric != base else made
    return {row: made.loc[row] for row in results}


def _per_field(terms):
    """Every field counts the same, however many nuclei it holds; one where the score is undefined does not count."""
    ratio = (terms["above"] / terms["below"]).dropna()
    return pd.DataFrame({"above": ratio, "below": 1.0})


# ---- what is written


def log(found: Comparison, results: Mapping[str, RowResults]) -> None:
    """Log what was found as metrics of the rows' runs: `vs_<other row>/<metric>_...` and `rank/<metric>`."""
    metrics: dict[str, dict[str, float]] = {row: {f"rank/{found.metric}": place} for row, place in _ranks(found)}
    for pair in found.pairs.to_dict("records"):
        turned = pair | {"difference": -pair["difference"], "low": -pair["high"], "high": -pair["low"]}
        for row, other, seen in ((pair["better"], pair["worse"], pair), (pair["worse"], pair["better"], turned)):
            names = ("difference", "low", "high", "p", "p_holm")
            metrics[row] |= {f"vs_{other}/{found.metric}_{name}": seen[name] for name in names}
    for row, values in metrics.items():
        tracking.add_metrics(results[row].runs[0], {name: value for name, value in values.items() if math.isfinite(value)})


def _ranks(found):
    return found.ranking[["row", "rank"]].itertuples(index=False)


def write(found: list[Comparison], out: Path) -> None:
    """Write comparison.md, comparison.json and a figure of each metric into a folder."""
    from harness.report.figures.comparisons import differences
    from harness.report.figures.style import save

    make_folder(out)
    (out / "comparison.json").write_text(json.dumps([as_json(each) for each in found], indent=1), encoding="utf-8")
    (out / "comparison.md").write_text("\n\n".join(map(markdown, found)) + "\n", encoding="utf-8")
    for each in found:
        save(differences(each, title(each.metric)), out / f"{each.metric}.png", title(each.metric), "")


def as_json(found: Comparison) -> dict:
    """Ready for JSON, which has no NaN: null."""
    tables = {
        name: table.astype(object).where(table.notna(), None).to_dict("records")
        for name, table in (("ranking", found.ranking), ("pairs", found.pairs))
    }
    return {"metric": found.metric, "fields": found.fields, **tables}


def markdown(found: Comparison) -> str:
    """The two tables and the figure of a metric."""
    tables = (to_markdown(table, (*WORDS, "row")) for table in (ranking(found), pairs(found)))
    return "\n\n".join([f"## {title(found.metric)}", said(found), *tables, f"![{title(found.metric)}]({found.metric}.png)"])


def said(found: Comparison) -> str:
    """How to read the tables, in a line."""
    return f"{found.fields} test fields. Rows that share a letter cannot be told apart. Intervals: 95 %, over fields and seeds."


def ranking(found: Comparison) -> pd.DataFrame:
    """The rows in their order, as text."""
    lines = [
        {
            "": row.rank,
            "row": row.row,
            "value": number(row.value),
            "95 %": bounds(row.low, row.high),
            "seeds": row.seeds,
            "group": row.groups,
        }
        for row in found.ranking.itertuples()
    ]
    return pd.DataFrame(lines).astype(str)


def pairs(found: Comparison) -> pd.DataFrame:
    """Every two rows, as text; see docs/afternoon.md for what each column is."""
    lines = [
        {
            "better": pair.better,
            "worse": pair.worse,
            "difference": signed(pair.difference),
            "95 %": bounds(pair.low, pair.high, sign=True),
            "p": f"{pair.p:.2g}",
            "p (Holm)": f"{pair.p_holm:.2g}",
            "effect": number(pair.effect, 2),
            "better in": f"{pair.favours:.0%}",
            "could show": number(pair.smallest),
            "told apart": "yes" if pair.told_apart else "no",
        }
        for pair in found.pairs.itertuples()
    ]
    return pd.DataFrame(lines)
