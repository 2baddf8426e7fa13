import base64
import html
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from harness import report
from harness.core.errors import HarnessError
from harness.experiment import tracking
from harness.experiment.registry import Registry
from harness.report.content import OWN_TABLES
from harness.scoring import pixels


@pytest.fixture(scope="module")
def written(tmp_path_factory, book, resolve, small, seven):
    """A report of all seven rows, and what `write` returned."""
    out = tmp_path_factory.mktemp("written") / "report"
    return out, report.write(book, resolve, small, "quick", seven, out)


def strict(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def test_folder_holds_what_it_should(written):
    out, returned = written
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    tables = ("dice", "jaccard", *OWN_TABLES)
    pictures = (
        "input",
        "scores",
        "iou",
        "labels",
        "network-16-32",
        "learning-curves",
        "fields-classical-shape-intensity",
        "postprocessing-network-consensus",
    )
    assert {
        "report.md",
        "report.html",
        "results.json",
        "per_image.csv",
        *(f"tables/{name}.csv" for name in tables),
        *(f"figures/{name}.png" for name in pictures),
    } <= names
    assert strict(out / "results.json") == returned


def test_every_cell_is_the_value_of_the_runs_it_names(written, seven):
    metrics = {run.run_id: run.metrics for run in seven}
    for table in written[1]["tables"].values():
        assert len(table["cells"]) == 7 * len(table["metrics"])
        for cell in table["cells"]:
            assert [metrics[run["run_id"]][cell["metric"]] for run in cell["runs"]] == [cell["value"]]
            assert cell["low"] <= cell["value"] <= cell["high"]


def test_runs_of_results_json(written, seven):
    keys = {"row", "seed", "run_id", "profile", "dataset", "spec_hash", "metrics"}
    assert all(set(run) == keys for run in written[1]["runs"])
    assert [run["metrics"] for run in written[1]["runs"]] == [run.metrics for run in seven]


def test_published_values_and_differences(written):
    cells = pd.DataFrame(written[1]["tables"]["jaccard"]["cells"]).set_index(["row", "metric"])
    cell = cells.loc["network-shape-intensity", "jaccard"]
    assert cell["published"] == 0.838 and cell["difference"] == pytest.approx(cell["value"] - 0.838)
    assert np.isnan(cells.loc["network-shape-intensity", "jaccard_equal"]["published"])


def test_published_values_stand_beside_results_on_their_data_set_alone(tmp_path, book, resolve, small, seven):
    elsewhere = book.model_copy(update={"dataset": "bbbc039"})
    results = report.write(elsewhere, resolve, small, "quick", seven, tmp_path / "report", figures=False)
    cells = [cell for table in results["tables"].values() for cell in table["cells"]]
    assert {cell["published"] for cell in cells} == {cell["difference"] for cell in cells} == {None}
    assert "The paper's values are of `bbbc039`" in (tmp_path / "report" / "report.md").read_text()


def test_the_third_table_sets_published_times_beside_those_measured(written):
    table = (written[0] / "report.md").read_text().split("## Table 3. Processing times")[1].split("Whole runs")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if "|" in line]
    lines = {first: rest for first, *rest in cells}
    assert lines["Published"] == ["43", "140", "12", "2", "5", "9"]
    assert lines["DL trained on Consensus"][:4] == ["310.0", "992", "125.0", "0.8"]  # 3,200 steps, and 6 tiles
    assert "busy" not in table


def test_a_time_is_marked_where_other_processes_had_the_cores(tmp_path, book, resolve, small, seven):
    others = seven[0].metrics | {"seconds_training_others": 0.15 * 2 * 70}
    busy = [seven[0]._replace(metrics=others), *seven[1:]]
    results = report.write(book, resolve, small, "quick", busy, tmp_path / "report", figures=False)
    assert [line["busy"] for line in results["timings"]] == [True] + [False] * 6
    text = (tmp_path / "report" / "report.md").read_text()
    assert "310.0 *busy*" in text and "such a time is no benchmark" in text


def test_times_that_an_earlier_harness_took_otherwise_are_not_shown(tmp_path, book, resolve, small, seven):
    older = {name: value for name, value in seven[0].metrics.items() if name not in ("seconds_train_step", "seconds_tile")}
    runs = [seven[0]._replace(metrics=older | {"seconds_step": 0.629})]
    results = report.write(book, resolve, small, "quick", runs, tmp_path / "report", figures=False)
    assert results["timings"][0]["step_ms"] is None and results["timings"][0]["training"] == 70
    assert "629" not in (tmp_path / "report" / "report.md").read_text().split("## Table 3")[1].split("## What")[0]


