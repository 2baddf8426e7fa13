import numpy as np
import pytest
from scipy import stats

from harness.scoring import pilot
from harness.scoring.pilot import Part, estimate, fields_for_power, fields_for_width, next_fields, power_of, refusal, set_apart


def numbers(*lines):
    return np.array(" ".join(lines).split(), float)


# Drawn by docs/results/afternoon/ppi.py, which gave them to ppi-python 0.2.3 in an environment of its own: it brings 670 MB.
KNOWN = numbers(
    "0.661 0.901 0.836 0.778 0.831 0.875 0.7 0.777 0.841 0.74 0.738 0.76 0.573 0.889 0.686 0.54 0.744 0.714 0.783 0.872",
    "0.681 0.703 0.932 0.827 0.586 0.903 0.44 0.834 0.693 0.712 0.712 0.924 0.912 0.827 0.653 0.834 0.702 0.847 0.586 0.549",
)
SCORE = numbers(
    "0.617 0.82 0.707 0.84 0.741 0.79 0.643 0.688 0.727 0.709 0.628 0.655 0.518 0.851 0.598 0.481 0.711 0.614 0.709 0.842",
    "0.665 0.664 0.921 0.74 0.538 0.734 0.453 0.799 0.621 0.763 0.72 0.885 0.768 0.776 0.64 0.665 0.66 0.765 0.481 0.563",
)
OTHERS_MEAN, OTHERS = 0.8069875, 400
PPI_AT_ONE, PPI_AT_ONE_HALF = 0.742375, (0.76079315 - 0.72395685) / 2  # with lam = 400 / 440, of a slope of 1
PPI_TUNED, PPI_TUNED_HALF = 0.73337531, (0.75098417 - 0.71576645) / 2  # with its own lam


def mean_of(values, weight=1.0):
    values = np.asarray(values, float)
    return [Part(values, np.ones_like(values), weight)]


def others():
    """400 values with the mean and, nearly, the spread of those that ppi-python was given."""
    spread = np.random.default_rng(0).normal(0, 0.12, OTHERS)
    return mean_of(OTHERS_MEAN + spread - spread.mean())


def test_with_a_slope_of_one_it_is_the_published_estimate():
    found = estimate(mean_of(SCORE), mean_of(KNOWN), others(), prior=1e12)
    assert found.value == pytest.approx(PPI_AT_ONE, abs=1e-9) and found.slope == pytest.approx(400 / 440)
    # Student's t instead of the normal distribution, and n - 1 instead of n: 5 % wider with 40 fields
    assert (found.high - found.low) / 2 / PPI_AT_ONE_HALF == pytest.approx(1.045, abs=0.02)


def test_with_a_slope_of_its_own_it_is_near_the_power_tuned_estimate():
    found = estimate(mean_of(SCORE), mean_of(KNOWN), others(), prior=0)
    assert found.value == pytest.approx(PPI_TUNED, abs=0.003)
    assert 1 < (found.high - found.low) / 2 / PPI_TUNED_HALF < 1.25


def test_without_control_it_is_the_mean_with_students_t():
    found = estimate(mean_of(SCORE), [], [])
    low, high = stats.t.interval(0.95, len(SCORE) - 1, SCORE.mean(), stats.sem(SCORE))
    assert (found.value, found.low, found.high) == pytest.approx((SCORE.mean(), low, high))


def test_a_control_that_says_nothing_changes_nothing_but_the_quantile():
    same = estimate(mean_of(SCORE), mean_of(np.ones(40)), mean_of(np.ones(100)))
    assert (same.value, same.slope) == pytest.approx((SCORE.mean(), 0))


def test_a_pooled_score_is_the_ratio_of_sums_and_its_interval_that_of_the_delta_method(chance):
    rng = np.random.default_rng(chance.randrange(2**32))
    below = rng.integers(80, 160, 200).astype(float)
    above = below * rng.uniform(0.6, 0.9, 200)
    found = estimate([Part(above, below)], [], [])
    ratio = above.sum() / below.sum()
    error = (above - ratio * below).std(ddof=1) / below.mean() / 200**0.5
    assert found.value == pytest.approx(ratio)
    assert found.high - found.low == pytest.approx(2 * 1.972 * error, rel=0.02)


def test_pilots_side_by_side_are_estimated_like_one_by_one():
    pilots = [(SCORE[at : at + 8], KNOWN[at : at + 8]) for at in (0, 8, 16)]
    together = estimate(*(mean_of(np.array(each)) for each in zip(*pilots, strict=True)), mean_of(np.tile(KNOWN, (3, 1))))
    single = [estimate(mean_of(y), mean_of(x), mean_of(KNOWN)) for y, x in pilots]
    assert together.value == pytest.approx([each.value for each in single])
    assert together.low == pytest.approx([each.low for each in single])


@pytest.mark.parametrize("fields", [6, 10, 20])
def test_intervals_of_small_pilots_hold_what_they_promise_and_are_narrower(fields, chance):
    rng = np.random.default_rng(chance.randrange(2**32))
    known = rng.beta(8, 3, (2000, 200))
    score = np.clip(known + rng.normal(0, 0.05, known.shape), 0, 1)
    here, there = slice(fields), slice(fields, None)
    found = estimate(mean_of(score[:, here]), mean_of(known[:, here]), mean_of(known[:, there]))
    alone = estimate(mean_of(score[:, here]), [], [])
    truth = 8 / 11
    assert 0.93 < ((found.low <= truth) & (truth <= found.high)).mean() < 0.99
    assert np.median(found.high - found.low) < 0.7 * np.median(alone.high - alone.low)


