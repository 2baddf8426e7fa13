"""What wrong labels cost a network, and from which level on a remedy helps."""

from collections import defaultdict
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from harness.experiment.registry import load_registry
from harness.experiment.results import RowResults
from harness.report import across, content, figures
from harness.report.claims import UNSURE
from harness.report.noise import BAND, HARMS, HELPS, LINEAR, MASKS, METRICS, NEVER, NO_NOISE, doses, helps_from
from harness.report.statistics import bootstrap
from harness.report.tables import of_seeds
from harness.report.text import findings
from harness.sources.noise import ORACLE, Noise

BOOK = load_registry("experiments/noise.toml")


def results(names=BOOK.rows):
    return {
        name: RowResults(name, row, [SimpleNamespace(run_id=name, seed=0)] * (name in names), [])
        for name, row in BOOK.rows.items()
    }


def boot(cost, gain, spread=0.01, fields=40):
    """Every row scores 0.9 less its cost; a row with a remedy gets the gain back, give or take a field's spread."""
    rng, made = np.random.default_rng(0), {}
    index = pd.MultiIndex.from_product([[0], range(fields)], names=["seed", "field"])
    for name, row in BOOK.rows.items():
        steps = [step for step in getattr(row.source, "steps", ()) if isinstance(step, Noise)] if name != "network-recipe" else []
        level = sum(abs(getattr(step, "by", step.share)) for step in steps)
        remedied = name.startswith(("linear", "band")) or any(step.mask for step in steps)
        value = 0.9 - cost * level + (gain(level) if remedied else 0)
        for metric in METRICS:
            values = value + spread * rng.normal(0, 1, fields)
            made[name, metric] = bootstrap(pd.DataFrame({"above": values, "below": 1.0}, index=index))
    return lambda row, seeds: made


def test_every_kind_and_level_of_the_study_is_compared_with_the_row_without_noise():
    found = doses(results(), boot(0.1, lambda level: 0.05))
    kinds = {"missing", "split", "false", "merged", "outline inwards", "outline outwards", "shifted"}
    assert set(found["kind"]) == kinds | {NO_NOISE} and set(found["row_clean"]) == {"network-manual"}
    masked = found[found["remedy"] == MASKS[ORACLE]]
    assert len(masked) == (9 + 3 + 4 + 3) * len(METRICS)  # of shares, merged, outlines, shifts
    line = masked[(masked["kind"] == "outline inwards") & (masked["level"] == 2) & (masked["metric"] == "jaccard_equal")].iloc[0]
    assert (line["row_kept"], line["row_remedied"], line["unit"]) == ("outline--2-0", "outline--2-1", "px")
    assert line["kept"] == pytest.approx(-0.2, abs=0.01) and line["gain"] == pytest.approx(0.05, abs=0.01)
    assert line["kept_low"] < line["kept"] < line["kept_high"] and line["verdict"] == HELPS


@pytest.mark.parametrize(("remedy", "called"), [(LINEAR, "linear"), (BAND, "band")])
def test_remedies_that_know_nothing_are_tried_at_one_level_of_each_kind_and_without_noise(remedy, called):
    found = doses(results(), boot(0.1, lambda level: 0.05))
    lines = found[found["remedy"] == remedy]
    kept = dict(zip(lines["row_remedied"], lines["row_kept"], strict=True))
    assert len(lines) == 7 * len(METRICS) and kept[f"{called}-manual"] == "network-manual"
    assert kept[f"{called}-missing-0.2"] == "noise-missing-0.2-0" and kept[f"{called}-px-outline-2"] == "outline-2-0"
    assert (lines[lines["kind"] == NO_NOISE]["kept"] == 0).all()
    alone = {"network-manual", f"{called}-manual"}
    assert doses(results(alone), boot(0.1, lambda _: 0)).empty


@pytest.mark.parametrize(("gain", "verdict"), [(0.02, HELPS), (-0.02, HARMS), (0.0, UNSURE)])
def test_a_verdict_needs_more_than_chance(gain, verdict):
    found = doses(results(), boot(0.1, lambda _: gain))
    assert (found["verdict"] == verdict).mean() >= 0.95 and (found["p_holm"] >= found["p"]).all()


def test_rows_that_are_not_done_and_other_refinements_are_left_out():
    some = {"network-manual", "noise-missing-0.1-0", "noise-missing-0.1-1", "noise-missing-0.2-0", "network-recipe"}
    found = doses(results(some), boot(0.1, lambda _: 0))
    assert list(found["level"].unique()) == [0.1] and len(found) == len(METRICS)
    assert doses(results(some - {"network-manual"}), boot(0.1, lambda _: 0)).empty
    assert doses({}, lambda row, seeds: {}).empty


