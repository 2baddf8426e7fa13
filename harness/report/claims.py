"""The paper's conclusions, each checked against the runs at hand.

Rows are recognised by what they are (method and labels), not by their names, so a registry of one's own is checked too.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.experiment.results import METRICS
from harness.report.statistics import interval, paired_test
from harness.report.tables import learned_from

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
    "p",
    "fields",
    "published",
    "verdict",
    "why",
)
ALPHA = 0.05
GREAT_MARGIN = 0.05
SHAPE_INTENSITY = "cellprofiler:shape/intensity"


class Evidence(NamedTuple):
    """What the claims are checked with.

    Attributes
    ----------
    results : dict of str to RowResults
    boot : dict of (str, str) to ndarray
        `tables.resampled`.
    fields : DataFrame
        Score of each field: index (row, field), one column per metric, means over seeds.
    published : dict of (str, str) to float
        Row and metric to the published value.
    """

    results: dict
    boot: dict
    fields: pd.DataFrame
    published: dict


def check(evidence):
    """Check every claim that the registry's rows allow.

    Returns
    -------
    DataFrame
        claim, metric, better, worse (rows), value_better, value_worse, difference, low, high (95 % bootstrap), p
        (Wilcoxon over fields), fields, published (difference of the published values), verdict ("holds", "does not
        hold", "cannot be told"), why.
    """
    lines = _learning_improves(evidence) + _shape_intensity_is_best(evidence)
    lines += _consensus_is_worse(evidence) + _close_to_manual(evidence)
    return pd.DataFrame(lines, columns=COLUMNS)


def _learning_improves(evidence):
    claim = "A network trained on classical labels is better than these labels"
    return [
        _compare(evidence, claim, metric, network, classical)
        for network, classical in learned_from(evidence.results, done=False)
        for metric in METRICS
    ]


def _shape_intensity_is_best(evidence):
    """Of Table 2: against the best of the other classical rows."""
    best, others = _rows(evidence, "classical", SHAPE_INTENSITY), _others(evidence, "classical", SHAPE_INTENSITY)
    claim = f"Shape/Intensity is the best configuration by a great margin (at least {GREAT_MARGIN})"
    lines = []
    for metric in ("jaccard", "jaccard_equal") if best and others else ():
        done = [row for row in others if (row, metric) in evidence.boot]
        missing = [row for row in others if row not in done]
        second = max(done, key=lambda row: evidence.boot[row, metric][0]) if done else others[0]
        line = _compare(evidence, claim, metric, best[0], second, GREAT_MARGIN)
        if missing and line["verdict"] == "holds":
            line |= {"verdict": "cannot be told", "why": f"no scores of {', '.join(missing)}"}
        lines.append(line)
    return lines


def _consensus_is_worse(evidence):
    alone, consensus = _rows(evidence, "network", SHAPE_INTENSITY), _rows(evidence, "network", "consensus")
    claim = "Training on the consensus is worse than training on Shape/Intensity alone"
    return [_compare(evidence, claim, metric, alone[0], consensus[0]) for metric in (METRICS if alone and consensus else ())]


def _close_to_manual(evidence):
    """Not far behind: the network has closed more than half of the gap between its labels and manual labels."""
    manual = _rows(evidence, "network", "manual")
    claim = "Automatic labels are not far behind manual ones (training closes over half of the gap)"
    return [
        _gap(evidence, claim, metric, network, classical, manual[0])
        for network, classical in learned_from(evidence.results, done=False)
        for metric in METRICS
        if manual
    ]


def _gap(evidence, claim, metric, network, classical, manual):
    line = _compare(evidence, claim, metric, network, manual)
    if any((row, metric) not in evidence.boot for row in (network, classical, manual)):
        return line
    learned, given, ideal = (evidence.boot[row, metric] for row in (network, classical, manual))
    closed = interval(learned - given - (ideal - learned))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = interval((learned - given) / (ideal - given))
    verdict = "holds" if closed.low > 0 else "does not hold" if closed.high < 0 else "cannot be told"
    why = f"{share.value:.0%} of the gap closed ({share.low:.0%} to {share.high:.0%})".replace("-", "−")
    return line | {"verdict": verdict, "why": why}


def _compare(evidence, claim, metric, better, worse, margin=0.0):
    """Is `better` better than `worse`, by at least `margin`? One line of `check`."""
    published = [evidence.published.get((row, metric), np.nan) for row in (better, worse)]
    line = {"claim": claim, "metric": metric, "better": better, "worse": worse, "published": published[0] - published[1]}
    missing = [row for row in (better, worse) if (row, metric) not in evidence.boot]
    if missing:
        return line | {"verdict": "cannot be told", "why": f"no score of {', '.join(missing)}"}
    one, other = evidence.boot[better, metric], evidence.boot[worse, metric]
    difference = interval(one - other)
    p, fields = paired_test(evidence.fields.loc[better, metric], evidence.fields.loc[worse, metric])
    verdict, why = _verdict(difference, p, margin)
    return line | {
        "value_better": one[0],
        "value_worse": other[0],
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "p": p,
        "fields": fields,
        "verdict": verdict,
        "why": why,
    }


def _verdict(difference, p, margin):
    """Interval and test must agree that there is a difference; then its sign, and its size as far as it is known."""
    if not (p < ALPHA and (difference.low > 0 or difference.high < 0)):
        return "cannot be told", "the fields do not settle whether there is a difference"
    if difference.high < 0:
        return "does not hold", "the difference has the other sign"
    if difference.high < margin:
        return "does not hold", f"better, but by less than {margin}"
    if difference.low < margin:
        return "cannot be told", f"better, but the fields do not settle whether by {margin}"
    return "holds", ""


def _rows(evidence, method, labels):
    return [name for name, result in evidence.results.items() if (result.row.method, result.row.labels) == (method, labels)]


def _others(evidence, method, labels):
    return [name for name, result in evidence.results.items() if result.row.method == method and result.row.labels != labels]
