"""The paper's conclusions, each checked against the runs at hand, and by the same criterion against the paper's own numbers.

Rows are recognised by what they are (method and labels), not by their names, so a registry of one's own is checked too.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from harness.core.markdown import percent
from harness.experiment.results import RowResults
from harness.report.statistics import holm, interval, p_value
from harness.report.tables import learned_from
from harness.scoring.names import TABLES

COLUMNS = (
    "claim",
    "metric",
    "better",
    "worse",
    "value_better",
    "value_worse",
    "difference",
    "low",
    "high",
    "criterion",
    "criterion_low",
    "criterion_high",
    "p",
    "p_holm",
    "verdict",
    "why",
    "published",
    "published_verdict",
    "published_why",
)
ALPHA = 0.05
GREAT_MARGIN = 0.05
SHAPE_INTENSITY = "cellprofiler:shape/intensity"
HOLDS, FAILS, UNSURE = "holds", "does not hold", "cannot be told"

IMPROVES = "A network trained on classical labels is better than these labels"
BEST = f"Shape/Intensity is the best configuration by a great margin (at least {GREAT_MARGIN})"
CONSENSUS = "Training on the consensus is worse than training on Shape/Intensity alone"
CLOSE = "Automatic labels are not far behind manual ones (training closes over half of the gap)"


class Evidence(NamedTuple):
    """What the claims are checked with.

    Attributes
    ----------
    results : dict of str to RowResults
    boot : dict of (str, str) to ndarray
        `harness.report.tables.resampled`: values of a row and metric on resamples.
    published : dict of (str, str) to float
        Row and metric to the published value.
    """

    results: dict[str, RowResults]
    boot: dict[tuple[str, str], np.ndarray]
    published: dict[tuple[str, str], float]


class Question(NamedTuple):
    """One line of the check: a quantity of some rows' values of a metric that is above 0 where the claim holds."""

    claim: str
    metric: str
    rows: tuple[str, ...]  # the one that is claimed to be better, the one it is compared with, and others the quantity needs
    quantity: Callable[..., Any]
    said: Callable[..., str] = lambda *_: ""  # of the values, in words
    unseen: tuple[str, ...] = ()  # rows that would have to be compared, too, and are not done
    printed: tuple[str, ...] = ()  # the rows of the paper's own numbers, where they are others


def check(evidence: Evidence) -> pd.DataFrame:
    """Check every claim that the registry's rows allow.

    Returns
    -------
    DataFrame
        claim, metric, better, worse (rows), value_better, value_worse, difference, low, high (95 % bootstrap), criterion
        (the quantity that has to be above 0), criterion_low, criterion_high, p (of its being 0), p_holm (corrected for the
        number of lines), verdict ("holds", "does not hold", "cannot be told"), why; published (difference of the published
        values), published_verdict and published_why (the criterion on these values alone, which tell nothing of chance).
    """
    questions = [*_learning_improves(evidence), *_shape_intensity_is_best(evidence)]
    questions += [*_consensus_is_worse(evidence), *_close_to_manual(evidence)]
    lines = [_measured(question, evidence) | _printed(question, evidence) for question in questions]
    for line, p in zip(lines, holm([line.get("p", np.nan) for line in lines]), strict=True):
        line["p_holm"] = p
    for line, question in zip(lines, questions, strict=True):
        line["verdict"], line["why"] = _verdict(line, question, evidence)
    return pd.DataFrame(lines, columns=COLUMNS)


# ---- the questions


def _learning_improves(evidence):
    for network, classical in learned_from(evidence.results, done=False):
        for metric in TABLES:
            yield Question(IMPROVES, metric, (network, classical), np.subtract)


def _shape_intensity_is_best(evidence):
    """Of Table 2: against the best of the other classical rows, here and in the paper."""
    best, others = _rows(evidence, "classical", SHAPE_INTENSITY), _other_configurations(evidence)
    for metric in ("jaccard", "jaccard_equal") if best and others else ():
        done = [row for row in others if (row, metric) in evidence.boot]
        second = max(done, key=lambda row: evidence.boot[row, metric][0]) if done else others[0]
        unseen = tuple(row for row in others if row not in done)
        theirs = max(others, key=lambda row: evidence.published.get((row, metric), -np.inf))
        yield Question(BEST, metric, (best[0], second), _beyond_margin, unseen=unseen, printed=(best[0], theirs))