def test_markdown_has_the_papers_rows_in_order_with_the_best_in_bold(written, book):
    lines = (written[0] / "report.md").read_text().split("## Table 2")[1].splitlines()
    table = [line for line in lines if line.startswith("| ")][2:9]
    names = [row.title for row in book.rows.values()]
    assert [line.split("|")[1].strip() for line in table] == [f"*{names[0]}*", *names[1:]]
    assert "**" in table[1] and not any("**" in line for line in [table[0], *table[2:]])  # GT is best, and does not compete


def test_rows_that_a_table_of_the_paper_does_not_have_come_last_and_are_marked(tmp_path, book, resolve, small, seven):
    table = book.tables["dice"].model_copy(update={"published": {"classical-shape-shape": [0.9], "network-manual": [0.9]}})
    own = book.model_copy(update={"tables": {"dice": table}})
    report.write(own, resolve, small, "quick", seven, tmp_path / "report", figures=False)
    text = (tmp_path / "report" / "report.md").read_text()
    rows = [line.split("|")[1].strip() for line in text.split("## Table 1")[1].splitlines() if line.startswith("| ")][2:9]
    assert rows[:3] == ["*DL trained on GT*", "Classical Shape/Shape", "DL trained on Shape/Intensity †"]
    assert all(row.endswith("†") for row in rows[2:]) and "† Not in the paper's table." in text


def test_the_cell_farthest_from_the_print_is_named(written):
    cells = [cell for cell in written[1]["tables"]["dice"]["cells"] if cell["difference"] is not None]
    farthest = max(cells, key=lambda cell: abs(cell["difference"]))
    text = (written[0] / "report.md").read_text()
    (said,) = re.findall(r"Farthest from the print: \*?([^,*]*)\*?, ([^,]*, [^,]*), ", text.split("## Table 2")[0])
    assert (
        said[0] == farthest["title"]
        and said[1] == {"dice_nuclei": "Dice, nuclei", "dice_separations": "Dice, separations"}[farthest["metric"]]
    )


def test_one_training_per_row_is_said_where_it_matters(written):
    assert "One training stands for each network row" in (written[0] / "report.md").read_text()


def test_pictures_named_in_the_text_are_there_and_the_page_needs_none(written):
    out = written[0]
    text, page = (out / "report.md").read_text(), (out / "report.html").read_text()
    pictures = [part.split(")")[0] for part in text.split("](")[1:]]
    assert len(pictures) >= 12 and all((out / picture).read_bytes().startswith(b"\x89PNG") for picture in pictures)
    assert page.count('src="data:image/png;base64,') == len(pictures)
    assert re.findall(r'(?:src|href)="(?!data:)[^"]*"|url\(', page) == []


def test_per_image_holds_what_the_runs_stored(written, seven):
    table = pd.read_csv(written[0] / "per_image.csv")
    for run in seven:
        stored = pd.read_csv(tracking.artifact(run, "per_field.csv"))
        mine = table[table["run_id"] == run.run_id].reset_index(drop=True)[list(stored)]
        pd.testing.assert_frame_equal(mine, stored)


def test_protocol_effect_is_the_difference_of_the_cells(written, seven):
    by_row = {run.row: run.metrics for run in seven}
    (effect,) = written[1]["effect"]
    network, classical = by_row["network-shape-intensity"], by_row["classical-shape-intensity"]
    assert effect["protocol_lift_value"] == pytest.approx(classical["jaccard_equal"] - classical["jaccard"])
    table = pd.DataFrame(written[1]["sensitivity"]).set_index(["row", "erosion", "unit", "smallest"])["jaccard"]
    assert effect["between_classical"] == table["classical-shape-intensity", "object", "tile", 25]
    assert effect["jaccard_equal_gain_value"] == pytest.approx(network["jaccard_equal"] - classical["jaccard_equal"])


def test_sensitivity_agrees_with_the_tables(written, seven):
    table = pd.DataFrame(written[1]["sensitivity"]).set_index(["row", "erosion", "unit", "smallest"])["jaccard"]
    for run in seven:
        assert table[run.row, "mask", "tile", 25] == pytest.approx(run.metrics["jaccard"])
        assert table[run.row, "object", "field", 25] == pytest.approx(run.metrics["jaccard_equal"])


