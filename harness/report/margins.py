"""Claims of a registry that one row is not worse than another, each by a margin that was stated beforehand."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.experiment.registry import Claim, Registry
from harness.report.claims import FAILS, HOLDS, UNSURE
from harness.report.statistics import one_sided_bounds, one_sided_p
from harness.report.tables import Boot

COLUMNS = (
    "claim",
    "row",
    "reference",
    "metric",
    "value",
    "value_reference",
    "difference",
    "margin",
    "low",
    "high",
    "p",
    "verdict",
    "why",
)


def check(registry: Registry, boot: Boot) -> pd.DataFrame:
    """Test non-inferiority, claim by claim and metric by metric.

    Parameters
    ----------
    registry : harness.experiment.registry.Registry
    boot : dict of (str, str) to ndarray
        See `harness.report.tables.resampled`.

    Returns
    -------
    DataFrame
        claim, row, reference, metric, value and value_reference (means over seeds), difference (row minus reference), margin,
        low and high (one-sided 95 % bounds of the difference, each for itself), p (one-sided, of the row being worse by the
        margin or more), verdict, why. It "holds" where low is above minus the margin, "does not hold" where high is below it,
        and otherwise "cannot be told".
    """
    lines = [_line(claim, metric, margin, boot) for claim in registry.claims.values() for metric, margin in claim.margins.items()]
    return pd.DataFrame(lines, columns=COLUMNS)


def together(lines: pd.DataFrame) -> str:
    """The verdict on a claim from those on all of its metrics: each has to hold, so none needs to be corrected for the others."""
    verdicts = set(lines["verdict"])
    return FAILS if FAILS in verdicts else UNSURE if UNSURE in verdicts else HOLDS


class _Answer(NamedTuple):
    verdict: str
    why: str = ""


def _line(claim: Claim, metric: str, margin: float, boot: Boot) -> dict:
    line = {"claim": claim.title, "row": claim.row, "reference": claim.reference, "metric": metric, "margin": margin}
    missing = [row for row in (claim.row, claim.reference) if (row, metric) not in boot]
    if missing:
        return line | _Answer(UNSURE, f"no score of {', '.join(missing)}")._asdict()
    ours, theirs = (boot[row, metric] for row in (claim.row, claim.reference))
    difference = ours - theirs
    low, high = one_sided_bounds(difference)
    found = {"value": ours[0], "value_reference": theirs[0], "difference": difference[0], "low": low, "high": high}
    return line | found | {"p": one_sided_p(difference + margin)} | _answer(margin, low, high)._asdict()


def _answer(margin: float, low: float, high: float) -> _Answer:
    if np.isnan(low):
        return _Answer(UNSURE, "one field tells nothing about others")
    if low > -margin:
        return _Answer(HOLDS)
    return _Answer(FAILS, "worse by more than the margin") if high < -margin else _Answer(UNSURE, "the data do not settle it")
