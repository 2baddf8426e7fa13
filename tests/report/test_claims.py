import numpy as np
import pandas as pd
import pytest

from harness.experiment.registry import Registry
from harness.experiment.results import METRICS, RowResults
from harness.report.claims import Evidence, check
from harness.report.statistics import bootstrap

FIELDS = 20
ROWS = {
    "manual": ("network", "manual"),
    "learned": ("network", "cellprofiler:shape/intensity"),
    "consensus": ("network", "consensus"),
    "si": ("classical", "cellprofiler:shape/intensity"),
    "is": ("classical", "cellprofiler:intensity/shape"),
}


def evidence(means, published=None):
    """Rows of these mean scores, every field of which lies near its row's mean."""
    book = Registry.model_validate(
        {"rows": {name: {"title": name, "method": method, "labels": labels} for name, (method, labels) in ROWS.items()}}
    )
    noise = np.random.default_rng(1).normal(0, 0.01, (len(means), FIELDS))
    scores = {name: mean + each for (name, mean), each in zip(means.items(), noise, strict=True)}
    results = {name: RowResults(name, row, ["a run"] if name in means else [], []) for name, row in book.rows.items()}
    index = pd.MultiIndex.from_product([[0], range(FIELDS)], names=["seed", "field"])
    boot = {
        (name, metric): bootstrap(pd.DataFrame({"above": each, "below": 1.0}, index=index))
        for name, each in scores.items()
        for metric in METRICS
    }
    fields = pd.concat({name: pd.DataFrame(dict.fromkeys(METRICS, each)) for name, each in scores.items()})
    return Evidence(results, boot, fields, published or {})


def verdicts(means):
    lines = check(evidence(means))
    jaccard = lines[lines["metric"] == "jaccard"]
    return dict(zip([claim.split()[0] for claim in jaccard["claim"]], jaccard["verdict"], strict=True))


PAPER = {"manual": 0.89, "learned": 0.84, "consensus": 0.80, "si": 0.50, "is": 0.40}


def test_claims_that_hold():
    assert verdicts(PAPER) == {"A": "holds", "Shape/Intensity": "holds", "Training": "holds", "Automatic": "holds"}


def test_claims_that_do_not_hold():
    other = {"manual": 0.89, "learned": 0.5, "consensus": 0.80, "si": 0.55, "is": 0.54}
    assert set(verdicts(other).values()) == {"does not hold"}


def test_claims_that_cannot_be_told():
    assert set(verdicts(dict.fromkeys(PAPER, 0.5)).values()) == {"cannot be told"}
    missing = check(evidence({"manual": 0.9, "is": 0.4}))
    assert set(missing["verdict"]) == {"cannot be told"}
    assert "learned" in missing["why"].iloc[0]


def test_best_of_all_needs_all_rows():
    alone = {name: mean for name, mean in PAPER.items() if name != "is"}
    assert verdicts(alone)["Shape/Intensity"] == "cannot be told"


def test_numbers_of_a_line_are_those_of_its_rows():
    given = evidence(PAPER, {("learned", "jaccard"): 0.838, ("si", "jaccard"): 0.504})
    line = check(given).query("better == 'learned' and worse == 'si' and metric == 'jaccard'").iloc[0]
    assert line["difference"] == pytest.approx(
        given.fields.loc["learned", "jaccard"].mean() - given.fields.loc["si", "jaccard"].mean()
    )
    assert line["low"] < line["difference"] < line["high"] and line["p"] < 0.001 and line["fields"] == FIELDS
    assert line["published"] == pytest.approx(0.334)


def test_a_registry_without_the_papers_rows_has_nothing_to_check():
    book = Registry.model_validate({"rows": {"own": {"title": "Own", "method": "network", "labels": "manual"}}})
    results = {"own": RowResults("own", book.rows["own"], [], [])}
    assert check(Evidence(results, {}, pd.DataFrame(), {})).empty
