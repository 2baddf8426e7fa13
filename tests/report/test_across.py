"""One table over data sets: values, ranks with their uncertainty, and on how many data sets a claim holds."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness.core.errors import HarnessError
from harness.core.markdown import NONE
from harness.experiment.registry import Claim
from harness.report import across, content, margins
from harness.report.statistics import RESAMPLES


@pytest.fixture(scope="module")
def one(book, resolve, small, seven):
    return content.gather(book, resolve, small, "quick", seven)


@pytest.fixture(scope="module")
def found(one):
    """The same runs as if of two data sets, the second without one row."""
    gone = "classical-shape-shape"
    boot = {key: values for key, values in one.boot.items() if key[0] != gone}
    results = one.results | {gone: one.results[gone]._replace(runs=[])}
    return across.gather([one, replace(one, dataset=replace(one.dataset, name="other"), boot=boot, results=results)])


def test_ranks_are_those_of_the_values_and_of_each_resample():
    values = np.ones((3, 1 + RESAMPLES)) * [[0.9], [0.8], [0.8]]
    values[1, 1:5001] = 0.95  # ahead on half of the resamples
    boot = {(row, "jaccard"): each for row, each in zip("abc", values, strict=True)}
    ranked = across.ranks(type("Content", (), {"boot": boot}), "jaccard", list("abc"))
    assert [ranked[row][0] for row in "abc"] == [1, 2.5, 2.5]
    assert (ranked["a"][1:5001] == 2).all() and (ranked["b"][5001:] == 2.5).all()


def test_scores_ranks_and_claims(one, found):
    scores = found.scores.set_index(["dataset", "row", "metric"])
    cell = scores.loc["synthetic", "network-consensus", "jaccard_equal"]
    assert cell["value"] == one.boot["network-consensus", "jaccard_equal"][0] and cell["low"] <= cell["value"] <= cell["high"]
    there = scores.loc["synthetic"].xs("jaccard_equal", level="metric")
    competing = there.drop("network-manual")
    assert np.isnan(there.loc["network-manual", "rank"])  # it learned from the annotation
    assert (competing["value"].rank(ascending=False) == competing["rank"]).all()
    assert (competing["rank_low"] <= competing["rank"]).all() and 0 <= competing["first"].min() <= competing["first"].max() <= 1
    assert scores.loc["other", "classical-shape-shape", "jaccard"]["state"] == "not run"
    mean = found.ranks[found.ranks["metric"] == "jaccard_equal"].set_index("row")
    assert set(mean.index) == set(competing.index) - {"classical-shape-shape"}  # scored on all data sets
    assert sorted(mean["value"]) == [1, 2, 3, 4, 5] and (mean["low"] <= mean["value"]).all()
    assert set(found.claims["dataset"]) == {"synthetic", "other"}


def test_claims_of_the_registry_stand_beside_the_paper_s(one):
    about = {"title": "Not *worse*", "row": "network-consensus", "reference": "network-manual", "margins": {"jaccard_equal": 0.9}}
    book = one.registry.model_copy(update={"claims": {"c": Claim.model_validate(about)}})
    found = across.gather([replace(one, margins=margins.check(book, one.boot))])
    own = found.claims[found.claims["claim"] == "Not *worse*"]
    assert own[["row", "metric", "verdict"]].to_numpy().tolist() == [["network-consensus", "jaccard_equal", "holds"]]
    assert "Not \\*worse\\*" in across.markdown(found)


def test_data_sets_of_equally_many_fields_are_resampled_independently(one):
    first, second = across._order(0), across._order(1)
    assert first[0] == second[0] == 0 and sorted(first) == list(range(1 + RESAMPLES)) and (first != second).mean() > 0.99


def test_the_folder_holds_what_was_found_and_replaces_an_earlier_one_alone(found, tmp_path):
    out = tmp_path / "report"
    across.write(found, out)
    across.write(found, out)
    text = (out / "across.md").read_text()
    assert "# 2 data sets" in text and "mean rank" in text and "of 2" in text and "*DL trained on GT*" in text
    held = json.loads((out / "results.json").read_text(), parse_constant=lambda _: pytest.fail("no JSON"))
    assert [each["name"] for each in held["datasets"]] == ["synthetic", "other"] and len(held["scores"]) == len(found.scores)
    assert len(pd.read_csv(out / "tables" / "scores.csv")) == len(found.scores) == 2 * 7 * 4
    assert (out / "figures" / "across.png").stat().st_size > 5000
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(HarnessError, match="is no report"):
        across.write(found, tmp_path / "mine")


def test_data_sets_without_runs_are_refused(one):
    nothing = {row: result._replace(runs=[]) for row, result in one.results.items()}
    with pytest.raises(HarnessError, match="no row is done on synthetic"):
        across.gather([replace(one, results=nothing)])


ONE_ROW = (
    '[rows.one]\ntitle = "One"\nmethod = "classical"\nlabels = "cellprofiler:shape/intensity"\n'
    '[tables.t]\ntitle = "T"\nmetrics = ["dice_nuclei"]\n'
)


def test_what_a_network_learned_on_stands_beside_what_it_is_scored_on(one):
    scored = [("synthetic", "synthetic", 0.8), ("elsewhere", "synthetic", 0.7), ("elsewhere", "elsewhere", 0.9)]
    pairs = pd.DataFrame(scored, columns=["learned_on", "scored_on", "jaccard_equal"]).assign(row="network-manual", seeds=1)
    other = replace(one, dataset=replace(one.dataset, name="other"), transfer=pairs)
    text = across.markdown(across.gather([replace(one, transfer=pairs), other]))
    title = one.results["network-manual"].row.title
    *_, head, _, first, second = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    assert head == ["", "learned on", "synthetic", "other"]
    assert first == [f"*{title}*", "`synthetic`", "0.800", NONE] and second[1:] == ["`elsewhere`", "0.700", NONE]


def test_the_command(harness, fields, tmp_path):
    shutil.copytree(fields, tmp_path / "twin")
    (tmp_path / "one.toml").write_text(ONE_ROW)
    both = ("--dataset", fields, "--dataset", tmp_path / "twin", "--file", tmp_path / "one.toml", "--profile", "smoke")
    assert harness("reproduce", *both, "--predictions")[0] == 2
    code, _, err = harness("reproduce", "--dataset", fields, *both)
    assert code == 2 and "two of the data sets are called small" in err and not (tmp_path / "report").exists()
    code, out, err = harness("reproduce", *both)
    assert code == 0 and "across.md" in out, err
    made = (tmp_path / "report" / "across.md").read_text()
    assert "small" in made and "twin" in made
    assert harness("report", *both)[0] == 0
