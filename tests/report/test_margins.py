"""Claims that one row is not worse than another by a margin that is stated beforehand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.experiment.registry import Registry
from harness.report.claims import FAILS, HOLDS, UNSURE
from harness.report.margins import check, together
from harness.report.statistics import bootstrap
from harness.report.text import findings

MARGINS = {"dice_nuclei": 0.01, "jaccard_equal": 0.02}
BOOK = Registry.model_validate(
    {
        "rows": {
            "free": {"title": "Free", "method": "network", "labels": "consensus"},
            "manual": {"title": "Manual", "method": "network", "labels": "manual"},
        },
        "claims": {"c": {"title": "No *worse*", "row": "free", "reference": "manual", "margins": MARGINS}},
    }
)


def boot(differences, spread=0.01, fields=40, seeds=3):
    """Values of both rows on resamples: by metric the row is better by the difference, give or take the spread of a field."""
    rng, made = np.random.default_rng(0), {}
    index = pd.MultiIndex.from_product([range(seeds), range(fields)], names=["seed", "field"])
    for metric, difference in differences.items():
        theirs = np.tile(rng.normal(0.9, 0.05, fields), seeds)
        noise = rng.normal(0, 1, fields)  # between the rows, of mean 0 and standard deviation 1
        noise = np.tile((noise - noise.mean()) / (noise.std() or 1), seeds)
        for row, values in (("free", theirs + difference + spread * noise), ("manual", theirs)):
            made[row, metric] = bootstrap(pd.DataFrame({"above": values, "below": 1.0}, index=index))
    return made


@pytest.mark.parametrize(
    ("dice", "equal", "verdicts", "all_"),
    [
        (0.0, 0.0, [HOLDS, HOLDS], HOLDS),
        (-0.006, -0.016, [HOLDS, HOLDS], HOLDS),  # worse, but by less than the margin
        (-0.009, 0.0, [UNSURE, HOLDS], UNSURE),  # the standard error is 0.0016, so the bound is 0.0026 below
        (-0.02, 0.0, [FAILS, HOLDS], FAILS),
        (-0.02, -0.02, [FAILS, UNSURE], FAILS),
    ],
)
def test_a_verdict_goes_by_the_bound_and_the_margin(dice, equal, verdicts, all_):
    lines = check(BOOK, boot({"dice_nuclei": dice, "jaccard_equal": equal}))
    assert list(lines["verdict"]) == verdicts and together(lines) == all_
    assert list(lines["difference"]) == pytest.approx([dice, equal])
    assert list(lines["low"]) == pytest.approx([each - 1.645 * 0.01 / 40**0.5 for each in (dice, equal)], abs=4e-4)


@settings(max_examples=25, deadline=None)
@given(difference=st.floats(-0.03, 0.03), spread=st.floats(0.001, 0.05))
def test_bound_p_and_verdict_agree(difference, spread):
    (line, _) = check(BOOK, boot({"dice_nuclei": difference}, spread)).itertuples()
    assert line.low <= line.high
    assert (line.verdict == HOLDS) == (line.low > -0.01) and (line.verdict == FAILS) == (line.high < -0.01)
    if abs(line.p - 0.05) > 0.002:
        assert (line.p < 0.05) == (line.verdict == HOLDS)


def test_what_has_no_score_or_one_field_cannot_be_told():
    lines = check(BOOK, {key: each for key, each in boot({"dice_nuclei": 0.0}).items() if key[0] == "manual"})
    assert set(lines["verdict"]) == {UNSURE}
    assert list(lines["why"]) == ["no score of free", "no score of free, manual"]
    lines = check(BOOK, boot(dict.fromkeys(MARGINS, 0.0), fields=1, spread=0.0))
    assert set(lines["verdict"]) == {UNSURE}


def test_the_report_has_a_section_where_the_registry_asks_for_it():
    results = {name: SimpleNamespace(row=row) for name, row in BOOK.rows.items()}
    content = SimpleNamespace(
        margins=check(BOOK, boot({"dice_nuclei": -0.02})), results=results, titles={"free": "Free", "manual": "Manual"}
    )
    text = findings.margins(content)
    assert "**No \\*worse\\*: does not hold.** Free against *Manual*:" in text
    assert "worse by more than the margin" in text and "no score of free, manual" in text and "−0.0200" in text
    content.margins = content.margins.iloc[:0]
    assert findings.margins(content) == ""
