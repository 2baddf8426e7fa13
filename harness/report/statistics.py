"""How far the numbers of a report can be trusted: a bootstrap over fields and seeds, and tests from the same resamples."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0
BLOCK = 16  # seeds at once: hundreds would fill the memory
NOTHING = np.array([np.nan])  # the values of a metric that is not there


class Interval(NamedTuple):
    """A value between its bounds; NaN where it is not defined."""

    value: float
    low: float
    high: float


@lru_cache(maxsize=4)
def resampled_fields(count: int) -> np.ndarray:
    """How often each of `count` fields is drawn: (count, 1 + RESAMPLES), once each at first, then `count` draws with replacement.

    The same every time.
    """
    return _drawn(count, SEED)


@lru_cache(maxsize=4)
def resampled_seeds(count: int) -> np.ndarray:
    """The same for the seeds of a row, drawn independently of the fields."""
    return _drawn(count, [SEED, 1])


def _drawn(count, seed):
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.ascontiguousarray(np.vstack([np.ones((1, count), int), draws]).T.astype(float))


def bootstrap(terms: pd.DataFrame) -> np.ndarray:
    """Values of a pooled metric on resampled fields and seeds (a hierarchical bootstrap: Davison & Hinkley 1997, section 3.8).

    Parameters
    ----------
    terms : DataFrame
        Columns `above` and `below`, index seed and field; see `harness.scoring.pooling.terms`.

    Returns
    -------
    (1 + RESAMPLES,) float64 ndarray
        The mean over seeds of the ratio of sums over fields: first as they are, then on each resample of fields and of
        seeds (NaN for a single field, which tells nothing about others).
        Two rows scored on the same fields see the same resamples of these, and two rows of equally many seeds the same of
        those, as equal seeds share initial weights and the order of the tiles; so their values can be subtracted.
    """
    above, below = (
        terms[column].unstack("field", sort=False).sort_index(axis=1).to_numpy(float) for column in ("above", "below")
    )  # (S, F)
    seeds, count = above.shape
    drawn, weights = resampled_fields(count), resampled_seeds(seeds)
    values = np.zeros(1 + RESAMPLES)
    for some in (slice(at, at + BLOCK) for at in range(0, seeds, BLOCK)):
        with np.errstate(invalid="ignore", divide="ignore"):
            values += (above[some] @ drawn / (below[some] @ drawn) * weights[some]).sum(axis=0)
    values /= seeds
    return values if count > 1 else np.append(values[0], np.full(RESAMPLES, np.nan))


def interval(values: np.ndarray) -> Interval:
    """The value and the percentile interval of level `LEVEL` (Efron 1979) of what `bootstrap` gave."""
    tail = 50 * (1 - LEVEL)
    defined = _defined(values)
    low, high = np.percentile(defined, [tail, 100 - tail]) if len(defined) else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))


def p_value(values: np.ndarray) -> float:
    """Two-sided p of a difference being 0, from the resamples whose percentiles are its interval.

    Twice the share of resamples on the other side of 0: the level at which the interval just reaches it, so test and
    interval never disagree. NaN where nothing is defined.
    """
    defined = _defined(values)
    if not len(defined):
        return np.nan
    tail = min((defined <= 0).sum(), (defined >= 0).sum())
    return min(1.0, float(2 * (tail + 1) / (len(defined) + 1)))


def one_sided_bounds(values: np.ndarray) -> tuple[float, float]:
    """The lower and the upper bound of level `LEVEL`, each for itself: percentiles of what `bootstrap` gave."""
    defined = _defined(values)
    low, high = np.percentile(defined, [100 * (1 - LEVEL), 100 * LEVEL]) if len(defined) else (np.nan, np.nan)
    return float(low), float(high)


def one_sided_p(values: np.ndarray) -> float:
    """One-sided p of a quantity being 0 or less: the share of resamples that are, with what was seen as one more.

    NaN where nothing is defined.
    """
    defined = _defined(values)
    return float(((defined <= 0).sum() + 1) / (len(defined) + 1)) if len(defined) else np.nan


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm 1979); undefined ones stay so and are not counted.

    Examples
    --------
    >>> holm([0.03, 0.01, float("nan"), 0.02])
    [0.04, 0.03, nan, 0.04]
    """
    corrected, largest = [np.nan] * len(ps), 0.0
    order = sorted((p, at) for at, p in enumerate(ps) if not np.isnan(p))
    for rank, (p, at) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        corrected[at] = largest
    return corrected


def _defined(values):
    return values[1:][np.isfinite(values[1:])]
