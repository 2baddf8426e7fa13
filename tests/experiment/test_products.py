"""Rows from a product of factors: as many as there are combinations, each as if it were written out."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.errors import HarnessError
from harness.experiment.products import expanded
from harness.experiment.registry import _packaged, load_registry

PRODUCT = """
[product.p]
title = "{kind} {share}"
method = "network"
labels = "manual"
refine = [{step = "noise-{kind}", share = "{share}", mask = 1}]
factors = {kind = ["missing", "split"], share = [0.1, 1]}
"""
WRITTEN = """
[rows.p-missing-1]
title = "missing 1"
method = "network"
labels = "manual"
refine = [{step = "noise-missing", share = 1, mask = 1}]
"""


def load(path, text):
    path.write_text(text)
    return load_registry(path)


def test_a_row_of_a_product_is_the_one_that_is_written_out(tmp_path):
    made, written = load(tmp_path / "a.toml", PRODUCT).rows, load(tmp_path / "b.toml", WRITTEN).rows
    assert list(made) == ["p-missing-0.1", "p-missing-1", "p-split-0.1", "p-split-1"]
    assert made["p-missing-1"] == written["p-missing-1"] and made["p-missing-1"].source == written["p-missing-1"].source


@given(st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(), min_size=1, max_size=4, unique=True), min_size=1))
def test_there_is_a_row_for_each_combination(factors):
    rows = expanded({"product": {"p": {"factors": factors} | {name: f"{{{name}}}" for name in factors}}}, "f")["rows"]
    assert len(rows) == prod(map(len, factors.values()))
    assert all(id_ == "-".join(map(str, ("p", *row.values()))) for id_, row in rows.items())
    assert {name: sorted({row[name] for row in rows.values()}) for name in factors} == {
        name: sorted(levels) for name, levels in factors.items()
    }


def test_a_file_without_products_stays_as_it_is():
    assert expanded({"rows": {"a": 1}, "tile": 16}, "f") == {"rows": {"a": 1}, "tile": 16}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PRODUCT + WRITTEN, "product.p: there is a row 'p-missing-1' already"),
        (PRODUCT.replace("{kind} ", "{sort} "), "product.p.title: no factor 'sort'; there is kind, share"),
        (PRODUCT.replace("[0.1, 1]", "[]"), "product.p.factors.share: expected a list"),
        (PRODUCT.replace("[0.1, 1]", "[[1]]"), "product.p.factors.share: expected a list"),
        (PRODUCT.replace("[0.1, 1]", str(list(range(501)))), "they make 1002 rows"),
        (PRODUCT.replace("[0.1, 1]", "[7]"), "rows.p-missing-7.labels: refinement noise-missing: share is 7"),
        (PRODUCT.partition("factors")[0], "product.p.factors: expected a table"),
        ("product = 3", "product: expected tables"),
        ("product.p = 3", "product.p.factors: expected a table"),
        (PRODUCT.replace('["missing"', '["a b"'), "an id has letters"),
    ],
)
def test_a_product_that_makes_no_rows_is_refused(text, said, tmp_path):
    with pytest.raises(HarnessError, match=said):
        load(tmp_path / "own.toml", text)


def test_the_study_of_noise_crosses_kinds_levels_and_masks():
    rows = load_registry(_packaged("noise.toml")).rows
    robust = [name for name in rows if name.startswith(("linear", "band"))]
    steps = [row.refine[0] for name, row in rows.items() if name not in ["network-recipe", *robust] and row.refine]
    assert len({step["step"] for step in steps}) == 6 and len(rows) == 41 + 14
    paired = [{key: value for key, value in step.items() if key != "mask"} for step in steps]
    assert all(paired.count(step) == 2 for step in paired)


def test_what_may_help_is_tried_at_a_level_that_is_tried_without_it():
    rows = load_registry(_packaged("noise.toml")).rows
    kept = [row.source.steps for name, row in rows.items() if name.endswith("-0")]
    for name, row in rows.items():
        if name.startswith(("linear-", "band-")) and not name.endswith("manual"):
            assert row.source.steps[:1] in kept and (row.loss == "dice") == name.startswith("linear")
            assert [step.name for step in row.source.steps[1:]] == ["ignore-outlines"] * name.startswith("band")