def test_the_difference_of_two_rows_is_that_of_their_parts():
    found = estimate([*mean_of(SCORE), *mean_of(KNOWN, -1.0)], [], [])
    assert found.value == pytest.approx(SCORE.mean() - KNOWN.mean())
    assert found.high - found.low == pytest.approx(2 * estimate(mean_of(SCORE - KNOWN), [], []).high - 2 * found.value)


@pytest.mark.parametrize(
    ("score", "known", "rest", "nuclei", "why"),
    [
        ([0.5, 0.6, 0.4], [0.5, 0.6, 0.4], [0.2, 0.8], None, "annotate 4 at least"),
        ([0.5, 0.6, 0.4, 0.7, 0.3, 0.2], [0.5, 0.51, 0.5, 0.51, 0.5, 0.5], [0.1, 0.9, 0.5, 0.4], None, "more alike"),
        ([0.5, 0.5, 0.5, 0.5, 0.5, 0.2], [0.5, 0.6, 0.4, 0.7, 0.3, 0.2], [0.2, 0.8], None, "say the same"),
        (
            [0.5, 0.6, 0.4, 0.7, 0.3, 0.2],
            [0.5, 0.6, 0.4, 0.7, 0.3, 0.2],
            [0.2, 0.8],
            [1, 1, 1, 1, 1, 1, 40, 1],
            "hold most of the nuclei",
        ),
        ([0.9, 0.95, 0.85, 0.91, 0.93, 0.97], [0.5, 0.6, 0.4, 0.7, 0.3, 0.2], [0.2, 0.8], None, "a few failed fields"),
        ([0.0, 0.01, 0.0, 0.03, 0.05, 0.02], [0.5, 0.6, 0.4, 0.7, 0.3, 0.2], [0.2, 0.8], None, "the few fields that have any"),
        ([0.5, 0.6, 0.4, 0.7, 0.3, 0.2], [0.5, 0.6, 0.4, 0.7, 0.3, 0.2], [0.2, 0.8], [9, 10, 11, 10, 9, 10, 10, 10], None),
    ],
)
def test_pilots_that_say_nothing_are_refused_in_words(score, known, rest, nuclei, why):
    said = refusal(mean_of(score), mean_of(known), mean_of(rest), None if nuclei is None else np.array(nuclei, float))
    assert said is None if why is None else why in said


def test_fields_that_are_far_from_all_others_are_set_apart():
    known = np.append(np.random.default_rng(1).normal(0.85, 0.03, 200), [0.1, 0.2])
    assert np.flatnonzero(set_apart(known)).tolist() == [200, 201]


def test_fields_for_a_width_are_the_fewest():
    found = estimate(mean_of(SCORE), [], [])
    needed = fields_for_width(found, 0.02)
    half = [stats.t.ppf(0.975, n - 2) * (found.variance / n) ** 0.5 for n in (needed - 1, needed)]
    assert half[0] > 0.02 >= half[1]
    assert fields_for_width(found._replace(floor=1.0), 0.02) is None


@pytest.mark.parametrize(("difference", "deviation"), [(0.1, 0.07), (0.03, 0.07), (0.02, 0.07)])
def test_fields_for_power_are_those_of_resampling(difference, deviation, chance):
    rng = np.random.default_rng(chance.randrange(2**32))
    fields = fields_for_power(difference, deviation)
    found = {
        count: (stats.ttest_1samp(rng.normal(difference, deviation, (4000, count)), 0, axis=1).pvalue < 0.05).mean()
        for count in (fields - 1, fields)
    }
    assert found[fields] > 0.78 and (fields == pilot.LEAST_FOR_TEST or found[fields - 1] < 0.82)


def test_no_difference_needs_more_fields_than_there_are_and_a_sure_one_the_fewest():
    assert fields_for_power(0.0, 0.1) is None and fields_for_power(0.1, 0.0) == pilot.LEAST_FOR_TEST
    assert power_of(0.0, 0.1, 20) == pytest.approx(0.05)


def test_power_grows_with_the_fields_however_sure_the_difference():
    """The other side of a sure difference is too small for SciPy, which gives NaN."""
    for difference in (0.001, 0.03, 0.1, 5.0):
        power = power_of(difference, 0.07, np.arange(6, 4000, 7))
        assert np.isfinite(power).all() and (np.diff(power) > -1e-9).all()


def test_next_fields_fill_the_gaps_between_the_annotated_ones():
    known = np.linspace(0, 1, 100)
    annotated = known < 0.05
    chosen = next_fields(known, annotated, ~annotated, 5)
    assert len(set(chosen)) == 5 and min(known[chosen]) > 0.05
    assert np.diff(sorted(known[chosen])).max() < 0.5 and max(known[chosen]) > 0.7
    assert chosen == next_fields(known, annotated, ~annotated, 5)


def test_next_fields_are_no_more_than_there_are():
    known, annotated = np.arange(4.0), np.array([True, False, False, True])
    assert sorted(next_fields(known, annotated, ~annotated, 9)) == [1, 2]
    assert next_fields(known, annotated, np.zeros(4, bool), 3) == []
