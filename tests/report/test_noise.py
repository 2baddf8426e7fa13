"""What wrong labels cost a network, kept and ignored, and from which level on ignoring them pays."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from harness.experiment.registry import load_registry
from harness.experiment.results import RowResults
from harness.report import across, content, figures
from harness.report.claims import UNSURE
from harness.report.noise import IGNORE, KEEP, METRICS, NEVER, doses, pays_from
from harness.report.statistics import bootstrap
from harness.report.text import findings

BOOK = load_registry("experiments/noise.toml")


def results(names=BOOK.rows):
    return {name: RowResults(name, row, [SimpleNamespace(run_id=name)] * (name in names), []) for name, row in BOOK.rows.items()}


def boot(cost, gain, spread=0.01, fields=40):
    """Every row scores 0.9 less its cost; a row that ignores what is wrong gets the gain back, give or take a field's spread."""
    rng, made = np.random.default_rng(0), {}
    index = pd.MultiIndex.from_product([[0], range(fields)], names=["seed", "field"])
    for name, row in BOOK.rows.items():
        step = row.refine[-1] if name.split("-")[0] in {"noise", "merged", "outline", "shifted"} else None
        level = abs(step.get("by", step.get("share", 0))) if step else 0
        value = 0.9 - cost * level + (gain(level) if step and step["mask"] else 0)
        for metric in METRICS:
            values = value + spread * rng.normal(0, 1, fields)
            made[name, metric] = bootstrap(pd.DataFrame({"above": values, "below": 1.0}, index=index))
    return made


def test_every_kind_and_level_of_the_study_is_compared_with_the_row_without_noise():
    found = doses(results(), boot(0.1, lambda level: 0.05))
    assert set(found["kind"]) == {"missing", "split", "false", "merged", "outline inwards", "outline outwards", "shifted"}
    assert len(found) == (9 + 3 + 4 + 3) * len(METRICS)  # of shares, merged, outlines, shifts
    assert set(found["row_clean"]) == {"network-manual"} and (found["mask"] == "what is wrong").all()
    line = found[(found["kind"] == "outline inwards") & (found["level"] == 2) & (found["metric"] == "jaccard_equal")].iloc[0]
    assert (line["row_kept"], line["row_ignored"], line["unit"]) == ("outline--2-0", "outline--2-1", "px")
    assert line["kept"] == pytest.approx(-0.2, abs=0.01) and line["gain"] == pytest.approx(0.05, abs=0.01)
    assert line["kept_low"] < line["kept"] < line["kept_high"] and line["verdict"] == IGNORE


@pytest.mark.parametrize(("gain", "verdict"), [(0.02, IGNORE), (-0.02, KEEP), (0.0, UNSURE)])
def test_a_verdict_needs_more_than_chance(gain, verdict):
    found = doses(results(), boot(0.1, lambda _: gain))
    assert (found["verdict"] == verdict).mean() >= 0.95 and (found["p_holm"] >= found["p"]).all()


def test_rows_that_are_not_done_and_other_refinements_are_left_out():
    some = {"network-manual", "noise-missing-0.1-0", "noise-missing-0.1-1", "noise-missing-0.2-0", "network-recipe"}
    found = doses(results(some), boot(0.1, lambda _: 0))
    assert list(found["level"].unique()) == [0.1] and len(found) == len(METRICS)
    assert doses(results(some - {"network-manual"}), boot(0.1, lambda _: 0)).empty
    assert doses({}, {}).empty


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([IGNORE, IGNORE, IGNORE], "from 1 on"),
        ([IGNORE, UNSURE, IGNORE], "from 4 on"),
        ([IGNORE, IGNORE, KEEP], NEVER),
        ([UNSURE] * 3, NEVER),
    ],
)
def test_ignoring_pays_from_a_level_on_where_it_does_at_all_above(verdicts, said):
    assert pays_from(pd.DataFrame({"level": [1, 2, 4], "verdict": verdicts})) == said


@pytest.fixture(scope="module")
def noisy(book, resolve, small, seven):
    """A report whose rows have no noise, with the table of others'."""
    return replace(
        content.gather(book, resolve, small, "quick", seven),
        noise=doses(results(), boot(0.1, lambda level: 0.05 * (level > 0.2))),
    )


def test_the_report_says_it_in_words_and_draws_it(noisy, tmp_path):
    text = findings.noise(noisy)
    assert "missing, ignoring what is wrong: from 0.4 on" in text and "shifted, ignoring what is wrong: from 1 on" in text
    assert text.count("| missing ") == 3 * len(METRICS)
    (drawn,) = figures._of_noise(noisy, tmp_path)
    assert drawn.name == "noise.png" and (tmp_path / "noise.png").stat().st_size > 10_000
    assert findings.noise(replace(noisy, noise=doses({}, {}))) == ""


def test_data_sets_are_put_side_by_side(noisy, tmp_path):
    other = replace(noisy, dataset=replace(noisy.dataset, name="other"), noise=doses(results(), boot(0.1, lambda _: 0)))
    found = across.gather([noisy, other])
    assert set(found.noise["dataset"]) == {"synthetic", "other"}
    across.write(found, tmp_path / "out")
    text = (tmp_path / "out/across.md").read_text()
    assert "from 0.4 on (0.4: " in text and NEVER in text
    assert (tmp_path / "out/figures/noise.png").exists() and (tmp_path / "out/tables/noise.csv").exists()
