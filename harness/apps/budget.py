"""`harness budget`: what the annotated fields say so far, how many more are needed, and which."""

import json
from collections.abc import Callable, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.apps.comparing import choose, terms_of
from harness.apps.known import KINDS, Control, control, cut, of_row, per_field
from harness.core.errors import HarnessError
from harness.core.files import make_folder
from harness.core.markdown import NONE, bounds, code, number, signed, to_markdown
from harness.datasets import DataSet
from harness.experiment.evidence import gather, label_sources
from harness.experiment.results import RowResults
from harness.report.comparison import PER_FIELD, influence, mean_over_seeds, smallest_difference, title
from harness.scoring import pilot
from harness.scoring.pilot import Estimate, Part

WORDS = ("row", "other", "why not")  # columns of text
SCORES = ("value", "95 %", "without control", "fields needed", "without control ", "more", "nuclei to draw")
COUNTS = ("fields", "fields_alone", "fields_low", "fields_high", "more", "nuclei")  # a whole number or nothing
DIFFERENCES = ("difference", "95 %", "could show", "fields needed", "between", "more", "nuclei to draw")
NARROW = 20  # annotated fields up to which differences of networks were seen to be covered too rarely, docs/afternoon.md


class Budget(NamedTuple):
    """What a pilot says, and what is needed.

    Attributes
    ----------
    metric : str
    annotated, others : int
        Fields that the numbers come from: with annotation, and those without that serve as control.
    apart : list of str
        Fields that are too different from the others to be spoken for, see `harness.scoring.pilot.set_apart`.
    rows : DataFrame
        row, value, low, high (with the control variate), alone_low, alone_high (without), fields, fields_alone (annotated
        ones in all for the interval wanted), more, nuclei (still to annotate, to draw), refused (why nothing is said).
    pairs : DataFrame
        row, other, difference (row minus other), low, high, alone_low, alone_high, smallest (difference that these fields
        could show), fields, fields_low, fields_high (annotated ones in all for the power wanted, at the difference and at
        the ends of its interval), more, nuclei, refused.
    next : DataFrame
        field, nuclei: which to annotate next, and about how many nuclei it holds.
    narrow : list of str
        Networks and other tools whose differences have intervals that may be too narrow, since the pilot is small.
    """

    metric: str
    annotated: int
    others: int
    apart: list[str]
    rows: pd.DataFrame
    pairs: pd.DataFrame
    next: pd.DataFrame
    narrow: list[str]


class _Pilot(NamedTuple):
    """Everything a plan is made of, by field: the annotated ones first."""

    names: list[str]
    annotated: int
    scores: dict[str, pd.DataFrame]  # above, below of each annotated field
    control: Control  # of every field; empty without two label sources
    agreement: np.ndarray
    nuclei: np.ndarray
    pooled: bool


def plan(
    dataset: DataSet,
    results: Mapping[str, RowResults],
    rows: list[str],
    metric: str,
    say: Callable[[str], object],
    half: float = 0.02,
    power: float = 0.8,
    count: int = 6,
) -> Budget:
    """Say what the annotated test fields tell about rows, and plan the annotation of more.

    Parameters
    ----------
    dataset : DataSet
        Its test fields are the pilot, all others the fields without annotation: their masks are not looked at.
    results : mapping of str to RowResults
        Every row, see `harness.experiment.session.Session.results`.
    rows : list of str
        Those to plan for, or none for all that have runs.
    metric : str
        One of `KINDS`, pooled over fields, or one with "_fields" after it, for the mean over fields.
    say : callable
        Takes a line about work that takes long.
    half : float
        Half the width of the interval wanted.
    power : float
        Chance wanted of finding a difference with the paired test of `harness compare`.
    count : int
        Fields to name for annotation.

    Raises
    ------
    HarnessError
        No such metric or row, or a row without a finished run.
    """
    if metric.removesuffix(PER_FIELD) not in KINDS:
        raise HarnessError(f"no metric '{metric}' to plan by; there is {', '.join(KINDS)}, and each with {PER_FIELD}")
    chosen = choose(results, rows)
    if not chosen:
        raise HarnessError("no row has a run here; begin with harness run, for example of the four classical rows")
    sources = label_sources(dataset, results, say)
    given, apart = _pilot(dataset, chosen, metric, gather(dataset, sources, say) if len(sources) > 1 else None)
    per_row = [{"row": row} | _row(given, row, half) for row in chosen]
    per_pair = [{"row": row, "other": other} | _pair(given, row, other, power) for row, other in combinations(chosen, 2)]
    others = len(given.names) - given.annotated
    narrow = [row for row in chosen if per_pair and given.annotated <= NARROW and results[row].row.method != "classical"]
    return Budget(metric, given.annotated, others, apart, _table(per_row), _table(per_pair), _next(dataset, given, count), narrow)


