"""One table over data sets: what each row scores on each of them, its rank there and over all, and on how many a claim holds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from harness.core.errors import HarnessError
from harness.core.files import whole_folder
from harness.core.markdown import NONE, bounds, code, escape, number, signed, to_markdown
from harness.experiment.results import runs_of
from harness.report import check_replaceable, claims
from harness.report.content import Content
from harness.report.noise import NO_NOISE, helps_from, of_masks
from harness.report.record import plain
from harness.report.statistics import NOTHING, RESAMPLES, SEED, interval
from harness.report.tables import is_reference
from harness.scoring.names import METRICS, TABLES

FIGURE = "jaccard_equal"  # the metric of the figure
INTERVAL = ("value", "low", "high")
PARTS = ("scores", "ranks", "claims", "noise", "transfer")
ABOUT = """\
Value with its 95 % interval (bootstrap over test fields, and over seeds where a row has several), and in brackets the rank
with the 95 % interval of ranks on the same resamples, all rows on the same fields. Bold: rank 1. *Mean rank*: over the data
sets, of the rows that have a score on all of them. Rows in italics learned from the annotation or are another one, and have
no rank."""
CLAIMED = """\
## Claims, by data set

Each claim as the report of one data set judges it, its p corrected within that data set; the last columns count data sets."""
NOISE = """\
## Wrong labels: where a remedy helps

As the report of one data set judges it: from a level on where it helps there and at all higher levels tried. In brackets the
highest level tried, and what it costs against labels without noise."""

TRANSFER = """\
## Learned on one data set, scored on another

{metric} of networks by the data set that they learned on, means over seeds; `tables/transfer.csv` has the other metrics and how
many seeds."""


@dataclass(frozen=True)
class Across:
    """What several reports come to together.

    Attributes
    ----------
    contents : sequence of Content
        One a data set.
    scores : DataFrame
        dataset, row, metric, state, n (seeds), value, low, high, rank, rank_low, rank_high, first (share of the resamples with
        rank 1); the ranks are empty for rows that do not compete.
    ranks : DataFrame
        row, metric, value, low, high: mean rank over the data sets, of the competing rows that are scored on all of them.
    claims : DataFrame
        claim, metric, row (the one that is claimed to be better, or not worse), dataset, verdict, why; lines without any score
        are left out.
    noise : DataFrame
        See `harness.report.noise.doses`, with the column dataset.
    transfer : DataFrame
        See `harness.report.transfer.pairs`; of networks that were scored on these data sets.
    """

    contents: Sequence[Content]
    scores: pd.DataFrame
    ranks: pd.DataFrame
    claims: pd.DataFrame
    noise: pd.DataFrame
    transfer: pd.DataFrame

    @property
    def names(self) -> list[str]:
        """Of the data sets."""
        return [content.dataset.name for content in self.contents]

    @property
    def titles(self) -> dict[str, str]:
        """Of the rows of all data sets, as Markdown; in italics those that do not compete."""
        return {
            row: f"*{escape(result.row.title)}*" if is_reference(content.results, row) else escape(result.row.title)
            for content in self.contents
            for row, result in content.results.items()
        }


def gather(contents: Sequence[Content]) -> Across:
    """Put reports of data sets, each of a name of its own, side by side.

    Raises
    ------
    HarnessError
        No row is done.
    """
    names = [content.dataset.name for content in contents]
    if not any(content.done for content in contents):
        raise HarnessError(f"no row is done on {', '.join(names)} under this profile; harness list shows what is")
    return Across(
        contents,
        pd.concat([_scores(content) for content in contents], ignore_index=True),
        pd.DataFrame([line for metric in TABLES for line in _mean_ranks(contents, metric)], columns=["row", "metric", *INTERVAL]),
        pd.concat([_claims(content) for content in contents], ignore_index=True),
        pd.concat([content.noise.assign(dataset=content.dataset.name) for content in contents], ignore_index=True),
        _transfer(contents[0].transfer, names),
    )


def _scores(content: Content) -> pd.DataFrame:
    lines = []
    for metric in TABLES:
        ranked = ranks(content, metric, _competing(content, metric))
        for row, result in content.results.items():
            value = interval(content.boot.get((row, metric), NOTHING))
            place = interval(ranked.get(row, NOTHING))
            lines.append(
                {"dataset": content.dataset.name, "row": row, "metric": metric, "state": result.state, "n": len(result.runs)}
                | value._asdict()
                | {"rank": place.value, "rank_low": place.low, "rank_high": place.high}
                | {"first": float((ranked[row][1:] == 1).mean()) if row in ranked else np.nan}
            )
    return pd.DataFrame(lines)


def _competing(content: Content, metric: str) -> list[str]:
    return [row for row in content.results if (row, metric) in content.boot and not is_reference(content.results, row)]


def ranks(content: Content, metric: str, rows: Sequence[str]) -> dict[str, np.ndarray]:
    """Ranks of rows, 1 for the highest value, equal ones sharing theirs: first as they are, then on each resample of fields."""
    if not rows:
        return {}
    values = np.array([content.boot[row, metric] for row in rows])  # (R, 1 + RESAMPLES)
    return dict(zip(rows, rankdata(-values, axis=0, nan_policy="propagate"), strict=True))


def _mean_ranks(contents: Sequence[Content], metric: str) -> list[dict]:
    scored = [set(_competing(content, metric)) for content in contents]
    rows = [row for row in contents[0].results if all(row in each for each in scored)]
    each = [ranks(content, metric, rows) for content in contents]
    orders = [_order(number) for number in range(len(contents))]
    means = {row: np.mean([ranked[row][order] for ranked, order in zip(each, orders, strict=True)], axis=0) for row in rows}
    return [{"row": row, "metric": metric} | interval(mean)._asdict() for row, mean in means.items()]


def _order(number: int) -> np.ndarray:
    """Resamples in an order of their own: data sets of equally many fields draw alike, and are not to go up and down together."""
    return np.append(0, 1 + np.random.default_rng([SEED, number]).permutation(RESAMPLES))


def _claims(content: Content) -> pd.DataFrame:
    """The paper's, then the registry's; without the lines of which a row has no score."""
    paper = content.claims[content.claims["criterion"].notna()].rename(columns={"better": "row"})
    own = content.margins[content.margins["difference"].notna()]
    lines = [part[["claim", "metric", "row", "verdict", "why"]] for part in (paper, own)]
    return pd.concat(lines, ignore_index=True).assign(dataset=content.dataset.name)


def _transfer(pairs: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The report of any data set has the pairs of all."""
    return pairs[pairs["scored_on"].isin(names)] if len(pairs) else pairs