def test_stale_failed_and_missing_rows_say_so_and_enter_no_number(tmp_path, book, resolve, small, seven):
    failed = seven[1]._replace(state="failed", tags={"harness.failure": "no disk"})
    runs = [seven[0]._replace(spec_hash="older"), failed, *seven[4:]]
    results = report.write(book, resolve, small, "quick", runs, tmp_path / "report", figures=False)
    states = {cell["row"]: (cell["state"], cell["value"]) for cell in results["tables"]["dice"]["cells"]}
    assert states["network-manual"] == ("stale", None)
    assert states["network-shape-intensity"] == ("failed", None)
    assert states["network-consensus"] == ("not available", None)  # this data set has test fields alone
    assert states[seven[3].row] == ("not run", None)
    assert states[seven[4].row][0] == "done"
    text = (tmp_path / "report" / "report.md").read_text()
    assert "no disk" in text and "| stale |" in text.replace("  ", "")
    assert {run["run_id"] for run in results["runs"]} == {run.run_id for run in seven[4:]}


def test_spread_over_seeds(tmp_path, book, resolve, small, seven):
    values = [0.90, 0.92, 0.97]
    runs = [
        seven[0]._replace(
            seed=seed,
            run_id=str(seed),
            spec_hash=resolve("network-manual", seed).hash,
            metrics=seven[0].metrics | {"dice_nuclei": value},
        )
        for seed, value in enumerate(values)
    ]
    results = report.write(book, resolve, small, "quick", runs, tmp_path / "report", figures=False)
    cell = results["tables"]["dice"]["cells"][0]
    assert (cell["n"], cell["value"]) == (3, pytest.approx(np.mean(values)))
    assert cell["sd"] == pytest.approx(np.std(values, ddof=1))
    text = (tmp_path / "report" / "report.md").read_text()
    assert "0.930 ± 0.036 (n = 3)" in text and "One training stands" not in text


def test_a_finished_run_tells_nothing_of_a_failure_before(tmp_path, book, resolve, small, seven):
    runs = [run._replace(tags=run.tags | {"harness.failure": "BrokenProcessPool: terminated abruptly"}) for run in seven]
    report.write(book, resolve, small, "quick", runs, tmp_path / "report", figures=False)
    assert "terminated abruptly" not in (tmp_path / "report" / "report.md").read_text()


def test_scores_of_a_reviewer_have_intervals_around_the_values_of_the_runs(written, seven):
    logged = {run.row: {name.split("/")[-1]: value for name, value in run.metrics.items()} for run in seven}
    for name in ("quality", "outlines", "crowding"):
        lines = written[1][name]
        assert {line["row"] for line in lines} == set(logged)
        for line in lines:
            assert line["value"] == pytest.approx(logged[line["row"]][line["metric"]], abs=1e-12)
            assert line["low"] <= line["value"] <= line["high"]


def test_why_dice_stays_where_it_is_adds_up(written, seven):
    text = (written[0] / "report.md").read_text()
    assert "## Why Dice stays at" in text
    for line, run in zip(written[1]["wrong_pixels"], seven, strict=True):
        wrong = sum(line[name] for name in (*pixels.FALSE_FOREGROUND, *pixels.FALSE_BACKGROUND))
        right = 1 - sum(line[name] for name in pixels.FALSE_BACKGROUND)
        assert line["dice"] == pytest.approx(2 * right / (2 * right + wrong)) == pytest.approx(run.metrics["dice_nuclei_pooled"])
        assert line["dice"] - 1e-12 <= line["dice_rim"] <= 1
    halves = pd.DataFrame(written[1]["density"]).set_index(["row", "half"])
    mean = halves["dice_nuclei"].groupby("row").mean()
    assert all(mean[run.row] == pytest.approx(run.metrics["dice_nuclei"]) for run in seven)  # a tile a field, halves of three


def test_protocols_that_disagree_are_named_in_a_sentence(written):
    claims = pd.DataFrame(written[1]["claims"]).pivot_table(
        index=["claim", "better"], columns="metric", values="verdict", aggfunc="first"
    )
    differ = claims.dropna(subset=["jaccard", "jaccard_equal"]).query("jaccard != jaccard_equal")
    said = (written[0] / "report.md").read_text().split("The protocol decides: ")[1:]
    assert len(said) == bool(len(differ))
    for (claim, _), line in differ.iterrows():
        assert f"“{claim}” {line['jaccard']} under `paper` and {line['jaccard_equal']} under `equal`." in said[0]


# ---- texts of others