def _table(lines):
    table = pd.DataFrame(lines)
    return table.astype({name: "Int64" for name in COUNTS if name in table})


def _pilot(dataset, chosen, metric, evidence):
    scores = {row: mean_over_seeds(table) for row, table in terms_of(dataset, chosen, metric).items()}
    test = [name for name in dataset.splits["test"] if all(name in table.index for table in scores.values())]
    names = [*test, *dataset.splits["training"], *dataset.splits["validation"]] if evidence else test
    agreement, nuclei = per_field(evidence, names) if evidence else (np.ones(len(names)), np.ones(len(names)))
    apart = pilot.set_apart(agreement)
    kept = [name for name, far in zip(names, apart, strict=True) if not far]
    annotated = [name for name in test if name in kept]
    given = _Pilot(
        kept,
        len(annotated),
        {row: table.loc[annotated] for row, table in scores.items()},
        control(evidence, metric, kept) if evidence else {},
        agreement[~apart],
        nuclei[~apart],
        not metric.endswith(PER_FIELD),
    )
    return given, [name for name, far in zip(names, apart, strict=True) if far]


# ---- a row, a pair, the next fields


class _Said(NamedTuple):
    with_control: Estimate
    alone: Estimate
    refused: str | None


def _estimate(given, weights):
    """What the pilot says of a sum of rows' scores with some weights."""
    score = [Part(*given.scores[row][["above", "below"]].to_numpy(float).T, weight) for row, weight in weights.items()]
    known = [part for row, weight in weights.items() for part in of_row(given.control, row, weight)] if given.control else []
    here, there = cut(known, slice(given.annotated)), cut(known, slice(given.annotated, None))
    refused = pilot.refusal(score, here, there, given.nuclei if given.pooled else None)
    if refused:
        return _Said(None, None, refused)
    return _Said(pilot.estimate(score, here, there), pilot.estimate(score, [], []), None)


def _row(given, row, half):
    said = _estimate(given, {row: 1.0})
    if said.refused:
        return {"refused": said.refused}
    found, alone = said.with_control, said.alone
    without = pilot.fields_for_width(alone, half)
    needed = min((fields for fields in (pilot.fields_for_width(found, half), without) if fields), default=None)
    return {
        **_bounds(said),
        "value": found.value,
        "fields": needed,
        "fields_alone": without,
        **_cost(given, needed),
        "refused": None,
    }


def _bounds(said):
    found, alone = said.with_control, said.alone
    return {"low": found.low, "high": found.high, "alone_low": alone.low, "alone_high": alone.high}


def _pair(given, row, other, power):
    said = _estimate(given, {row: 1.0, other: -1.0})
    if said.refused:
        return {"refused": said.refused}
    found = said.with_control
    deviation = float((influence(given.scores[row]) - influence(given.scores[other])).std())
    sure = 0.0 if found.low <= 0 <= found.high else min(abs(found.low), abs(found.high))
    needed, fewest, most = (
        pilot.fields_for_power(size, deviation, power) for size in (found.value, max(abs(found.low), abs(found.high)), sure)
    )
    return {
        **_bounds(said),
        "difference": found.value,
        "smallest": smallest_difference(deviation / given.annotated**0.5, given.annotated),
        "fields": needed,
        "fields_low": fewest,
        "fields_high": most,
        **_cost(given, needed),
        "refused": None,
    }


def _cost(given, needed):
    more = None if needed is None else max(needed - given.annotated, 0)
    return {"more": more, "nuclei": None if more is None else round(more * given.nuclei.mean())}


