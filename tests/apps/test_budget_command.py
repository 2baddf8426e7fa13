"""`harness budget`: what a pilot says, what is needed, and what to annotate next."""

import json
from dataclasses import replace

import pytest

from tests.apps.conftest import FOUR


@pytest.fixture(scope="session")
def planned(lab_store, lab):
    from tests.conftest import _command, _working_in

    with _working_in(lab_store):
        code, out, err = _command("budget", "--dataset", lab, "--json", "--next", 4, "--out", "plan")
    assert code == 0, err
    return json.loads(out)


def test_every_row_and_pair_with_what_is_needed(planned):
    assert (planned["metric"], planned["annotated"], planned["others"]) == ("jaccard_equal", 6, 16)
    assert sorted(line["row"] for line in planned["rows"]) == sorted(FOUR) and len(planned["pairs"]) == 6
    for line in planned["rows"]:
        if not line["refused"]:
            assert line["low"] < line["value"] < line["high"] and line["alone_low"] < line["alone_high"]
            assert line["more"] == max(0, line["fields"] - 6) and line["fields"] <= line["fields_alone"]
            assert all(isinstance(line[name], int) for name in ("fields", "fields_alone", "more", "nuclei"))
    assert any(not line["refused"] for line in planned["rows"])


def test_the_next_fields_are_without_annotation(planned, lab):
    from harness.datasets import open_dataset

    dataset = open_dataset(str(lab))
    named = [line["field"] for line in planned["next"]]
    assert len(set(named)) == 4 and set(named) <= dataset.unannotated
    assert all(line["nuclei"] > 0 for line in planned["next"])


def test_what_was_looked_at_once_is_not_looked_at_again(planned, in_lab):
    code, out, err = in_lab("budget", "--json", "--next", 4)
    assert code == 0 and json.loads(out) == planned and "done once" not in err


def test_words_for_people(planned, in_lab, lab_store):
    code, out, _ = in_lab("budget", FOUR[0], "--metric", "f1_75_fields")
    assert code == 0 and "6 annotated fields, 16 without" in out and "Annotate next: " in out and FOUR[1] not in out
    assert "nuclei to draw" in (lab_store / "plan" / "budget.md").read_text()


def test_agreement_is_never_printed(planned, in_lab):
    assert "agreement" not in in_lab("budget")[1].lower() and "agree" not in json.dumps(planned)


def test_no_mask_is_looked_at(in_lab, lab, lab_store):
    """Scores come from the store, all else from images: a data set that cannot read a mask plans the same."""
    from harness.apps.budget import plan
    from harness.experiment.evidence import compare_field, gather
    from harness.experiment.session import connect, prepare

    def refuse(name):
        raise AssertionError(f"the mask of {name} was read")

    session = connect(prepare(str(lab)))
    blind = replace(session.dataset, read_nuclei=refuse)
    assert len(plan(blind, session.results(), [], "f1_50", print).rows) == 4
    sources = {name: result for name, result in session.results().items() if result.runs}
    nuclei, pairs = compare_field(blind, gather(blind, sources, print).labels, blind.splits["test"][0])
    assert len(pairs) == 6 and set(nuclei["row"]) == set(FOUR)


def test_differences_of_networks_come_with_a_warning(in_lab, lab):
    """A classical row stands in as a network: what is warned of is the kind of row and the size of the pilot."""
    from harness.apps.budget import plan, to_do
    from harness.experiment.session import connect, prepare

    session = connect(prepare(str(lab)))
    results = session.results()
    given = results[FOUR[0]]
    learned = results | {FOUR[0]: given._replace(row=given.row.model_copy(update={"method": "network"}))}
    found = plan(session.dataset, learned, list(FOUR), "f1_50", print)
    assert found.narrow == [FOUR[0]] and any(f"`{FOUR[0]}` as too narrow" in line for line in to_do(found))
    assert not plan(session.dataset, results, list(FOUR), "f1_50", print).narrow
    assert not plan(session.dataset, learned, [FOUR[0]], "f1_50", print).narrow  # no difference, nothing to warn of


def test_a_single_source_has_no_control_and_says_so(harness, lab):
    assert harness("run", FOUR[0], "--dataset", lab)[0] == 0
    code, out, _ = harness("budget", "--dataset", lab)
    assert code == 0 and "no control variate" in out and "No field without annotation" in out


def test_a_pilot_that_is_too_small_is_refused_in_words(harness, fields):
    assert harness("run", *FOUR[:2], "--dataset", fields)[0] == 0
    code, out, _ = harness("budget", "--dataset", fields)
    assert code == 0 and "2 annotated fields say nothing; annotate 4 at least" in out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--metric", "dice_nuclei"), "no metric 'dice_nuclei' to plan by"),
        (("unheard-of",), "unknown row 'unheard-of'"),
        (("network-consensus",), "run it first"),
    ],
)
def test_refusals(in_lab, asked, said):
    code, _, err = in_lab("budget", *asked)
    assert code == 2 and said in err and "Traceback" not in err


def test_no_runs_at_all(harness, fields):
    code, _, err = harness("budget", "--dataset", fields)
    assert code == 2 and "no row has a run here" in err


def test_once_worked_out_a_budget_needs_the_store_alone(lab_store, in_lab):
    """The last `--dataset` counts; no folder here is called lab."""
    from tests.conftest import _command

    known = in_lab("budget", "--json")
    assert _command("budget", "--json", "--dataset", "lab")[:2] == known[:2] and json.loads(known[1])["others"] == 16
