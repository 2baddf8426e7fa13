from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.report.comparison import compare, groups, influence, mean_over_seeds, smallest_difference, swap_test, title


def terms(*seeds, below=1.0):
    """`above` of each seed, one number per field."""
    names = [f"f{at}" for at in range(len(seeds[0]))]
    index = pd.MultiIndex.from_product([range(len(seeds)), names], names=["seed", "field"])
    return pd.DataFrame({"above": np.ravel(seeds).astype(float), "below": below}, index=index)


def of_fields(above, below=1.0):
    return mean_over_seeds(terms(above).assign(below=below))


def test_p_counts_every_exchange_of_few_fields():
    one, other = np.array([3.0, 5, 4, 6, 5, 7]), np.array([2.0, 3, 4.5, 5, 5, 4])
    differences = one - other
    swapped = [abs((differences * signs).sum()) for signs in product((1, -1), repeat=6)]
    expected = np.mean(np.array(swapped) >= abs(differences.sum()) - 1e-9)
    assert swap_test(of_fields(one), of_fields(other)) == pytest.approx(expected)


def test_five_fields_can_never_be_significant_and_six_can():
    assert swap_test(of_fields(np.arange(5) + 1.0), of_fields(np.arange(5.0))) == pytest.approx(2 / 32)
    assert swap_test(of_fields(np.arange(6) + 1.0), of_fields(np.arange(6.0))) == pytest.approx(2 / 64)


def test_equal_rows_have_p_of_one():
    assert swap_test(of_fields([1, 2, 3]), of_fields([1, 2, 3])) == 1


def test_many_fields_give_the_p_of_the_paired_t_test(chance):
    rng = np.random.default_rng(chance.randrange(2**32))
    one = rng.normal(0.8, 0.1, 60)
    other = one - rng.normal(0.012, 0.05, 60)
    expected = stats.ttest_rel(one, other).pvalue
    assert swap_test(of_fields(one), of_fields(other)) == pytest.approx(expected, abs=0.02)


def test_without_a_difference_p_is_uniform(chance):
    rng = np.random.default_rng(chance.randrange(2**32))
    ps = [swap_test(of_fields(rng.random(10)), of_fields(rng.random(10))) for _ in range(400)]
    assert 0.02 < np.mean(np.array(ps) < 0.05) < 0.09


def test_a_pooled_difference_is_exchanged_with_its_nuclei():
    """A field with many nuclei weighs more: the exchange moves numerator and denominator together."""
    one = of_fields([90, 8, 8, 9, 8, 9], np.array([100.0, 10, 10, 10, 10, 10]))
    other = of_fields([50, 9, 9, 10, 9, 10], np.array([100.0, 10, 10, 10, 10, 10]))
    pooled = one["above"].sum() / one["below"].sum() - other["above"].sum() / other["below"].sum()
    assert pooled > 0.2 and swap_test(one, other) > 0.9  # one field alone speaks for it
    assert influence(one).sum() == pytest.approx(0)


def test_rows_that_share_a_letter_are_those_that_are_not_told_apart():
    rows = list("abcdef")
    apart = [("a", "c"), ("a", "d"), ("a", "e"), ("a", "f"), ("b", "e"), ("b", "f"), ("c", "f"), ("d", "f")]
    letters = groups(rows, apart)
    for one in rows:
        for other in rows:
            shared = bool(set(letters[one]) & set(letters[other]))
            assert shared == ((one, other) not in apart and (other, one) not in apart)
    assert groups(rows, []) == dict.fromkeys(rows, "a")


@pytest.fixture
def three(chance):
    """Two rows alike and one clearly worse, of two seeds, on 40 fields."""
    rng = np.random.default_rng(chance.randrange(2**32))
    field = rng.normal(0.8, 0.1, 40)
    good = [field + rng.normal(0, 0.02, 40) for _ in range(2)]
    alike = [field + rng.normal(0, 0.02, 40) for _ in range(2)]
    return {"good": terms(*good), "bad": terms(field - 0.1 + rng.normal(0, 0.02, 40)), "alike": terms(*alike)}


def test_a_ranking_with_groups_and_pairs(three):
    found = compare("f1_50_fields", three)
    assert found.fields == 40 and found.ranking["row"].tolist()[-1] == "bad"
    assert found.ranking["groups"].tolist() == ["a", "a", "b"] and sorted(found.ranking["seeds"]) == [1, 2, 2]
    pairs = found.pairs.set_index(["better", "worse"])
    worse = pairs.xs("bad", level="worse")
    assert worse["told_apart"].all() and (worse["low"] > 0).all() and (worse["p_holm"] >= worse["p"]).all()
    assert worse["difference"].to_numpy() == pytest.approx(0.1, abs=0.02) and (worse["favours"] > 0.9).all()
    alike = pairs.drop(index="bad", level="worse").iloc[0]
    assert (
        not alike["told_apart"] and alike["smallest"] > abs(alike["difference"]) and abs(alike["effect"]) < worse["effect"].min()
    )


def test_lower_is_better_where_the_metric_says_so(three):
    assert compare("hd95", three).ranking["row"].iloc[0] == "bad"


def test_only_fields_that_all_rows_have_count(three):
    three["good"] = three["good"].drop(index="f0", level="field")
    assert compare("pq", three).fields == 39


def test_the_smallest_difference_is_found_in_four_of_five_cases(chance):
    rng = np.random.default_rng(chance.randrange(2**32))
    smallest = smallest_difference(0.1 / 30**0.5, 30)
    drawn = rng.normal(smallest, 0.1, (3000, 30))
    assert (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.03)


def test_titles():
    assert title("jaccard_equal") == "Jaccard, equal" and title("f1_50_fields") == "F1 at 0.5, mean over fields"