# ---- what is written


def write(found: Across, out: Path) -> None:
    """Write across.md, results.json, tables/*.csv and figures/across.png; the folder appears whole or not at all.

    Raises
    ------
    HarnessError
        `out` holds something else than a report, or cannot be written.
    """
    check_replaceable(out)
    with whole_folder(out) as new:
        _write_folder(found, new)


def _write_folder(found: Across, folder: Path) -> None:
    from harness.report.figures.across import across
    from harness.report.figures.noise import doses
    from harness.report.figures.style import save

    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    for name in PARTS:
        getattr(found, name).to_csv(folder / "tables" / f"{name}.csv", index=False)
    (folder / "results.json").write_text(json.dumps(as_json(found), indent=1, ensure_ascii=False), encoding="utf-8")
    save(across(found), folder / "figures" / "across.png", "", "")
    of_figure = of_masks(found.noise[found.noise["metric"] == FIGURE])
    if len(of_figure):
        save(doses(dict(list(of_figure.groupby("dataset", sort=False)))), folder / "figures" / "noise.png", "", "")
    (folder / "across.md").write_text(markdown(found), encoding="utf-8")


def as_json(found: Across) -> dict:
    """What results.json holds."""
    about = [
        {
            "name": content.dataset.name,
            "digest": content.dataset.digest,
            "profile": content.profile,
            "test_fields": len(content.dataset.splits["test"]),
            "runs": [{"row": run.row, "seed": run.seed, "run_id": run.run_id} for run in runs_of(content.results)],
        }
        for content in found.contents
    ]
    return plain({"datasets": about} | {name: getattr(found, name).to_dict("records") for name in PARTS})


def markdown(found: Across) -> str:
    """The tables of all metrics, then the claims, noise and pairs of data sets."""
    parts = [f"# {len(found.names)} data sets", _fields(found), ABOUT]
    for metric, shown in TABLES.items():
        parts += [f"## {shown.title}", to_markdown(_table(found, metric))]
    figure = "![Rows on each data set, and their mean ranks](figures/across.png)"
    parts += ["## Figure", f"{TABLES[FIGURE].title}:\n\n{figure}", CLAIMED, _claim_table(found)]
    return "\n\n".join([*parts, *_noise(found), *_transfer_table(found)]) + "\n"


