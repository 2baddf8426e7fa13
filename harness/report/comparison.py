"""Rows compared two by two on the same test fields: which can be told apart, and what these fields could show at all."""

from collections.abc import Iterable, Mapping
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from harness.report.statistics import LEVEL, Interval, bootstrap, holm, interval
from harness.scoring.names import METRICS

ALPHA, POWER = 0.05, 0.8
EXACT = 13  # fields that differ, up to which every exchange of the two rows is counted
SWAPS = 9999  # random ones beyond
PER_FIELD = "_fields"  # after a metric's name: its mean over fields


class Comparison(NamedTuple):
    """Rows compared by one metric.

    Attributes
    ----------
    metric : str
    fields : int
        On which all of them are scored.
    ranking : DataFrame
        row, value, low, high, seeds, rank (from 1, the best first), groups: letters; rows that share one cannot be told apart.
    pairs : DataFrame
        better, worse, difference (better minus worse), low, high, p, p_holm, effect, favours, smallest, told_apart. See
        docs/afternoon.md.
    """

    metric: str
    fields: int
    ranking: pd.DataFrame
    pairs: pd.DataFrame


def compare(metric: str, terms: Mapping[str, pd.DataFrame]) -> Comparison:
    """Compare rows by a metric.

    Parameters
    ----------
    metric : str
        A name in `harness.scoring.names.METRICS`, perhaps with `PER_FIELD`.
    terms : mapping of str to DataFrame
        Of each row: columns `above` and `below`, index seed and field; see `harness.scoring.pooling.terms`.

    Returns
    -------
    Comparison
        The interval of a difference is of the hierarchical bootstrap over seeds and fields, p of `swap_test`.
    """
    shared = _on_shared_fields(terms)
    boot = {row: bootstrap(table) for row, table in shared.items()}
    order = sorted(boot, key=lambda row: rank(metric, boot[row][0]), reverse=True)
    pairs = pd.DataFrame([_pair(better, worse, shared, boot) for better, worse in combinations(order, 2)])
    pairs["p_holm"] = holm(pairs["p"].tolist())
    pairs["told_apart"] = (pairs["p_holm"] < ALPHA) & ((pairs["low"] > 0) | (pairs["high"] < 0))
    letters = groups(order, pairs.loc[pairs["told_apart"], ["better", "worse"]].itertuples(index=False))
    ranking = [
        {"rank": place, "row": row, **interval(boot[row])._asdict(), "seeds": _seeds(shared[row]), "groups": letters[row]}
        for place, row in enumerate(order, start=1)
    ]
    return Comparison(metric, _fields(shared[order[0]]), pd.DataFrame(ranking), pairs)


def rank(metric: str, value: float) -> float:
    """Larger is better."""
    return -value if METRICS[metric.removesuffix(PER_FIELD)].best == "lowest" else value


def title(metric: str) -> str:
    """What people read of a metric."""
    base = metric.removesuffix(PER_FIELD)
    return METRICS[base].plain + (", mean over fields" if base != metric else "")


def _on_shared_fields(terms):
    kept = set.intersection(*(set(table.index.get_level_values("field")) for table in terms.values()))
    return {row: table[table.index.get_level_values("field").isin(kept)] for row, table in terms.items()}


def _seeds(table):
    return table.index.get_level_values("seed").nunique()


def _fields(table):
    return table.index.get_level_values("field").nunique()


def _pair(better, worse, terms, boot):
    one, other = (mean_over_seeds(terms[row]) for row in (better, worse))
    resampled = boot[better] - boot[worse]
    apart = influence(one) - influence(other)
    found: Interval = interval(resampled)
    return {
        "better": better,
        "worse": worse,
        "difference": found.value,
        "low": found.low,
        "high": found.high,
        "p": swap_test(one, other),
        "effect": found.value / apart.std() if apart.std() > 0 else np.nan,
        "favours": float((apart + found.value > 0).mean()),
        "smallest": smallest_difference(np.nanstd(resampled[1:]), len(apart)),
    }


def mean_over_seeds(terms: pd.DataFrame) -> pd.DataFrame:
    """`above` and `below` of each field, sorted by field."""
    return terms.groupby(level="field").mean()


def influence(terms: pd.DataFrame) -> pd.Series:
    """How far each field moves a pooled value (its delta-method expansion); with the value added, the scores of the fields."""
    ratio = terms["above"].sum() / terms["below"].sum()
    return (terms["above"] - ratio * terms["below"]) / terms["below"].mean()


def swap_test(one: pd.DataFrame, other: pd.DataFrame, swaps: int = SWAPS) -> float:
    """Permutation test of two rows: p of a difference at least as large if their scores were exchanged field by field.

    Parameters
    ----------
    one, other : DataFrame
        `above` and `below` of the same fields.
    swaps : int
        Random exchanges, where there are too many to count.

    Returns
    -------
    float
        Two-sided; exact where at most `EXACT` fields differ, else from the random exchanges and the one that happened.
        It takes the trained networks as they are.
    """
    ours, theirs = (table[["above", "below"]].to_numpy(float) for table in (one, other))
    differ = (ours != theirs).any(axis=1)
    swapped = _swaps(int(differ.sum()), swaps)
    change = swapped @ (theirs - ours)[differ]
    first, second = ours.sum(axis=0) + change, theirs.sum(axis=0) - change
    found = np.abs(first[:, 0] / first[:, 1] - second[:, 0] / second[:, 1])
    return float((found >= found[0] * (1 - 1e-9)).mean())


def _swaps(count, swaps):
    """Which fields are exchanged: none in the first line, then every other way or random ones."""
    if count <= EXACT:
        return np.array(list(product((0.0, 1.0), repeat=count)))
    drawn = np.random.default_rng(0).integers(0, 2, (swaps, count)).astype(float)
    return np.vstack([np.zeros(count), drawn])


def smallest_difference(error: float, fields: int) -> float:
    """The smallest true difference that a two-sided test at level `ALPHA` would find with probability `POWER`.

    Parameters
    ----------
    error : float
        Standard error of the difference.
    fields : int
    """
    return float(error * (stats.t.ppf((1 + LEVEL) / 2, fields - 1) + stats.t.ppf(POWER, fields - 1)))


def groups(rows: list[str], told_apart: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Letters for rows: two rows share one just when they cannot be told apart (Piepho 2004, J Comput Graph Stat 13:456).

    Parameters
    ----------
    rows : list of str
        In their order, the best first; the first letter goes to the first row.
    told_apart : iterable of (str, str)

    Examples
    --------
    >>> groups(["one", "two", "three"], [("one", "three")])
    {'one': 'a', 'two': 'ab', 'three': 'b'}
    """
    sets = [frozenset(rows)]
    for pair in told_apart:
        split = [part for each in sets for part in ([each - {row} for row in pair] if set(pair) <= each else [each])]
        sets = [each for each in dict.fromkeys(split) if not any(each < other for other in split)]
    sets.sort(key=lambda each: sorted(map(rows.index, each)))
    return {row: "".join(letter for letter, each in zip(_letters(), sets, strict=False) if row in each) for row in rows}


def _letters():
    yield from map(chr, range(ord("a"), ord("z") + 1))
    yield from (f"({number})" for number in range(27, 1000))