EVIL = r"""A *row* | ![x](../../secret.png) <script>alert(1)</script> `code` [link](javascript:alert(1)) # & $x$ \frac"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, book, resolve, small, seven):
    """A report whose titles, failures and data set's name are not well meant; its Markdown and its page."""
    rows = {name: row.model_copy(update={"title": f"{EVIL} {name}"}) for name, row in book.rows.items()}
    tables = {name: table.model_copy(update={"title": EVIL}) for name, table in book.tables.items()}
    own = book.model_copy(update={"rows": rows, "tables": tables})
    failed = seven[1]._replace(state="failed", tags={"harness.failure": f"{EVIL}\n\n# A heading\n\n- a list"})
    tagged = seven[0]._replace(tags=seven[0].tags | {"harness.version": EVIL})
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "secret.png").write_bytes(b"secret")
    data = replace(small, name=f"data `{EVIL}`")
    report.write(own, resolve, data, "quick", [tagged, failed, seven[3]], folder / "out" / "report")
    return [(folder / "out" / "report" / f"report.{kind}").read_text() for kind in ("md", "html")]


def test_texts_of_others_are_shown_as_they_are(hostile):
    _, page = hostile
    shown = html.unescape(re.sub(r"<[^>]+>", "", page))
    assert shown.count(EVIL) > 30  # titles of rows and tables, the failure, a tag


def test_texts_of_others_bring_in_no_markup_link_or_file(hostile):
    text, page = hostile
    assert "<script" not in page and "<a " not in page and base64.b64encode(b"secret").decode() not in page
    assert page.count("<h1>") == 1 and "<h1>A heading" not in page and "<li>a list" not in page
    pictures = re.findall(r"^!\[.*\]\(figures/[\w.-]+\)$", text, flags=re.MULTILINE)
    assert page.count("<img") == len(pictures) == 9
    assert set(re.findall(r'<img src="([^"]{0,22})', page)) == {"data:image/png;base64,"}


def test_every_table_of_the_page_has_as_many_cells_in_every_line(hostile):
    for table in re.findall(r"<table>(.*?)</table>", hostile[1], flags=re.DOTALL):
        assert len({len(re.findall("<t[hd]", line)) for line in re.findall("<tr>(.*?)</tr>", table, flags=re.DOTALL)}) == 1


def test_a_picture_that_is_not_the_reports_own_is_not_shown(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    (tmp_path / "other.png").write_bytes(b"other")
    page = report.html.page("# A\n\n![a](mine.png) ![b](other.png) ![c](http://x.org/y.png)", tmp_path, ["mine.png"])
    assert re.findall('src="([^"]*)"', page) == ["data:image/png;base64," + base64.b64encode(b"mine").decode()]


def test_nothing_done_yet_is_a_report_too(tmp_path, book, resolve, small):
    results = report.write(book, resolve, small, "quick", [], tmp_path / "report")
    assert results["runs"] == [] and "not run" in (tmp_path / "report" / "report.md").read_text()


def test_a_registry_of_ones_own(tmp_path, book, small, seven, resolve):
    mine = {"title": "My rows | yours", "method": "classical", "labels": "consensus"}
    own = Registry.model_validate({"rows": {"mine": mine}, "tables": {"one": {"title": "One", "metrics": ["jaccard_equal"]}}})
    run = seven[3]._replace(row="mine")
    results = report.write(
        own, lambda row, seed: resolve(run.tags["harness.row"], seed), small, "quick", [run], tmp_path / "report"
    )
    (cell,) = results["tables"]["one"]["cells"]
    assert cell["value"] == run.metrics["jaccard_equal"] and cell["published"] is None and results["claims"] == []
    assert "My rows \\| yours" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.parametrize("name", ["claims", "a/b", ".."])
def test_tables_whose_name_cannot_be_a_file_are_refused(tmp_path, book, small, resolve, name):
    own = book.model_copy(update={"tables": {name: book.tables["dice"]}})
    with pytest.raises(HarnessError, match="call it something else"):
        report.write(own, resolve, small, "quick", [], tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 2])
def test_few_fields(tmp_path, book, resolve, small, make, count):
    few = replace(small, splits=small.splits | {"test": small.splits["test"][:count]})
    run = make(tmp_path / "run", resolve("classical-shape-shape", 0), few)
    results = report.write(book, resolve, few, "quick", [run], tmp_path / "report")
    (low,) = [
        cell["low"] for cell in results["tables"]["dice"]["cells"] if (cell["row"], cell["metric"]) == (run.row, "dice_nuclei")
    ]
    assert (low is None) == (count == 1)
    assert (tmp_path / "report" / "figures" / "fields-classical-shape-shape.png").exists()


# ---- the folder


