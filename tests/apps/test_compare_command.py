"""`harness compare`: rows two by two."""

import json
import re
import shlex
import shutil

import mlflow
import pytest

from tests.apps.conftest import FOUR


@pytest.fixture(scope="session")
def compared(lab_store, lab):
    from tests.conftest import _command, _working_in

    with _working_in(lab_store):
        metrics = ("--metric", "jaccard_equal", "--metric", "f1_75_fields")
        code, out, err = _command("compare", "--all", *metrics, "--dataset", lab, "--out", "comparison", "--json")
    assert code == 0, err
    return json.loads(out)


def test_all_pairs_with_what_the_fields_could_show(compared):
    first, second = compared
    assert (first["metric"], first["fields"], second["metric"]) == ("jaccard_equal", 6, "f1_75_fields")
    assert sorted(line["row"] for line in first["ranking"]) == sorted(FOUR) and len(first["pairs"]) == 6
    values = [line["value"] for line in first["ranking"]]
    assert values == sorted(values, reverse=True) and first["ranking"][0]["groups"].startswith("a")
    for pair in first["pairs"]:
        assert pair["difference"] >= 0 and pair["low"] <= pair["difference"] <= pair["high"]
        assert pair["p"] >= 2 / 64 or pair["p"] == 0.03125  # of 6 fields there is no smaller one
        assert pair["p_holm"] >= pair["p"] and pair["smallest"] > 0


def test_the_value_is_that_of_the_run(compared, in_lab):
    from harness.experiment import tracking

    tracking.connect()
    logged = {run.row: run.metrics["jaccard_equal"] for run in tracking.runs() if run.row in FOUR}
    for line in compared[0]["ranking"]:
        assert line["value"] == pytest.approx(logged[line["row"]])


def test_markdown_and_figures(compared, lab_store):
    text = (lab_store / "comparison" / "comparison.md").read_text()
    assert "## Jaccard, equal" in text and "## F1 at 0.75, mean over fields" in text and "could show" in text
    assert all((lab_store / "comparison" / f"{each['metric']}.png").stat().st_size > 5000 for each in compared)
    assert json.loads((lab_store / "comparison" / "comparison.json").read_text()) == compared


def test_the_rows_runs_carry_the_comparison(compared, in_lab):
    from harness.experiment import tracking

    tracking.connect()
    pair = compared[0]["pairs"][0]
    runs = {
        run.data.tags["harness.row"]: run.data.metrics
        for run in mlflow.search_runs(search_all_experiments=True, output_format="list")
        if "seeds" in run.data.metrics
    }
    better, worse = runs[pair["better"]], runs[pair["worse"]]
    assert better[f"vs_{pair['worse']}/jaccard_equal_difference"] == pytest.approx(pair["difference"])
    assert worse[f"vs_{pair['better']}/jaccard_equal_difference"] == pytest.approx(-pair["difference"])
    assert worse[f"vs_{pair['better']}/jaccard_equal_high"] == pytest.approx(-pair["low"])
    assert better[f"vs_{pair['worse']}/jaccard_equal_p_holm"] == pytest.approx(pair["p_holm"])
    ranks = [runs[line["row"]]["rank/jaccard_equal"] for line in compared[0]["ranking"]]  # other tests add rows to the store
    assert ranks == [1, 2, 3, 4] == [line["rank"] for line in compared[0]["ranking"]]


def test_two_rows_as_text(in_lab):
    code, out, _ = in_lab("compare", FOUR[0], FOUR[3])
    assert code == 0 and "6 test fields" in out and FOUR[3] in out and FOUR[1] not in out


def test_an_external_row_is_compared_too(harness, fields, tmp_path):
    from harness.core.label_images import write_label_image
    from harness.datasets import open_dataset

    dataset = open_dataset(str(fields))
    (tmp_path / "best").mkdir()
    for name in dataset.splits["test"]:
        write_label_image(tmp_path / "best" / f"{name}.png", dataset.read_nuclei(name))
    assert harness("score", "by-hand", tmp_path / "best", "--dataset", fields)[0] == 0
    assert harness("run", FOUR[3], "--dataset", fields)[0] == 0
    (found,) = json.loads(harness("compare", "by-hand", FOUR[3], "--dataset", fields, "--json")[1])
    assert found["ranking"][0]["row"] == "by-hand" and found["ranking"][0]["value"] > 0.95
    assert found["pairs"][0]["p"] == 0.5 and not found["pairs"][0]["told_apart"]  # two fields show nothing


def test_damaged_rows_are_named_and_what_is_advised_mends_them(harness, fields, tmp_path):
    from harness.core.label_images import write_label_image
    from harness.datasets import open_dataset

    shutil.copytree(fields, tmp_path / "small")
    dataset = open_dataset("small")
    for name in dataset.splits["test"]:
        write_label_image(tmp_path / "by hand" / f"{name}.png", dataset.read_nuclei(name))
    asked = ("--dataset", "small", "--profile", "smoke")
    assert harness("score", "tool", "by hand", *asked[:2])[0] == 0
    assert harness("run", FOUR[3], *asked)[0] == 0
    shutil.rmtree(tmp_path / "mlartifacts")
    for command in (("compare", "--all"), ("compare", "tool", FOUR[3]), ("budget",)):
        code, out, err = harness(*command, *asked)
        assert code == 2 and not out and err.count("\n") == 1 and all(f"{row} (seed 0" in err for row in ("tool", FOUR[3]))
        assert "its per_tile.csv is not there; mlflow runs delete --run-id " in err
    assert harness("report", *asked)[0] == 0
    text = (tmp_path / "report" / "report.md").read_text().replace("\\", "")
    advised = re.findall(r"mlflow runs delete --run-id (\w+), then (harness [^,]+), makes it again", text)
    assert [words for _, words in advised] == [
        f"harness run {FOUR[3]} --dataset small --profile smoke",
        f"harness score tool '{tmp_path / 'by hand'}' --dataset small",
    ]
    for run_id, words in advised:
        mlflow.MlflowClient().delete_run(run_id)
        assert harness(*shlex.split(words)[1:])[0] == 0
    assert harness("compare", "--all", *asked)[0] == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((), "two rows or more"),
        ((FOUR[0],), "nothing to compare"),
        ((FOUR[0], "nothing-known"), "unknown row 'nothing-known'"),
        ((FOUR[0], "network-manual"), "network-manual: not available"),
        (("--all", "--metric", "beauty"), "no metric 'beauty'"),
    ],
)
def test_refusals(in_lab, asked, said):
    code, _, err = in_lab("compare", *asked)
    assert code == 2 and said in err and "Traceback" not in err
