"""What stands for the annotation of a field before there is one: how far label sources agree, and which nuclei are in doubt.

A control variate: it makes estimates narrower and is no estimate itself, since sources can agree on what is wrong.
"""

from typing import Any

import numpy as np
import pandas as pd

from harness.experiment.evidence import Evidence
from harness.report.comparison import PER_FIELD
from harness.scoring.pilot import Part

# A metric, and what the agreement of sources is measured by to stand for it: see `harness.experiment.evidence.agreement`.
KINDS = {"f1_50": "f1_50", "f1_75": "f1_75", "f1_90": "f1_90", "jaccard": "equal", "jaccard_equal": "equal"}

Control = dict[str, list[Part]]  # of each label source, over some fields


def per_field(evidence: Evidence, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Agreement of all sources on each field, 1 where none sees a nucleus, and the mean number of nuclei they see."""
    sums = evidence.pairs.groupby("field")[["f1_50_above", "f1_50_below"]].sum().loc[names]
    agreement = (sums["f1_50_above"] / sums["f1_50_below"]).fillna(1)
    nuclei = evidence.pairs.groupby("field")["nuclei"].mean().loc[names] / 2
    return agreement.to_numpy(), nuclei.to_numpy()


def control(evidence: Evidence, metric: str, names: list[str]) -> Control:
    """Of each source: half its agreement with the others, half the share of its nuclei that are not in doubt."""
    pairs = evidence.pairs
    both = pd.concat([pairs, pairs.assign(row=pairs["other"])])
    kind = KINDS[metric.removesuffix(PER_FIELD)]
    agreed = both.groupby(["row", "field"])[[f"{kind}_above", f"{kind}_below"]].sum()
    own = evidence.nuclei[evidence.nuclei["kind"] == "label"]
    trusted = own.assign(above=1 - own["doubt"], below=1).groupby(["row", "field"])[["above", "below"]].sum()
    pooled = not metric.endswith(PER_FIELD)
    return {
        row: [_part(table.loc[row].reindex(names, fill_value=0).to_numpy(float), pooled, 0.5) for table in (agreed, trusted)]
        for row in agreed.index.unique("row")
    }


def _part(terms, pooled, weight):
    above, below = terms.T
    if pooled:
        return Part(above, below, weight)
    ratio = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return Part(np.where(below > 0, ratio, np.nanmean(ratio)), np.ones(len(above)), weight)


def of_row(made: Control, row: str, weight: float) -> list[Part]:
    """Control parts of a row; of one that is no label source, the mean over these."""
    if row in made:
        return _weighted(made[row], weight)
    return [part for parts in made.values() for part in _weighted(parts, weight / len(made))]


def _weighted(parts, weight):
    return [part._replace(weight=part.weight * weight) for part in parts]


def cut(parts: list[Part], where: Any) -> list[Part]:
    """The parts on some of the fields."""
    return [part._replace(above=part.above[where], below=part.below[where]) for part in parts]