def test_a_seed_that_one_row_lacks_counts_for_none():
    """What learned nothing in one row would else be compared with the mean of good and bad luck in another."""
    done = results({"network-manual", "noise-missing-0.1-0", "noise-missing-0.1-1"})
    for row, seeds in (("network-manual", (0, 1, 2)), ("noise-missing-0.1-0", (0, 1)), ("noise-missing-0.1-1", (1,))):
        done[row] = done[row]._replace(runs=[SimpleNamespace(run_id=f"{row}-{seed}", seed=seed) for seed in seeds])

    def of(some):
        values = {row: np.full(3, sum(1.0 + run.seed for run in result.runs)) for row, result in some.items() if result.runs}
        return {(row, metric): each for row, each in values.items() for metric in METRICS}

    found = doses(done, partial(of_seeds, results=done, boot=of(done), again=of))
    assert (found["seeds"] == 1).all() and (found["clean"] == 2).all()  # of seed 1 alone
    done["noise-missing-0.1-1"] = done["noise-missing-0.1-1"]._replace(runs=[SimpleNamespace(run_id="another", seed=3)])
    assert doses(done, partial(of_seeds, results=done, boot=of(done), again=of))["gain"].isna().all()  # no seed in common


def test_what_is_asked_of_all_seeds_of_a_row_is_not_worked_out_again():
    assert of_seeds("network-manual", frozenset({0}), results(), {"as": "it was"}, pytest.fail) == {"as": "it was"}


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([HELPS, HELPS, HELPS], "from 1 on"),
        ([HELPS, UNSURE, HELPS], "from 4 on"),
        ([HELPS, HELPS, HARMS], NEVER),
        ([UNSURE] * 3, NEVER),
    ],
)
def test_ignoring_helps_from_a_level_on_where_it_does_at_all_above(verdicts, said):
    assert helps_from(pd.DataFrame({"level": [1, 2, 4], "verdict": verdicts})) == said


@pytest.fixture(scope="module")
def noisy(book, resolve, small, seven):
    """A report whose rows have no noise, with the table of others'."""
    return replace(
        content.gather(book, resolve, small, "quick", seven),
        noise=doses(results(), boot(0.1, lambda level: 0.05 * (level > 0.2))),
    )


def test_the_report_says_it_in_words_and_draws_it(noisy, tmp_path):
    text = findings.noise(noisy)
    assert "missing, what is wrong ignored: from 0.4 on" in text and "shifted, what is wrong ignored: from 1 on" in text
    assert text.count("| missing ") == 5 * len(METRICS)
    (drawn,) = figures._of_noise(noisy, tmp_path)
    assert drawn.name == "noise.png" and (tmp_path / "noise.png").stat().st_size > 10_000
    assert findings.noise(replace(noisy, noise=doses({}, lambda row, seeds: {}))) == ""


def test_the_figure_of_all_rows_leaves_rows_with_noise_to_their_own(noisy):
    rows = ["network-manual", "noise-missing-0.1-0"]
    some = replace(noisy, registry=BOOK, results=results(), boot=defaultdict(lambda: np.ones(3)))
    for shown, expected in ((rows, rows[:1]), (rows[1:], rows[1:])):
        figure = figures.scores.iou_curves(replace(some, quality=pd.DataFrame({"row": shown})))
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [BOOK.rows[row].title for row in expected]


def test_data_sets_are_put_side_by_side(noisy, tmp_path):
    other = replace(noisy, dataset=replace(noisy.dataset, name="other"), noise=doses(results(), boot(0.1, lambda _: 0)))
    found = across.gather([noisy, other])
    assert set(found.noise["dataset"]) == {"synthetic", "other"}
    across.write(found, tmp_path / "out")
    text = (tmp_path / "out/across.md").read_text()
    assert "from 0.4 on (0.4: " in text and NEVER in text
    assert (tmp_path / "out/figures/noise.png").exists() and (tmp_path / "out/tables/noise.csv").exists()


def test_where_no_mask_is_tried_there_is_a_table_and_no_figure(noisy, tmp_path):
    lines = doses(results({"network-manual", "noise-missing-0.2-0", "linear-missing-0.2"}), boot(0.1, lambda _: 0.05))
    some = replace(noisy, noise=lines)
    assert f"missing, {LINEAR}: from 0.2 on" in findings.noise(some) and figures._of_noise(some, tmp_path) == []
    across.write(across.gather([some]), tmp_path / "out")
    assert LINEAR in (text := (tmp_path / "out/across.md").read_text()) and "noise.png" not in text