def test_an_earlier_report_is_replaced_whole(tmp_path, book, resolve, small, seven):
    out = tmp_path / "report"
    report.write(book, resolve, small, "quick", seven[:1], out, figures=False)
    (out / "left-over.txt").write_text("of the earlier one")
    report.write(book, resolve, small, "quick", seven, out, figures=False)
    assert not (out / "left-over.txt").exists() and len(strict(out / "results.json")["runs"]) == 7
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_an_earlier_report_stays_when_writing_fails(tmp_path, monkeypatch, book, resolve, small, seven):
    out = tmp_path / "report"
    report.write(book, resolve, small, "quick", seven[:1], out, figures=False)
    before = (out / "results.json").read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report.html, "page", fail)
    with pytest.raises(HarnessError, match="No space left on device"):
        report.write(book, resolve, small, "quick", seven, out, figures=False)
    assert (out / "results.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize(
    "put", [lambda out: out.write_text("a file"), lambda out: (out.mkdir(), (out / "thesis.txt").write_text("years"))]
)
def test_what_is_no_report_is_not_replaced(tmp_path, book, resolve, small, put):
    out = tmp_path / "report"
    put(out)
    with pytest.raises(HarnessError, match="is no report"):
        report.write(book, resolve, small, "quick", [], out)
    assert out.is_file() or (out / "thesis.txt").exists()


# ---- scoring again


@pytest.fixture
def serial(monkeypatch):
    monkeypatch.setattr("harness.report.rescoring.over_fields", map)


def test_scoring_again_gives_the_same(tmp_path, serial, book, resolve, small, seven):
    kept = seven[2:4]
    read = report.write(book, resolve, small, "quick", kept, tmp_path / "read", figures=False)
    again = report.write(book, resolve, small, "quick", kept, tmp_path / "again", figures=False, recompute=True)
    assert again["tables"] == read["tables"] and again["sensitivity"] == read["sensitivity"]
    assert (tmp_path / "read" / "per_image.csv").read_bytes() == (tmp_path / "again" / "per_image.csv").read_bytes()


def test_scoring_again_does_not_believe_the_stored_numbers(tmp_path, serial, book, resolve, small, seven):
    wrong = seven[3]._replace(metrics=dict.fromkeys(seven[3].metrics, 0.123))
    again = report.write(book, resolve, small, "quick", [wrong], tmp_path / "report", figures=False, recompute=True)
    assert again["runs"][0]["metrics"]["jaccard_equal"] == seven[3].metrics["jaccard_equal"]


@pytest.mark.parametrize(("stage", "counts"), [("metrics", 1), ("tiles", 0)])
def test_only_a_change_of_scoring_is_made_good_by_scoring_again(tmp_path, serial, book, resolve, small, seven, stage, counts):
    def now(row, seed):
        spec = resolve(row, seed)
        return spec.model_copy(update={"versions": spec.versions | {stage: 2}})

    results = [
        report.write(book, now, small, "quick", seven[3:4], tmp_path / "report", figures=False, recompute=recompute)
        for recompute in (False, True)
    ]
    assert [len(result["runs"]) for result in results] == [0, counts]


def test_scores_over_iou_that_an_older_run_did_not_store_come_from_scoring_again(tmp_path, serial, book, resolve, small, seven):
    older = seven[3]._replace(artifacts=(tmp_path / "older").as_uri())
    shutil.copytree(tracking.artifact(seven[3], ""), tmp_path / "older")
    stored = pd.read_csv(tmp_path / "older" / "per_field.csv")
    stored.loc[:, :"equal_predicted"].to_csv(tmp_path / "older" / "per_field.csv", index=False)
    read, again = (
        report.write(
            book, resolve, small, "quick", [older, seven[4]], tmp_path / f"{recompute}", figures=False, recompute=recompute
        )
        for recompute in (False, True)
    )
    assert {line["row"] for line in read["quality"]} == {line["row"] for line in read["outlines"]} == {seven[4].row}
    text = (tmp_path / "False" / "report.md").read_text()
    assert text.count(f"scores them again: {book.rows[older.row].title}.") == 3  # over IoU, outlines, touching nuclei
    assert {line["row"] for line in again["quality"]} == {line["row"] for line in again["outlines"]} == {older.row, seven[4].row}


@pytest.mark.integration
def test_a_thousand_runs_are_told_apart_by_their_seeds(tmp_path, book, resolve, small, seven):
    runs = [
        run._replace(seed=seed, run_id=f"{run.row}-{seed}", spec_hash=resolve(run.row, seed).hash)
        for run in seven
        for seed in range(334 if run.row.startswith("network") else 1)
    ]
    results = report.write(book, resolve, small, "quick", runs, tmp_path / "report", figures=False)
    assert len(results["runs"]) == 3 * 334 + 4