def _next(dataset, given, count):
    there = np.arange(len(given.names)) < given.annotated
    may = np.array([name in dataset.unannotated for name in given.names])
    chosen = pilot.next_fields(given.agreement, there, may, count)
    return pd.DataFrame({"field": [given.names[at] for at in chosen], "nuclei": given.nuclei[chosen].round().astype(int)})


# ---- what is written


def write(found: Budget, out: Path) -> None:
    """Write budget.md and budget.json into a folder."""
    make_folder(out)
    (out / "budget.md").write_text(markdown(found) + "\n", encoding="utf-8")
    (out / "budget.json").write_text(json.dumps(as_json(found), indent=1), encoding="utf-8")


def as_json(found: Budget) -> dict:
    """Ready for JSON, which has no NaN: null."""
    tables = {
        name: table.astype(object).where(table.notna(), None).to_dict("records")
        for name, table in (("rows", found.rows), ("pairs", found.pairs), ("next", found.next))
    }
    return found._asdict() | tables


def markdown(found: Budget) -> str:
    """Everything, as a page."""
    tables = [to_markdown(table, WORDS) for table in (rows(found), pairs(found)) if len(table)]
    return "\n\n".join([f"## {title(found.metric)}", said(found), *tables, *to_do(found)])


def said(found: Budget) -> str:
    """What the numbers come from."""
    control = f", {found.others} without that serve as control" if found.others else ", none without: no control variate"
    return f"{title(found.metric)}, from {found.annotated} annotated fields{control}. Intervals: 95 %."


def rows(found: Budget) -> pd.DataFrame:
    """Of each row its score, and what its interval needs; as text."""
    return pd.DataFrame([_row_text(line) for line in found.rows.to_dict("records")])


def _row_text(line):
    if isinstance(line["refused"], str):
        return {"row": line["row"], **dict.fromkeys(SCORES, NONE), "why not": line["refused"]}
    return {
        "row": line["row"],
        "value": number(line["value"]),
        "95 %": bounds(line["low"], line["high"]),
        "without control": bounds(line["alone_low"], line["alone_high"]),
        "fields needed": _count(line["fields"]),
        "without control ": _count(line["fields_alone"]),
        "more": _count(line["more"]),
        "nuclei to draw": _count(line["nuclei"]),
        "why not": "",
    }


def pairs(found: Budget) -> pd.DataFrame:
    """Of every two rows their difference, and what its test needs; as text."""
    return pd.DataFrame([_pair_text(line) for line in found.pairs.to_dict("records")])


def _pair_text(line):
    two = {"row": line["row"], "other": line["other"]}
    if isinstance(line["refused"], str):
        return two | dict.fromkeys(DIFFERENCES, NONE) | {"why not": line["refused"]}
    return two | {
        "difference": signed(line["difference"]),
        "95 %": bounds(line["low"], line["high"], sign=True),
        "could show": number(line["smallest"]),
        "fields needed": _count(line["fields"]),
        "between": f"{_count(line['fields_low'])} and {_count(line['fields_high'])}",
        "more": _count(line["more"]),
        "nuclei to draw": _count(line["nuclei"]),
        "why not": "",
    }


def _count(value):
    return f"over {pilot.MOST}" if pd.isna(value) else str(value)


def to_do(found: Budget) -> list[str]:
    """Which fields to look at and to annotate next, in words."""
    fields = ", ".join(f"{code(line.field)} (about {line.nuclei} nuclei)" for line in found.next.itertuples())
    lines = [f"Annotate next: {fields}." if fields else "No field without annotation is left to choose from."]
    if found.narrow:
        lines.append(
            f"Read differences from {', '.join(map(code, found.narrow))} as too narrow: a network may fail on a field as no "
            f"other row does, and few pilots of {NARROW} fields or fewer hold that field. In simulations 88 % of such intervals "
            "held the truth at worst."
        )
    if found.apart:
        lines.append(
            "The sources hardly agree on these fields, as on blank or blurred ones; look at them, the numbers are without them: "
            f"{', '.join(map(code, found.apart))}."
        )
    return lines
