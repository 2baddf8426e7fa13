import numpy as np
import pandas as pd
import pytest

from harness.datasets.synthetic import SEED, synthetic_field
from harness.scoring import metrics, objects


@pytest.fixture(scope="module")
def pairs():
    """Predictions that miss nuclei, take two for one, take parts for wholes and lie a little off."""
    truths = [synthetic_field(SEED, number)[1][100:292, 100:292] for number in range(4)]
    return [
        (
            truth,
            np.roll(
                np.where(truth % 5 > 0, truth // 2, 0) + 1000 * (truth % 7 == 1) * (truth > 0) * (np.arange(192) % 20 < 10),
                2,
                axis=1,
            ),
        )
        for truth in truths
    ]


@pytest.fixture(scope="module")
def stored(pairs):
    records = [objects.score_field(*pair) | {"row": "a", "seed": 0, "field": str(number)} for number, pair in enumerate(pairs)]
    return pd.DataFrame(records)


def test_quality_of_the_sums_is_that_of_the_metrics(pairs, stored):
    sweep = metrics.iou_sweep(*zip(*pairs, strict=True))
    table = objects.quality(stored).iloc[0]
    for threshold, (f1, precision) in sweep.items():
        assert table[f"f1_{round(100 * threshold)}"] == pytest.approx(f1)
        assert table[f"ap_{round(100 * threshold)}"] == pytest.approx(precision)
    assert table["ap"] == pytest.approx(np.mean([precision for _, precision in sweep.values()]))
    assert table["aji"] == pytest.approx(np.mean([metrics.aji(*pair) for pair in pairs]))


def test_a_perfect_prediction_has_quality_one_and_no_errors(pairs):
    perfect = pd.DataFrame([objects.score_field(truth, truth) | {"row": "a", "seed": 0} for truth, _ in pairs])
    assert objects.quality(perfect).drop(columns="row").to_numpy() == pytest.approx(1)
    assert not objects.errors(perfect)[list(objects.KINDS)].to_numpy().any()


def test_errors_by_size_add_up_to_those_of_the_metrics(pairs, stored):
    table = objects.errors(stored).set_index("size")
    for kind in objects.KINDS:
        total = sum(metrics.object_errors(metrics.iou_matrix(*pair))[kind] for pair in pairs)
        assert table.loc["all", kind] == total == table.drop("all")[kind].sum()
    assert table.loc["all", "annotated"] == sum(len(np.unique(truth)) - 1 for truth, _ in pairs)


def test_sizes_are_those_of_the_nuclei():
    truth = np.zeros((60, 60), np.int32)
    truth[2:6, 2:6], truth[10:20, 10:20], truth[25:55, 25:55] = 1, 2, 3
    record = objects.score_field(truth, np.where(truth == 3, 3, 0))
    assert [record[f"annotated_{k}"] for k in range(4)] == [1, 1, 0, 1]
    assert [record[f"missed_{k}"] for k in range(4)] == [1, 1, 0, 0]


def test_what_a_run_logs_is_what_its_tables_say(stored):
    logged = objects.totals(stored)
    assert logged["iou/pq"] == objects.quality(stored)["pq"][0] and len(logged) == len(objects.LOGGED + objects.KINDS)
    assert all(logged[f"iou/{kind}"] == objects.errors(stored)[kind][0] > 0 for kind in objects.KINDS)


def test_means_over_seeds_not_sums(stored):
    twice = pd.concat([stored, stored.assign(seed=1)])
    pd.testing.assert_frame_equal(objects.quality(twice), objects.quality(stored))
    assert objects.errors(twice)["missed"].tolist() == objects.errors(stored)["missed"].tolist()
