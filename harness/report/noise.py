"""What labels that were made worse on purpose cost a network, and whether ignoring what is wrong gives some of it back.

Rows are recognised by what they are: the last refinement of one is noise, and another row is the same without that step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from harness.experiment.registry import Row
from harness.experiment.results import RowResults
from harness.report.claims import ALPHA, UNSURE
from harness.report.statistics import NOTHING, holm, interval, p_value
from harness.report.tables import Boot, Results
from harness.sources.noise import KEPT, ORACLE, REALISTIC, Noise
from harness.sources.steps import Step

METRICS = ("dice_nuclei", "dice_separations", "jaccard_equal", "f1_90")
MASKS = {ORACLE: "what is wrong", REALISTIC: "as many others, too"}
IGNORE, KEEP = "ignore", "keep"
NEVER = "never in the range tried"
COLUMNS = (
    "kind",
    "unit",
    "level",
    "mask",
    "metric",
    "row_clean",
    "row_kept",
    "row_ignored",
    *(f"{name}{end}" for name in ("clean", "kept", "ignored", "gain") for end in ("", "_low", "_high")),
    "p",
    "p_holm",
    "verdict",
)


@dataclass(frozen=True)
class _Spoilt:
    """A row that learned from labels with noise: all of it but the noise, and the noise."""

    name: str
    clean: Row
    step: Noise


def doses(results: Results, boot: Boot) -> pd.DataFrame:
    """Each noise at each level, kept and ignored, against the same row without it.

    Parameters
    ----------
    results : dict of str to RowResults
    boot : dict of (str, str) to ndarray
        See `harness.report.tables.resampled`.

    Returns
    -------
    DataFrame
        A line per kind, level, mask and metric of `METRICS`, sorted by kind and level: kind (outlines by their direction), unit
        ("share of nuclei" or "px"), level, mask (what is ignored), row_clean, row_kept and row_ignored; clean (value without
        noise), kept and ignored (differences from it), gain (ignored minus kept), each with the bounds of its 95 % interval;
        p (two-sided, of no gain), p_holm (corrected for the lines of a metric) and verdict: "ignore" or "keep" where that
        settles which is better, else "cannot be told". Empty where no row has noise, or the one without is not done.
    """
    done = [result for result in results.values() if result.runs]
    lines = [line | {"metric": metric} | _measured(line, metric, boot) for line in _crossed(done) for metric in METRICS]
    frame = pd.DataFrame(lines, columns=COLUMNS).sort_values(["kind", "level"], kind="stable", ignore_index=True)
    frame["p_holm"] = frame.groupby("metric")["p"].transform(holm)
    frame["verdict"] = [_verdict(line) for line in frame.itertuples()]
    return frame


def _crossed(done: list[RowResults]) -> Iterator[dict]:
    """What to compare: the rows with some noise that is kept, with each mask that there is, and the row without."""
    plain = {_without_title(result.row): result.name for result in done}
    spoilt = [found for result in done if (found := _spoilt(result))]
    names = {(_without_title(each.clean), each.step): each.name for each in spoilt}
    for each in spoilt:
        clean, kept = _without_title(each.clean), replace(each.step, mask=KEPT)
        if clean in plain and each.step.mask != KEPT and (clean, kept) in names:
            rows = {"row_clean": plain[clean], "row_kept": names[clean, kept], "row_ignored": each.name}
            yield {**_told(each.step), "mask": MASKS[each.step.mask], **rows}


def _spoilt(result: RowResults) -> _Spoilt | None:
    row, steps = result.row, _steps(result.row)
    if row.method != "network" or row.refine_prediction or not steps or not isinstance(steps[-1], Noise):
        return None
    return _Spoilt(result.name, row.model_copy(update={"refine": row.refine[:-1]}), steps[-1])


def is_spoilt(row: Row) -> bool:
    """Whether a row learns from labels that were made worse on purpose: its scores count, its pictures would be dozens."""
    return any(isinstance(step, Noise) for step in _steps(row))


def _steps(row: Row) -> Sequence[Step]:
    return getattr(row.source, "steps", ())


def _without_title(row: Row) -> str:
    return row.model_copy(update={"title": ""}).model_dump_json()


def _told(step: Noise) -> dict:
    """Kind, unit and level of a noise in words; its level is what it is measured in, an offset where it has one."""
    kind = step.name.removeprefix("noise-")
    by = getattr(step, "by", None)
    if by is None:
        return {"kind": kind, "unit": "share of nuclei", "level": step.share}
    side = "" if kind != "outline" else " outwards" if by > 0 else " inwards"
    return {"kind": f"{kind}{side}", "unit": "px", "level": abs(by)}


def _measured(line: dict, metric: str, boot: Boot) -> dict:
    clean, kept, ignored = (boot.get((line[f"row_{name}"], metric), NOTHING) for name in ("clean", "kept", "ignored"))
    quantities = {"clean": clean, "kept": kept - clean, "ignored": ignored - clean, "gain": ignored - kept}
    found = {name: interval(values) for name, values in quantities.items()}
    flat = {name: each.value for name, each in found.items()}
    flat |= {f"{name}_{end}": getattr(each, end) for name, each in found.items() for end in ("low", "high")}
    return flat | {"p": p_value(quantities["gain"])}


def _verdict(line) -> str:
    return UNSURE if not line.p_holm < ALPHA else IGNORE if line.gain > 0 else KEEP


def pays_from(lines: pd.DataFrame) -> str:
    """From which level on ignoring is better, by the lines of one kind, mask and metric: at that level and at all above it.

    Examples
    --------
    >>> pays_from(pd.DataFrame({"level": [0.1, 0.2, 0.4], "verdict": ["keep", "ignore", "ignore"]}))
    'from 0.2 on'
    """
    falling = lines.sort_values("level", ascending=False)
    good = falling["level"][(falling["verdict"] == IGNORE).cummin()]
    return f"from {good.iloc[-1]:g} on" if len(good) else NEVER
