import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.report.statistics import RESAMPLES, bootstrap, interval, paired_test, resampled_fields


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
    assert np.array_equal(first, resampled_fields(7)) and (first.sum(axis=1) == 7).all()


def test_fields_in_another_order_give_the_same_values():
    one = terms([[1, 2, 3]], [[4, 5, 6]])
    assert np.array_equal(bootstrap(one), bootstrap(one.iloc[::-1]))


def test_a_single_field_has_a_value_and_no_interval():
    value, low, high = interval(bootstrap(terms([[1]], [[2]])))
    assert value == 0.5 and np.isnan([low, high]).all()


def test_undefined_everywhere_is_undefined():
    assert np.isnan(interval(bootstrap(terms([[0, 0]], [[0, 0]])))).all()


def test_paired_test_looks_at_the_differences():
    one = pd.Series({"a": 0.9, "b": 0.8, "c": 0.7, "d": np.nan, "e": 0.9, "f": 0.8, "g": 0.9})
    assert paired_test(one, one - 0.1) == (pytest.approx(2 / 2**6), 6)
    assert paired_test(one, one) == (1.0, 6)
    assert paired_test(one[["d"]], one[["d"]])[1] == 0
