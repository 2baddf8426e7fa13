import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from harness.report.statistics import RESAMPLES, bootstrap, holm, interval, p_value, resampled_fields, resampled_seeds


def terms(above, below):
    """`above` and `below`: one list per seed, one number per field."""
    names = [f"f{i}" for i in range(len(above[0]))]
    index = pd.MultiIndex.from_product([range(len(above)), names], names=["seed", "field"])
    return pd.DataFrame({"above": np.ravel(above), "below": np.ravel(below)}, index=index)


def test_first_value_is_the_mean_over_seeds_of_the_pooled_ratios():
    values = bootstrap(terms([[1, 2, 3], [3, 3, 3]], [[2, 4, 4], [4, 4, 4]]))
    assert values.shape == (1 + RESAMPLES,)
    assert values[0] == pytest.approx((6 / 10 + 9 / 12) / 2)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=2, max_size=8))
def test_resampled_values_lie_between_those_of_the_fields(pairs):
    above, below = (np.array(each, float) for each in zip(*pairs, strict=True))
    values = bootstrap(terms([above], [below]))
    assert (above / below).min() - 1e-9 <= values.min() and values.max() <= (above / below).max() + 1e-9


def test_interval_is_that_of_drawing_fields_one_by_one():
    rng = np.random.default_rng(5)
    above, below = rng.integers(20, 90, 30), rng.integers(90, 120, 30)
    drawn = rng.integers(0, 30, (20_000, 30))
    expected = np.percentile(above[drawn].sum(1) / below[drawn].sum(1), [2.5, 97.5])
    assert interval(bootstrap(terms([above], [below])))[1:] == pytest.approx(expected, abs=0.004)


def test_resamples_are_the_same_every_time_and_draw_as_many_fields_as_there_are():
    resampled_fields.cache_clear()
    first = resampled_fields(7)
    resampled_fields.cache_clear()
    assert np.array_equal(first, resampled_fields(7)) and (first.sum(axis=0) == 7).all()


def test_fields_in_another_order_give_the_same_values():
    one = terms([[1, 2, 3]], [[4, 5, 6]])
    assert np.array_equal(bootstrap(one), bootstrap(one.iloc[::-1]))


def test_a_single_field_has_a_value_and_no_interval():
    value, low, high = interval(bootstrap(terms([[1]], [[2]])))
    assert value == 0.5 and np.isnan([low, high]).all()


def test_undefined_everywhere_is_undefined():
    assert np.isnan(interval(bootstrap(terms([[0, 0]], [[0, 0]])))).all()


def test_seeds_are_resampled_as_well_as_fields():
    """Two levels of spread: that of the field means and that of the seed means add up."""
    rng = np.random.default_rng(2)
    fields, seeds = rng.normal(0, 0.03, 40), rng.normal(0, 0.05, 8)
    scores = 0.5 + seeds[:, None] + fields[None]
    values = bootstrap(terms(scores, np.ones_like(scores)))[1:]
    assert values.std() == pytest.approx(np.hypot(fields.std() / 40**0.5, seeds.std() / 8**0.5), rel=0.05)


def test_one_seed_is_no_spread_over_seeds():
    one, same = terms([[1, 2, 3]], [[4, 5, 6]]), terms([[1, 2, 3]] * 5, [[4, 5, 6]] * 5)
    np.testing.assert_allclose(bootstrap(one), bootstrap(same))


def test_equal_seeds_of_two_rows_are_drawn_together():
    """What two rows share seed by seed cancels from their difference."""
    seeds = np.array([[0.1], [0.2], [0.4]])
    one, other = (terms(level + seeds + np.zeros((3, 5)), np.ones((3, 5))) for level in (0.5, 0.2))
    np.testing.assert_allclose(bootstrap(one) - bootstrap(other), 0.3)


def test_seeds_and_fields_are_drawn_independently():
    assert resampled_seeds(6).shape == resampled_fields(6).shape and not np.array_equal(resampled_seeds(6), resampled_fields(6))


@pytest.mark.parametrize("mean", [0.0, 0.5, 1.0, 1.9, 2.1, 3.0])
def test_p_is_that_of_the_normal_distribution_where_the_resamples_are_normal(mean):
    values = np.append(mean, norm.ppf((np.arange(10_000) + 0.5) / 10_000) + mean)
    assert p_value(values) == pytest.approx(2 * norm.sf(mean), abs=3e-4)
    assert (p_value(values) < 0.05) == (interval(values).low > 0)


@given(st.lists(st.floats(-1, 1), min_size=20, max_size=60))
def test_p_and_interval_never_disagree(draws):
    values = np.array([0.0, *draws])
    low, high = np.percentile(draws, [2.5, 97.5], method="inverted_cdf")
    if p_value(values) < 0.05:
        assert low > 0 or high <= 0
    np.testing.assert_allclose(p_value(-values), p_value(values))


def test_p_of_nothing_is_nothing_and_of_no_difference_is_one():
    assert np.isnan(p_value(np.full(11, np.nan))) and p_value(np.zeros(11)) == 1


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0] and holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_between_no_correction_and_bonferroni(ps):
    corrected = holm(ps)
    assert all(p <= q <= min(1, len(ps) * p) + 1e-12 for p, q in zip(ps, corrected, strict=True))
    order = np.argsort(ps, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
