"""How far the numbers of a report can be trusted: bootstrap intervals and paired tests over fields."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0
BLOCK = 16  # seeds at once: hundreds would fill the memory


class Interval(NamedTuple):
    """A value between its bounds; NaN where it is not defined."""

    value: float
    low: float
    high: float


@lru_cache(maxsize=4)
def resampled_fields(count):
    """How often each of `count` fields is drawn, `RESAMPLES` times `count` draws with replacement; same every time."""
    return np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float32)


def bootstrap(terms):
    """Values of a pooled metric on resampled fields.

    Parameters
    ----------
    terms : DataFrame
        Columns `above` and `below`, index seed and field; see `harness.experiment.results.ratios`.

    Returns
    -------
    (1 + RESAMPLES,) float64 ndarray
        The mean over seeds of the ratio of sums over fields: first on the fields as they are, then on each resample
        (NaN for a single field, which tells nothing about others).
        Two rows scored on the same fields see the same resamples, so their values can be subtracted.
    """
    above, below = (
        terms[column].unstack("field", sort=False).sort_index(axis=1).to_numpy(float) for column in ("above", "below")
    )
    drawn = np.vstack([np.ones(above.shape[1]), resampled_fields(above.shape[1])])  # float64 like what it multiplies
    blocks = range(0, len(above), BLOCK)
    with np.errstate(invalid="ignore"):
        values = sum((drawn @ above[at : at + BLOCK].T / (drawn @ below[at : at + BLOCK].T)).sum(axis=1) for at in blocks)
    values /= len(above)
    return values if above.shape[1] > 1 else np.append(values[0], np.full(RESAMPLES, np.nan))


def interval(values):
    """The value and the percentile interval of level `LEVEL` (Efron 1979) of what `bootstrap` gave."""
    tail = 50 * (1 - LEVEL)
    defined = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(defined, [tail, 100 - tail]) if len(defined) else (np.nan, np.nan)
    return Interval(float(values[0]), float(low), float(high))


def paired_test(one, other):
    """Wilcoxon's signed-rank test, two-sided, of the scores of two rows on the same fields.

    Parameters
    ----------
    one, other : Series
        Score of each field; fields where either is undefined are left out.

    Returns
    -------
    p : float
        1 where no field differs, NaN without any field.
    fields : int
        Number of fields compared.
    """
    difference = (one - other).dropna()
    if not len(difference):
        return np.nan, 0
    return (float(wilcoxon(difference).pvalue) if difference.any() else 1.0), len(difference)