def _fields(found):
    said = [
        f"{code(content.dataset.name)}: {len(content.dataset.splits['test'])} test fields, profile {escape(content.profile)}, "
        f"{len(content.done)} of {len(content.results)} rows done"
        for content in found.contents
    ]
    return "\n".join(f"- {line}" for line in said)


def _table(found, metric):
    """A line per row that is done somewhere."""
    scores = found.scores[found.scores["metric"] == metric]
    mean = found.ranks[found.ranks["metric"] == metric].set_index("row")
    lines = []
    for row, cells in scores.groupby("row", sort=False):
        if (cells["n"] > 0).any():
            shown = {cell.dataset: _cell(cell) for cell in cells.itertuples()}
            line = {"": found.titles[row]} | {escape(name): shown.get(name, NONE) for name in found.names}
            there = mean.loc[row] if row in mean.index else None
            lines.append(
                line | {"mean rank": NONE if there is None else _number_in(there["value"], there["low"], there["high"], 2)}
            )
    return pd.DataFrame(lines)


def _cell(cell):
    if pd.isna(cell.value):
        return cell.state if not cell.n else "undefined"
    value = number(cell.value)
    place = "" if pd.isna(cell.rank) else f" [{_number_in(cell.rank, cell.rank_low, cell.rank_high, 0)}]"
    return (f"**{value}**" if cell.rank == 1 else value) + f" ({bounds(cell.low, cell.high)})" * pd.notna(cell.low) + place


def _number_in(value, low, high, decimals):
    """A rank and, where it is not certain, its interval."""
    shown = number(value, decimals if value % 1 == 0 else max(decimals, 1))
    return shown if pd.isna(low) or low == high else f"{shown}, {bounds(low, high, decimals)}"


def _claim_table(found):
    if found.claims.empty:
        return "No claim has the rows it needs."
    lines = []
    for (claim, metric, row), told in found.claims.groupby(["claim", "metric", "row"], sort=False):
        verdicts = dict(zip(told["dataset"], told["verdict"], strict=True))
        count = list(verdicts.values()).count
        line = {"claim": escape(claim), "row": found.titles[row], "metric": METRICS[metric].title}
        line |= {escape(name): verdicts.get(name, NONE) for name in found.names}
        lines.append(line | {claims.HOLDS: f"{count(claims.HOLDS)} of {len(verdicts)}", claims.FAILS: str(count(claims.FAILS))})
    return to_markdown(pd.DataFrame(lines), ("claim", "row", "metric", *map(escape, found.names)))


def _noise(found):
    """From which level on a remedy helps, by kind and data set, and what the highest level costs."""
    if found.noise.empty:
        return []
    lines = []
    spoilt = found.noise[found.noise["kind"] != NO_NOISE]
    for (kind, remedy, metric), same in spoilt.groupby(["kind", "remedy", "metric"], sort=False):
        line = {"noise": kind, "remedy": remedy, "metric": METRICS[metric].title}
        told = {name: _helping(each) for name, each in same.groupby("dataset")}
        lines.append(line | {escape(name): told.get(name, NONE) for name in found.names})
    table = to_markdown(pd.DataFrame(lines), ("noise", "remedy", "metric", *map(escape, found.names)))
    figure = f"{TABLES[FIGURE].title}:\n\n![Wrong labels, kept and ignored](figures/noise.png)"
    return [NOISE, table, *([] if of_masks(found.noise).empty else [figure])]


def _helping(lines):
    worst = lines.loc[lines["level"].idxmax()]
    return f"{helps_from(lines)} ({worst['level']:g}: {signed(worst['kept'])} kept, {signed(worst['remedied'])} remedied)"


def _transfer_table(found):
    """A line per network and what it learned on, a column per data set that it was scored on."""
    lines = []
    for (row, learned_on), same in found.transfer.groupby(["row", "learned_on"], sort=False) if len(found.transfer) else ():
        scored = dict(zip(same["scored_on"], same[FIGURE], strict=True))
        line = {"": found.titles[row], "learned on": code(learned_on)}
        lines.append(line | {escape(name): number(scored[name]) if name in scored else NONE for name in found.names})
    about = TRANSFER.format(metric=TABLES[FIGURE].title)
    return [about, to_markdown(pd.DataFrame(lines), ("", "learned on"))] if lines else []
