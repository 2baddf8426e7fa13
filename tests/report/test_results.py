import pandas as pd
import pytest

from harness.experiment.results import collect, read_all
from harness.scoring import pooling
from harness.scoring.names import METRICS


def test_newest_finished_run_of_the_current_spec_counts(book, resolve, seven):
    older = seven[1]
    newer = older._replace(run_id="newer")
    failed = older._replace(run_id="failed", state="failed")
    outdated = older._replace(run_id="outdated", spec_hash="another")
    result = collect(book, resolve, [failed, outdated, newer, older], {})[older.row]
    assert [run.run_id for run in result.runs] == ["newer"]
    assert result.left_out == [] and result.state == "done"


@pytest.mark.parametrize(
    ("change", "state"), [({"spec_hash": "another"}, "stale"), ({"state": "failed"}, "failed"), ({"state": "running"}, "running")]
)
def test_a_row_without_a_number_says_why(book, resolve, seven, change, state):
    result = collect(book, resolve, [seven[0]._replace(**change)], {})[seven[0].row]
    assert (result.runs, result.state) == ([], state)


def test_rows_without_runs_are_not_run_and_strangers_are_passed_over(book, resolve, seven):
    results = collect(book, resolve, [seven[0]._replace(row="somebody-elses")], {})
    assert {result.state for result in results.values()} == {"not run"}
    assert list(results) == list(book.rows)


def test_seeds_of_a_network_row_count_each_and_of_a_classical_row_once(book, resolve, seven):
    def seeds(run):
        return [run._replace(seed=seed, spec_hash=resolve(run.row, seed).hash, run_id=f"{run.row}{seed}") for seed in (2, 1)]

    network, classical = seven[0], seven[3]
    results = collect(book, resolve, seeds(network) + seeds(classical), {})
    assert [run.seed for run in results[network.row].runs] == [1, 2]
    assert len(results[classical.row].runs) == 1


def test_tables_of_runs_stand_one_below_the_other(tmp_path, book, resolve, seven):
    one, other, bare = (seven[at]._replace(artifacts=(tmp_path / str(at)).as_uri()) for at in range(3))
    for at, text in enumerate(("a,b\n1,x\n2,\n", "b,a\r\ny,3\r\n")):
        (tmp_path / str(at)).mkdir()
        (tmp_path / str(at) / "t.csv").write_bytes(text.encode())
    table = read_all(collect(book, resolve, [one, other, bare], {}), "t.csv")
    assert table["row"].tolist() == [one.row, one.row, other.row]
    assert table["a"].tolist() == [1, 2, 3] and table["b"].fillna("").tolist() == ["x", "", "y"]


def test_ratios_of_sums_are_the_metrics_of_the_runs(book, resolve, seven):
    stored = (read_all(collect(book, resolve, seven, {}), f"{name}.csv") for name in ("per_tile", "per_field"))
    terms = pooling.terms(*stored)
    assert set(METRICS) - {"ap"} <= set(terms)
    for run in seven:
        logged = {name.split("/")[-1]: value for name, value in run.metrics.items()}
        for metric in set(METRICS) - {"ap"}:
            above, below = terms[metric].loc[run.row].sum()
            assert above / below == pytest.approx(logged[metric], abs=1e-12)


def test_a_class_that_a_tile_lacks_is_left_out_of_its_mean():
    tiles = pd.DataFrame(
        {
            "row": "a",
            "seed": 0,
            "field": "f",
            "dice_nuclei_twice_both": [1, 0],
            "dice_nuclei_sum": [2, 0],
            "dice_separations_twice_both": 0,
            "dice_separations_sum": 0,
        }
    )
    terms = pooling.terms(tiles, tiles[["row", "seed", "field"]].drop_duplicates())
    assert tuple(terms["dice_nuclei"].iloc[0]) == (0.5, 1)
    assert terms["dice_separations"].empty  # undefined everywhere
