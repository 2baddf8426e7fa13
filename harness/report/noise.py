"""What labels that were made worse on purpose cost a network, and what gives some of it back.

Rows are recognised by what they are: the last refinement of one is noise that is kept, another row is the same without that step,
and a third is the first with one remedy: what is wrong ignored, the linear loss, a band along outlines ignored.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.experiment.registry import Row
from harness.experiment.results import RowResults
from harness.report.claims import ALPHA, UNSURE
from harness.report.statistics import NOTHING, holm, interval, p_value
from harness.report.tables import Boot, Results
from harness.sources.noise import KEPT, ORACLE, REALISTIC, Noise
from harness.sources.refinements import IgnoreOutlines
from harness.sources.steps import Step

METRICS = ("dice_nuclei", "dice_separations", "jaccard_equal", "f1_90")
MASKS = {ORACLE: "what is wrong ignored", REALISTIC: "as many others ignored, too"}
LINEAR, BAND = "linear loss", "outlines ignored"
HELPS, HARMS = "helps", "harms"
NO_NOISE = "none"
NEVER = "never in the range tried"
COLUMNS = (
    "kind",
    "unit",
    "level",
    "remedy",
    "metric",
    "row_clean",
    "row_kept",
    "row_remedied",
    "seeds",
    *(f"{name}{end}" for name in ("clean", "kept", "remedied", "gain") for end in ("", "_low", "_high")),
    "p",
    "p_holm",
    "verdict",
)


class _Learner(NamedTuple):
    """What a network learns from, and by which loss; `rest` is all else of its row but the title."""

    rest: str
    loss: str
    steps: tuple[Step, ...]


def doses(results: Results, of_seeds: Callable[[str, frozenset[int]], Boot]) -> pd.DataFrame:
    """Each noise at each level, kept and with a remedy, against the same row without it.

    Parameters
    ----------
    results : dict of str to RowResults
    of_seeds : callable
        From a row and seeds to the row's values over these alone, see `harness.report.tables.of_seeds`: a seed whose training
        has failed in one of the rows that are compared counts for none of them.

    Returns
    -------
    DataFrame
        A line per kind, level, remedy and metric of `METRICS`, sorted by kind and level: kind (outlines by direction; "none"
        where the remedy is tried on labels without noise), unit ("share of nuclei" or "px"), level, remedy, row_clean, row_kept
        and row_remedied; seeds (how many all three have); clean (value without noise), kept and remedied (differences from it),
        gain (remedied minus kept), each with the bounds of its 95 % interval; p (two-sided, of no gain), p_holm (corrected for
        the lines of a metric) and verdict: "helps" or "harms" where that settles it, else "cannot be told". Empty where no row
        has noise, or the one without is
        not done.
    """
    done = [result for result in results.values() if result.runs]
    lines = [each for line in _crossed(done) for each in _of_metrics(line, results, of_seeds)]
    if all(line["kind"] == NO_NOISE for line in lines):
        lines = []
    frame = pd.DataFrame(lines, columns=COLUMNS).sort_values(["kind", "level"], kind="stable", ignore_index=True)
    frame["p_holm"] = frame.groupby("metric")["p"].transform(holm)
    frame["verdict"] = [_verdict(line) for line in frame.itertuples()]
    return frame


def _crossed(done: list[RowResults]) -> Iterator[dict]:
    """What to compare: a row with a remedy, the same without it, and the same without its noise."""
    names = {_learner(result.row): result.name for result in done if _learns(result.row)}
    for learner, name in names.items():
        for remedy, kept in _without_remedy(learner):
            noise = last if isinstance(last := _last(kept), Noise) else None
            clean = kept._replace(steps=kept.steps[:-1]) if noise else kept
            if kept in names and clean in names and (not noise or noise.mask == KEPT):
                rows = {"row_clean": names[clean], "row_kept": names[kept], "row_remedied": name}
                yield {**_told(noise), "remedy": remedy, **rows}


def _learns(row: Row) -> bool:
    return row.method == "network" and not row.refine_prediction


def _learner(row: Row) -> _Learner:
    rest = row.model_copy(update={"title": "", "loss": "log-dice", "refine": []})
    return _Learner(rest.model_dump_json(), row.loss, tuple(_steps(row)))


def _without_remedy(learner: _Learner) -> Iterator[tuple[str, _Learner]]:
    """Each remedy that a row has, and the row without that one."""
    before, last = learner.steps[:-1], _last(learner)
    if isinstance(last, Noise) and last.mask != KEPT:
        yield MASKS[last.mask], learner._replace(steps=(*before, replace(last, mask=KEPT)))
    if isinstance(last, IgnoreOutlines):
        yield BAND, learner._replace(steps=before)
    if learner.loss == "dice":
        yield LINEAR, learner._replace(loss="log-dice")


def _last(learner: _Learner) -> Step | None:
    return learner.steps[-1] if learner.steps else None


def is_spoilt(row: Row) -> bool:
    """Whether a row learns from labels that were made worse on purpose: its scores count, its pictures would be dozens."""
    return any(isinstance(step, Noise) for step in _steps(row))


def _steps(row: Row) -> Sequence[Step]:
    return getattr(row.source, "steps", ())


def _told(step: Noise | None) -> dict:
    """Kind, unit and level of a noise in words; its level is what it is measured in, an offset where it has one."""
    if not step:
        return {"kind": NO_NOISE, "unit": "", "level": 0}
    kind = step.name.removeprefix("noise-")
    by = getattr(step, "by", None)
    if by is None:
        return {"kind": kind, "unit": "share of nuclei", "level": step.share}
    side = "" if kind != "outline" else " outwards" if by > 0 else " inwards"
    return {"kind": f"{kind}{side}", "unit": "px", "level": abs(by)}


def _of_metrics(line: dict, results: Results, of_seeds: Callable[[str, frozenset[int]], Boot]) -> Iterator[dict]:
    rows = [line[f"row_{name}"] for name in ("clean", "kept", "remedied")]
    seeds = frozenset.intersection(*(results[row].seeds for row in rows))
    values = [of_seeds(row, seeds) for row in rows]
    for metric in METRICS:
        of_rows = (boot.get((row, metric), NOTHING) for row, boot in zip(rows, values, strict=True))
        yield line | {"metric": metric, "seeds": len(seeds)} | _measured(*of_rows)


def _measured(clean: np.ndarray, kept: np.ndarray, remedied: np.ndarray) -> dict:
    quantities = {"clean": clean, "kept": kept - clean, "remedied": remedied - clean, "gain": remedied - kept}
    found = {name: interval(values) for name, values in quantities.items()}
    flat = {name: each.value for name, each in found.items()}
    flat |= {f"{name}_{end}": getattr(each, end) for name, each in found.items() for end in ("low", "high")}
    return flat | {"p": p_value(quantities["gain"])}


def _verdict(line) -> str:
    return UNSURE if not line.p_holm < ALPHA else HELPS if line.gain > 0 else HARMS


def of_masks(lines: pd.DataFrame) -> pd.DataFrame:
    """Of some lines those whose remedy is a mask: what a figure can draw by level, since others are tried at one."""
    return lines[lines["remedy"].isin(MASKS.values())]


def helps_from(lines: pd.DataFrame) -> str:
    """From which level on a remedy helps, by the lines of one kind, remedy and metric: at that level and at all above it.

    Examples
    --------
    >>> helps_from(pd.DataFrame({"level": [0.1, 0.2, 0.4], "verdict": ["harms", "helps", "helps"]}))
    'from 0.2 on'
    """
    falling = lines.sort_values("level", ascending=False)
    good = falling["level"][(falling["verdict"] == HELPS).cummin()]
    return f"from {good.iloc[-1]:g} on" if len(good) else NEVER
