"""What a pilot of a few annotated fields says about all fields, with what is known of every field as control variate.

Prediction-powered inference (Angelopoulos et al. 2023, Science 382:669; the slope of Angelopoulos, Duchi & Zrnic 2023,
arXiv:2311.01453) for small pilots: the slope begins at 1 and gives way to the pilot's own, and the variance is that of the
delete-one jackknife, so that pooled scores, ratios of sums, need nothing of their own. docs/afternoon.md says how it was chosen.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

LEVEL, ALPHA = 0.95, 0.05
LEAST = 4  # annotated fields
LEAST_UNEQUAL = 40  # of pooled scores where fields hold very different numbers of nuclei
UNEQUAL = 0.5  # standard deviation over mean of the nuclei of a field
NEAR_CEILING = 0.8  # of a mean over fields: a few fields that failed decide it, and most pilots hold none of them
NEAR_FLOOR = 0.05  # of any score: the few fields that have anything at all decide it
ALIKE = 0.5  # spread of the pilot over that of all fields, below which it says too little about the others
PRIOR = 2  # fields that the belief in a slope of 1 weighs as much as
FAR_OUT = 3  # interquartile ranges beyond a quartile (Tukey 1977, Exploratory Data Analysis, section 2D)
MOST = 100_000  # fields that a plan looks ahead to
LEAST_FOR_TEST = 6  # fields: the exact paired test of fewer has no p below 0.05


class Part(NamedTuple):
    """A ratio of sums over fields, times a weight: scores, their differences and their means are sums of such parts.

    Attributes
    ----------
    above, below : (..., n) ndarray
        Of each field; leading axes are other pilots, for simulations.
    weight : float
    """

    above: np.ndarray
    below: np.ndarray
    weight: float = 1.0


class Estimate(NamedTuple):
    """What a pilot says; floats, or arrays over pilots.

    Attributes
    ----------
    value, low, high : float
        With the interval of level `LEVEL`.
    slope : float
        How far the score follows the control variate; 0 without one.
    variance : float
        Of one annotated field: the part of the variance that falls with their number.
    floor : float
        The part that only more fields without annotation make smaller.
    fields : int
        Annotated fields.
    """

    value: Any
    low: Any
    high: Any
    slope: Any
    variance: Any
    floor: Any
    fields: int


class _Pooled(NamedTuple):
    value: np.ndarray  # (...)
    without: np.ndarray  # (..., n): without each of the fields
    influence: np.ndarray  # (..., n): of each field, with mean 0


def estimate(score: Sequence[Part], known: Sequence[Part], others: Sequence[Part], prior: float = PRIOR) -> Estimate:
    """Estimate a score over all fields from the annotated ones.

    Parameters
    ----------
    score : sequence of Part
        Of the annotated fields.
    known : sequence of Part
        The control variate of the same fields: what is known of them without annotation. Empty where there is none.
    others : sequence of Part
        The control variate of the fields without annotation.
    prior : float
        See `PRIOR`.

    Returns
    -------
    Estimate
        value = score + slope (control variate of the others - control variate of the annotated fields).
    """
    y = _pool(score)
    fields = y.influence.shape[-1]
    if not known:
        return _with_interval(y.value, y.without, 0.0, 0.0, fields, free=fields - 1)
    x, rest = _pool(known), _pool(others)
    more, spread = rest.influence.shape[-1], (rest.influence**2).mean(axis=-1, keepdims=True)
    slope, slopes = (more / (fields + more) * each for each in _slopes(y.influence, x.influence, prior * spread))
    value = y.value + slope * (rest.value - x.value)
    without = y.without + slopes * (rest.value[..., None] - x.without)
    return _with_interval(value, without, slope, slope**2 * spread[..., 0] / more, fields, free=fields - 2)


def _pool(parts):
    value = without = influence = 0.0
    for above, below, weight in parts:
        a, b = (np.sum(each, axis=-1, keepdims=True) for each in (above, below))
        ratio = a / b
        value = value + weight * ratio[..., 0]
        without = without + weight * (a - above) / (b - below)
        influence = influence + weight * (above - ratio * below) / (b / np.shape(above)[-1])
    return _Pooled(value, without, influence)


def _slopes(y, x, prior):
    """Least squares, with `prior` on both sides for a slope of 1: with all fields, and without each."""
    fewer = y.shape[-1] - 1
    xx, xy = (x * x).sum(axis=-1, keepdims=True), (x * y).sum(axis=-1, keepdims=True)
    slope = _ratio(xy + prior, xx + prior)
    slopes = _ratio(xy - x * y - x * y / fewer + prior, xx - x**2 - x**2 / fewer + prior)
    return slope[..., 0], slopes


def _ratio(above, below):
    """0 where nothing is known apart: every field has the same control variate."""
    return np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 1e-12)


def _with_interval(value, without, slope, floor, fields, free):
    deviation = without - without.mean(axis=-1, keepdims=True)
    variance = (fields - 1) * (deviation**2).sum(axis=-1)
    half = stats.t.ppf((1 + LEVEL) / 2, free) * np.sqrt(variance / fields + floor)
    return Estimate(value, value - half, value + half, slope, variance, floor, fields)


# ---- what cannot be said


def refusal(score: Sequence[Part], known: Sequence[Part], others: Sequence[Part], nuclei: np.ndarray | None) -> str | None:
    """Why a pilot says nothing about a score, in words; None where it does.

    Parameters
    ----------
    score, known, others : sequence of Part
        See `estimate`. One part of `score` is a row's score, two are a difference.
    nuclei : (M,) ndarray or None
        Nuclei of every field as far as is known without annotation, of a pooled score; None of a mean over fields.
    """
    return next((why for why, holds in objections(score, known, others, nuclei) if holds), None)


def objections(
    score: Sequence[Part], known: Sequence[Part], others: Sequence[Part], nuclei: np.ndarray | None
) -> Iterator[tuple[str, Any]]:
    """Everything that speaks against an estimate, and whether it holds, (...) bool, of each pilot; see `refusal`."""
    y = _pool(score)
    fields = y.influence.shape[-1]
    yield f"{fields} annotated fields say nothing; annotate {LEAST} at least", np.full(y.value.shape, fields < LEAST)
    if nuclei is not None:
        unequal = nuclei.std(axis=-1) > UNEQUAL * nuclei.mean(axis=-1)
        why = f"few fields hold most of the nuclei: a pooled score needs {LEAST_UNEQUAL} annotated ones, one with _fields fewer"
        yield why, unequal & (fields < LEAST_UNEQUAL)
    elif len(score) == 1:
        why = f"a mean over fields above {NEAR_CEILING} hangs on a few failed fields; ask for the pooled score"
        yield why, y.value > NEAR_CEILING
    if len(score) == 1:
        yield f"a score under {NEAR_FLOOR} hangs on the few fields that have any match", y.value < NEAR_FLOOR
    apart = np.abs(y.influence - np.median(y.influence, axis=-1, keepdims=True)) > 1e-9
    yield "most annotated fields say the same; annotate more of them", apart.sum(axis=-1) < min(fields - 1, 5)
    if known:
        spread = _pool(known).influence.std(axis=-1, ddof=1) < ALIKE * _pool(others).influence.std(axis=-1)
        yield "the annotated fields are more alike than the others; annotate the fields listed as next", spread


def set_apart(known: np.ndarray) -> np.ndarray:
    """The fields on which the sources agree far less than on the others: blank, out of focus, or of another kind.

    A pilot hardly ever holds one of them, so nothing can be said of them from it: look at them, or annotate them all.

    Parameters
    ----------
    known : (M,) ndarray
        Agreement on every field.

    Returns
    -------
    (M,) bool ndarray
        Below the lower quartile by more than `FAR_OUT` interquartile ranges.
    """
    low, high = np.quantile(known, [0.25, 0.75])
    return known < low - FAR_OUT * (high - low)


# ---- what is needed


def fields_for_width(found: Estimate, half: float) -> int | None:
    """Annotated fields for an interval of +- `half`; None where more than `MOST` do not give it."""
    return _fewest(
        LEAST, lambda fields: stats.t.ppf((1 + LEVEL) / 2, fields - 2) * np.sqrt(found.variance / fields + found.floor) <= half
    )


def fields_for_power(difference: float, deviation: float, power: float = 0.8) -> int | None:
    """Annotated fields for which the paired test of `harness compare` finds a difference with probability `power`.

    Parameters
    ----------
    difference, deviation : float
        Mean and standard deviation of the paired differences over fields.
    power : float

    Returns
    -------
    int or None
        `LEAST_FOR_TEST` at least; None for more than `MOST`.
    """
    return _fewest(LEAST_FOR_TEST, lambda fields: power_of(difference, deviation, fields) >= power)


def _fewest(least, enough):
    """More fields than enough are enough, too."""
    fields = least + bisect_left(range(least, MOST), True, key=enough)
    return fields if fields < MOST else None


def power_of(difference: float, deviation: float, fields: Any) -> Any:
    """Power of the two-sided paired t test at level `ALPHA`, which that of the permutation test follows closely."""
    if deviation == 0:
        return np.full(np.shape(fields), float(difference != 0))
    free, shift = np.asarray(fields) - 1, abs(difference) / deviation * np.sqrt(fields)
    critical = stats.t.ppf(1 - ALPHA / 2, free)
    other_side = np.nan_to_num(stats.nct.cdf(-critical, free, shift))  # NaN where it is far too small to count
    return stats.nct.sf(critical, free, shift) + other_side


def next_fields(known: np.ndarray, annotated: np.ndarray, may: np.ndarray, count: int) -> list[int]:
    """Which fields to annotate next, so that the annotated ones stand for all.

    All fields, in the order of what is known of them, are cut into as many equal strata as there will be annotated fields;
    a stratum with the fewest annotated ones gets one more, by lot, until there are enough.

    Parameters
    ----------
    known : (M,) ndarray
        Agreement on every field.
    annotated, may : (M,) bool ndarray
        Fields that are annotated, and fields that may be chosen.
    count : int

    Returns
    -------
    list of int
        Positions of `count` fields, or of all that may be chosen if these are fewer; the same every time.
    """
    lot = np.random.default_rng(0)
    count = min(count, int(may.sum()))
    place = np.argsort(np.argsort(known, kind="stable"), kind="stable")
    stratum = place * (int(annotated.sum()) + count) // len(known)
    annotated, left = annotated.copy(), may.copy()
    chosen: list[int] = []
    while len(chosen) < count:
        taken = np.bincount(stratum[annotated], minlength=stratum.max() + 1)[stratum]
        fewest = left & (taken == taken[left].min())
        chosen.append(int(lot.choice(np.flatnonzero(fewest))))
        annotated[chosen], left[chosen] = True, False
    return chosen
