import numpy as np
import pandas as pd
import pytest

from harness.datasets.synthetic import SEED, synthetic_field
from harness.scoring import metrics, mismatches, objects, pooling
from harness.scoring.crowding import touching_nuclei
from harness.scoring.names import QUALITY


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
    return stack(pairs)


def stack(pairs):
    """Records of fields as a run would store them, beside the tiles that nothing here looks at."""
    records = [
        objects.record(*pair, touching_nuclei(pair[0])) | {"row": "a", "seed": 0, "field": str(number)}
        for number, pair in enumerate(pairs)
    ]
    return pd.DataFrame(records)


def pooled(stored):
    return pooling.pooled(pooling.field_terms(stored.drop(columns=["row", "seed"])))


def test_quality_of_the_sums_is_that_of_the_metrics(pairs, stored):
    sweep = metrics.iou_sweep(*zip(*pairs, strict=True))
    table = pooled(stored)
    for threshold, (f1, precision) in sweep.items():
        assert table[f"f1_{round(100 * threshold)}"] == pytest.approx(f1)
        assert table[f"ap_{round(100 * threshold)}"] == pytest.approx(precision)
    assert table["ap"] == pytest.approx(np.mean([precision for _, precision in sweep.values()]))
    assert table["aji"] == pytest.approx(np.mean([metrics.aji(*pair) for pair in pairs]))


def test_a_perfect_prediction_has_quality_one_and_no_errors(pairs):
    perfect = stack([(truth, truth) for truth, _ in pairs])
    scores = pooled(perfect)
    assert {name: scores[name] for name in QUALITY} == pytest.approx(dict.fromkeys(QUALITY, 1))
    assert scores["area_bias"] == scores["count_error"] == scores["count_error_absolute"] == 0
    assert not objects.errors(perfect)[list(mismatches.KINDS)].to_numpy().any()


def test_errors_by_size_add_up_to_those_of_the_metrics(pairs, stored):
    table = objects.errors(stored).set_index("size")
    for kind in mismatches.KINDS:
        total = sum(metrics.object_errors(metrics.iou_matrix(*pair))[kind] for pair in pairs)
        assert table.loc["all", kind] == total == table.drop("all")[kind].sum()
    assert table.loc["all", "annotated"] == sum(len(np.unique(truth)) - 1 for truth, _ in pairs)


def test_sizes_are_those_of_the_nuclei():
    truth = np.zeros((60, 60), np.int32)
    truth[2:6, 2:6], truth[10:20, 10:20], truth[25:55, 25:55] = 1, 2, 3
    record = objects.record(truth, np.where(truth == 3, 3, 0), touching_nuclei(truth))
    assert [record[f"annotated_{k}"] for k in range(4)] == [1, 1, 0, 1]
    assert [record[f"missed_{k}"] for k in range(4)] == [1, 1, 0, 0]


def test_errors_are_means_over_seeds_not_sums(stored):
    twice = pd.concat([stored, stored.assign(seed=1)])
    assert objects.errors(twice)["missed"].tolist() == objects.errors(stored)["missed"].tolist()


def test_area_and_count_by_hand():
    truth, prediction = np.zeros((2, 40, 40), np.int32)
    truth[2:12, 2:12], truth[20:30, 20:30], truth[34:38, 2:6] = 1, 2, 3
    prediction[2:12, 2:13], prediction[20:30, 20:28] = 4, 9  # 110 for 100 px, 80 for 100 px, and one is missed
    scores = pooled(stack([(truth, prediction), (prediction, truth)]))
    assert scores["area_bias"] == pytest.approx((190 - 200 + 200 - 190) / (200 + 190))
    assert pooled(stack([(truth, prediction)]))["area_bias"] == pytest.approx(-10 / 200)
    assert (scores["count_error"], scores["count_error_absolute"]) == (0, 1)


def test_thousands_of_nuclei_take_little_memory():
    import tracemalloc

    side = 70  # nuclei a row, 4x4 px each in a cell of 5
    nuclei = np.kron(np.arange(1, side**2 + 1, dtype=np.int32).reshape(side, side), np.pad(np.ones((4, 4), np.int32), (0, 1)))
    tracemalloc.start()
    kept = objects.record(nuclei, np.roll(nuclei, 1, axis=1), np.array([], int))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept["annotated"] == side**2 and kept["matched_50"] > 0.9 * side**2
    assert peak < 50e6  # a dense matrix alone would be 190 MB, and one of 20,000 nuclei 3.2 GB