def _beyond_margin(one, other):
    return one - other - GREAT_MARGIN


def _consensus_is_worse(evidence):
    for alone in _rows(evidence, "network", SHAPE_INTENSITY):
        for consensus in _trained_like(evidence, alone, "consensus")[:1]:
            for metric in TABLES:
                yield Question(CONSENSUS, metric, (alone, consensus), np.subtract)


def _close_to_manual(evidence):
    """Not far behind: the network has closed more than half of the gap between its labels and manual labels."""
    for network, classical in learned_from(evidence.results, done=False):
        for manual in _trained_like(evidence, network, "manual")[:1]:
            for metric in TABLES:
                yield Question(CLOSE, metric, (network, manual, classical), _closed_and_left, _share)


def _closed_and_left(learned, ideal, given):
    return (learned - given) - (ideal - learned)


def _share(learned, ideal, given):
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.true_divide(learned - given, ideal - given)
    if np.ndim(share) == 0:
        return f"{percent(float(share))} of the gap"
    value, low, high = map(percent, interval(share))
    return f"{value} of the gap closed ({low} to {high})"


# ---- the answers


def _measured(question, evidence):
    values = [evidence.boot.get((row, question.metric)) for row in question.rows]
    line = {"claim": question.claim, "metric": question.metric, "better": question.rows[0], "worse": question.rows[1]}
    for name, value in zip(("value_better", "value_worse"), values, strict=False):
        line[name] = np.nan if value is None else value[0]
    if values[0] is not None and values[1] is not None:
        line |= interval(values[0] - values[1])._asdict()
        line["difference"] = line.pop("value")
    if all(value is not None for value in values):
        criterion = question.quantity(*values)
        line |= dict(zip(("criterion", "criterion_low", "criterion_high"), interval(criterion), strict=True))
        line["p"] = p_value(criterion)
    return line


def _printed(question, evidence):
    rows = question.printed or question.rows
    values, against = [evidence.published.get((row, question.metric), np.nan) for row in rows], rows[1]
    criterion = question.quantity(*values)
    if np.isnan(criterion):
        return {"published": values[0] - values[1]}
    return {
        "published": values[0] - values[1],
        "published_verdict": HOLDS if criterion > 0 else FAILS,
        "published_why": question.said(*values) or (f"against {against}" if against != question.rows[1] else ""),
    }


def _verdict(line, question, evidence):
    """The corrected test says whether there is a difference from what is asked for; then its sign."""
    missing = [row for row in question.rows if (row, question.metric) not in evidence.boot]
    if missing:
        return UNSURE, f"no score of {', '.join(missing)}"
    said = question.said(*(evidence.boot[row, question.metric] for row in question.rows))
    if not line["p_holm"] < ALPHA:
        return UNSURE, said or "the data do not settle it"
    if line["criterion"] < 0:
        return FAILS, said or ("the difference has the other sign" if line["high"] < 0 else f"not better by {GREAT_MARGIN}")
    if question.unseen:
        return UNSURE, f"no scores of {', '.join(question.unseen)}"
    return HOLDS, said


def _rows(evidence, method, labels):
    """Rows of these labels as they are made, and of predictions as they are: refined ones are others."""
    rows = {name: result.row for name, result in evidence.results.items()}
    rows = {name: row for name, row in rows.items() if not row.refine and not row.refine_prediction}
    return [name for name, row in rows.items() if (row.method, row.labels) == (method, labels)]


def _other_configurations(evidence):
    labels = {result.row.labels for result in evidence.results.values()} - {SHAPE_INTENSITY}
    return [row for each in sorted(labels) if each.startswith("cellprofiler:") for row in _rows(evidence, "classical", each)]


def _trained_like(evidence, row, labels):
    """Network rows of some labels that differ from a row in nothing but these."""
    rows = {name: result.row for name, result in evidence.results.items()}
    return [
        name
        for name in _rows(evidence, "network", labels)
        if (rows[name].loss, rows[name].network) == (rows[row].loss, rows[row].network)
    ]
