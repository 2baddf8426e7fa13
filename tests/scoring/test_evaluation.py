import hashlib

import numpy as np
import pandas as pd
import pytest
from damaged import cropped, spoil

from harness.experiment.stages import VERSIONS
from harness.method import tiles
from harness.method.classmap import BACKGROUND, NUCLEUS, class_map
from harness.method.postprocess import nuclei_from_class_map
from harness.scoring import boundaries, evaluation, metrics, names, pixels, pooling


@pytest.fixture(scope="module")
def truths():
    small = cropped(4)
    return {name: small.read_nuclei(name) for name in small.splits["test"]}


@pytest.fixture(scope="module")
def scores(truths):
    """Two predictions like a classical row's and two like a network's."""
    predicted = [spoil(nuclei, 0.3, np.random.default_rng(seed)) for seed, nuclei in enumerate(truths.values())]
    made = [evaluation.from_labels(labels) for labels in predicted[:2]]
    made += [evaluation.from_class_maps(tiles.cut(class_map(labels)), class_map(labels)) for labels in predicted[2:]]
    return {name: evaluation.score_field(one, truths[name]) for name, one in zip(truths, made, strict=True)}


@pytest.fixture(scope="module")
def stored(scores):
    return evaluation.tables(scores)


def test_counts_of_whole_fields_stand_with_the_field_and_not_with_a_tile(scores, stored):
    assert not [name for name in stored["per_tile"] if name.startswith("equal")]
    assert stored["per_field"]["equal_matched"].tolist() == [one.field["equal_matched"] for one in scores.values()]


def test_what_a_run_logs_is_pooled_from_what_it_stores(stored):
    logged, fields = evaluation.totals(stored), stored["per_field"]
    matched, annotated, predicted = (fields[f"equal_{name}"].sum() for name in evaluation.COUNTS)
    assert logged["jaccard_equal"] == matched / (annotated + predicted - matched)
    assert logged["dice_nuclei"] == pytest.approx(fields["dice_nuclei"].mean())  # one tile a field
    assert logged["outlines/nsd"] == pytest.approx(fields["nsd"].mean())
    assert logged["outlines/count_error"] == (fields["predicted"] - fields["annotated"]).mean()
    assert logged["iou/missed"] == fields.filter(regex="^missed_").sum().sum() > 0
    assert len(logged) == len(names.METRICS) + 4 + 6 + 4


def test_a_perfect_prediction(truths):
    perfect = evaluation.tables({name: evaluation.score_field(evaluation.from_labels(n), n) for name, n in truths.items()})
    logged = evaluation.totals(perfect)
    best = {"outlines/outline_offset": 0, "outlines/hd95": 0, "outlines/nsd": 1, "dice_nuclei": 1, "dice_separations": 1}
    assert {name: logged[name] for name in best} == best
    assert not perfect["per_field"][[*pixels.FALSE_FOREGROUND, *pixels.FALSE_BACKGROUND]].to_numpy().any()


def test_runs_that_stored_less_are_left_out_of_what_they_did_not_store(stored):
    older = stored["per_field"].loc[:, :"equal_predicted"]
    both = pd.concat([frame.assign(row=row, seed=0) for row, frame in (("old", older), ("new", stored["per_field"]))])
    made = pooling.terms(pd.concat([stored["per_tile"].assign(row=row, seed=0) for row in ("old", "new")]), both)
    assert set(made["jaccard_equal"].index.get_level_values("row")) == {"old", "new"}
    for name in ("nsd", "pq", "f1_50", "jaccard_touching", "count_error", "area_bias"):
        assert set(made[name].index.get_level_values("row")) == {"new"}
        assert pooling.pooled({name: made[name]})[name] == pytest.approx(
            pooling.pooled(pooling.field_terms(stored["per_field"]))[name]
        )


def test_outlines_are_those_of_the_field_put_together_from_its_tiles():
    rng = np.random.default_rng(3)
    truth = np.zeros((560, 700), np.int32)
    for number, (y, x) in enumerate(rng.integers(5, [520, 660], (40, 2)), 1):
        truth[y : y + 22, x : x + 24] = number
    predicted = np.where(truth % 3 > 0, np.roll(truth, 1, axis=1), 0)
    classes = class_map(predicted)
    found = evaluation.score_field(evaluation.from_class_maps(tiles.cut(classes), classes), truth).field
    whole = boundaries.outline_distances(*(class_map(labels) != BACKGROUND for labels in (truth, predicted)))
    assert found["nsd"] == boundaries.normalised_surface_distance(whole)
    assert found["outline_offset"] == boundaries.outline_offset(whole)
    assert np.array_equal(evaluation._joined(list(tiles.cut(classes)), classes.shape), classes)


@pytest.mark.parametrize("side", [96, 512])
def test_tiles_of_any_size_make_up_the_same_field(truths, side):
    nuclei = next(iter(truths.values()))
    predicted = spoil(nuclei, 0.4, np.random.default_rng(5))
    classes, whole = class_map(predicted), evaluation.score_field(evaluation.from_labels(predicted), nuclei)
    cut = evaluation.from_class_maps(tiles.cut(classes, side), classes)
    windows = tiles.tile_corners(nuclei.shape, side)
    for prediction in (evaluation.from_labels(predicted, side), cut):
        found = evaluation.score_field(prediction, nuclei)
        assert found.field == whole.field, "nothing of the whole field depends on its tiles"
        assert len(found.tiles) == len(windows)
        annotated = [(class_map(nuclei)[y : y + side, x : x + side] == NUCLEUS).sum() for y, x in windows]
        assert [each["px_annotated"] for each in found.tiles] == annotated
    (strip,) = cut.kept.values()
    np.testing.assert_array_equal(evaluation.tiles_of_strip(strip), cut.tile_maps)


def test_a_field_smaller_than_a_tile_is_scored_without_its_padding(truths):
    nuclei = next(iter(truths.values()))
    found = evaluation.score_field(evaluation.from_labels(nuclei), nuclei)
    assert found.tiles[0]["px_annotated"] == (class_map(nuclei) == 1).sum()
    assert found.field["hd95"] == 0


def test_the_protocols_are_those_of_the_metrics(truths):
    nuclei = next(iter(truths.values()))
    predicted = spoil(nuclei, 0.5, np.random.default_rng(7))
    found = evaluation.score_field(evaluation.from_labels(predicted), nuclei)
    equal = metrics.match(nuclei, nuclei_from_class_map(class_map(predicted)), "equal")
    paper = metrics.match(nuclei, predicted, "paper")
    assert tuple(found.field[f"equal_{name}"] for name in evaluation.COUNTS) == equal
    assert tuple(found.tiles[0][f"paper_{name}"] for name in evaluation.COUNTS) == paper


GOLDEN = {
    "objects": (1, "6839d3a1636317e5", "iou_sum aji matched_50 matched_90 missed_2 extra_2 merged_3 split_3"),
    "boundaries": (
        1,
        "f20bb4413891f835",
        "outline_offset nsd hd95 area_predicted touching_matched paper_touching_predicted equal_touching_annotated "
        + " ".join(evaluation.PIXELS),
    ),
    "evaluation": (1, "9c63b91ed5716aeb", "dice_nuclei dice_separations_pooled jaccard jaccard_equal"),
}


@pytest.mark.parametrize("stage", GOLDEN)
def test_golden(stored, stage):
    version, expected, columns = GOLDEN[stage]
    text = stored["per_field"][columns.split()].round(9).to_csv(index=False)
    assert (VERSIONS[stage], hashlib.sha256(text.encode()).hexdigest()[:16]) == (version, expected)
