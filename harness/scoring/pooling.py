"""Metrics of a test set, pooled from what was stored of its tiles and fields."""

import numpy as np
import pandas as pd

from harness.scoring.metrics import IOU_THRESHOLDS, PROTOCOLS, Counts
from harness.scoring.objects import matched_at

_PERCENT = [round(100 * thresh) for thresh in IOU_THRESHOLDS]
F1, AP = ({thresh: f"{name}_{thresh}" for thresh in _PERCENT} for name in ("f1", "ap"))


def terms(per_tile: pd.DataFrame, per_field: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Every metric as a ratio of sums over fields: the terms that resampled fields are pooled from.

    Parameters
    ----------
    per_tile, per_field : DataFrame
        What `harness.scoring.evaluation.tables` gave, of one run, or of several with the columns row and seed.

    Returns
    -------
    dict of str to DataFrame
        Metric to a table with the columns `above` and `below` and the index field, or row, seed, field. A mean over tiles or
        fields is their sum and their number. Runs that did not store what a metric needs, or for which it is undefined
        everywhere, are left out of its table. `ap`, a mean over thresholds, is not a ratio: see `with_average_precision`.
    """
    return _tile_terms(per_tile) | field_terms(per_field)


def _tile_terms(per_tile):
    keyed, made = _by_field(per_tile), {}
    for name in ("nuclei", "separations"):
        dice = keyed[f"dice_{name}_twice_both"] / keyed[f"dice_{name}_sum"].replace(0, np.nan)
        made[f"dice_{name}"] = _defined(dice.groupby(level=keyed.index.names, sort=False).agg(above="sum", below="count"))
    return made


def field_terms(per_field: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The part of `terms` that comes from whole fields."""
    pairs = _pairs(_Columns(_by_field(per_field)))
    return {name: _defined(pd.DataFrame({"above": above, "below": below})) for name, (above, below) in pairs.items()}


def _by_field(table):
    return table.set_index([name for name in ("row", "seed", "field") if name in table])


class _Columns(dict):
    """Columns of a table by name; one that an earlier version did not store is undefined everywhere."""

    def __init__(self, table: pd.DataFrame):
        super().__init__({name: table[name] for name in table})
        self.nothing = pd.Series(np.nan, table.index)

    def __missing__(self, name):
        return self.nothing

    def counts(self, name: str) -> Counts:
        """The three columns of a name."""
        return Counts(*(self[f"{name}_{key}"] for key in Counts._fields))


def _defined(table):
    """Without the runs that have nothing to say."""
    runs = [name for name in table.index.names if name != "field"]
    enough = table["below"].groupby(level=runs).transform("sum") > 0 if runs else table["below"].sum() > 0
    return table[enough & table["below"].notna()]


def _pairs(columns):
    pairs = {}
    for metric, protocol in zip(("jaccard", "jaccard_equal"), PROTOCOLS, strict=True):
        total, touching = columns.counts(protocol), columns.counts(f"{protocol}_touching")
        pairs[metric] = _jaccard(total)
        pairs |= {f"{metric}_{kind}": _jaccard(counts) for kind, counts in _kinds(total, touching).items()}
    for thresh in _PERCENT:
        counts = Counts(columns[matched_at(thresh / 100)], columns["annotated"], columns["predicted"])
        pairs |= {F1[thresh]: _f1(counts), AP[thresh]: _jaccard(counts)}
    total = Counts(columns[matched_at(0.5)], columns["annotated"], columns["predicted"])
    pairs |= {f"f1_50_{kind}": _f1(counts) for kind, counts in _kinds(total, columns.counts("touching")).items()}
    error = columns["predicted"] - columns["annotated"]
    pairs |= {"pq": (2 * columns["iou_sum"], columns["predicted"] + columns["annotated"])}
    pairs |= {"area_bias": (columns["area_predicted"] - columns["area_annotated"], columns["area_annotated"])}
    means = {name: columns[name] for name in ("aji", "outline_offset", "nsd", "hd95")}
    means |= {"count_error": error, "count_error_absolute": error.abs()}
    return pairs | {name: (values.fillna(0), values.notna().astype(int)) for name, values in means.items()}


def _kinds(total, touching):
    return {"touching": touching, "isolated": Counts(*(all_ - some for all_, some in zip(total, touching, strict=True)))}


def _jaccard(counts):
    return counts.tp, counts.tp + counts.fp + counts.fn


def _f1(counts):
    return 2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn


def with_average_precision(values: dict) -> dict:
    """Values by metric, with `ap`: the mean of average precision over the thresholds."""
    each = [values[name] for name in AP.values() if name in values]
    return values | ({"ap": np.mean(each, axis=0)} if each else {})


def pooled(made: dict[str, pd.DataFrame]) -> dict[str, float]:
    """The value of each metric of one run, from its `terms`; those that are undefined are not there."""
    ratios = {name: float(table["above"].sum() / table["below"].sum()) for name, table in made.items() if len(table)}
    return with_average_precision(ratios)
