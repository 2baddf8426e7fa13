import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import binary_erosion

from harness.core.errors import HarnessError
from harness.datasets import open_dataset
from harness.experiment.stages import VERSIONS
from harness.method import tiles
from harness.method.classmap import BACKGROUND, NUCLEUS, SEPARATION, class_map
from harness.method.postprocess import nuclei_from_class_map
from harness.scoring import metrics
from harness.scoring.metrics import Counts, Protocol, match
from harness.sources import classical
from harness.sources.classical.primary_objects import identify_all

shapes = array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=14)


def pairs(top):
    """Two arrays of one shape with values 0..top."""
    values = st.integers(0, top)
    return shapes.flatmap(lambda shape: st.tuples(*[arrays(np.int32, shape, elements=values)] * 2))


def boxes(*corners, shape=(40, 40)):
    """Label image of boxes (top, left, bottom, right), later ones over earlier ones."""
    labels = np.zeros(shape, np.int32)
    for i, (top, left, bottom, right) in enumerate(corners, 1):
        labels[top:bottom, left:right] = i
    return labels


# ---- Dice


def test_dice_by_hand():
    truth, prediction = np.array([[1, 1, 1, 0]]), np.array([[1, 0, 1, 0]])
    scores = metrics.dice(truth, prediction)
    assert scores[BACKGROUND] == pytest.approx(2 / 3)
    assert scores[NUCLEUS] == pytest.approx(4 / 5)
    assert np.isnan(scores[SEPARATION])


def test_dice_is_zero_where_only_one_side_has_the_class():
    assert metrics.dice(np.array([[1, 2]]), np.array([[1, 1]]))[SEPARATION] == 0


@given(pairs(2))
def test_dice_is_symmetric_bounded_and_one_on_itself(maps):
    scores = metrics.dice(*maps)
    np.testing.assert_array_equal(scores, metrics.dice(*maps[::-1]))
    present = np.isin([0, 1, 2], np.concatenate([m.ravel() for m in maps]))
    np.testing.assert_array_equal(np.isfinite(scores), present)
    assert ((scores[present] >= 0) & (scores[present] <= 1)).all()
    itself = metrics.dice(maps[0], maps[0])
    assert (itself[np.isfinite(itself)] == 1).all()


@given(pairs(2), st.integers(0, 3), st.booleans())
def test_dice_does_not_see_flips_and_rotations(maps, quarters, flipped):
    turned = [np.rot90(m[:, ::-1] if flipped else m, quarters) for m in maps]
    np.testing.assert_array_equal(metrics.dice(*turned), metrics.dice(*maps))


@given(pairs(2))
def test_dice_counts_of_parts_add_up(maps):
    parts = [metrics.dice_counts(*(m[half] for m in maps)) for half in (np.s_[:1], np.s_[1:])]
    np.testing.assert_array_equal(sum(parts), metrics.dice_counts(*maps))
    np.testing.assert_array_equal(metrics.dice_of(sum(parts)), metrics.dice(*maps))


def test_dice_of_small_types_does_not_wrap():
    truth = np.full((40, 40), 2, np.uint8)
    assert metrics.dice_counts(truth, truth)[2].tolist() == [3200, 3200]


def test_dice_refuses_ignored_pixels_and_other_shapes():
    with pytest.raises(HarnessError, match="class above 2"):
        metrics.dice(np.array([[3]]), np.array([[1]]))
    with pytest.raises(HarnessError, match="shape"):
        metrics.dice(np.zeros((2, 2), int), np.zeros((2, 3), int))


# ---- matching


def test_match_of_equal_images():
    labels = boxes((5, 5, 15, 15), (5, 15, 15, 25), (20, 5, 30, 15))
    for protocol in metrics.PROTOCOLS:
        assert match(labels, labels, protocol) == (3, 3, 3)


def test_nuclei_at_the_edge_are_left_out_on_both_sides():
    truth, prediction = boxes((0, 5, 10, 15), (20, 5, 30, 15)), boxes((1, 5, 10, 15), (20, 5, 40, 15))
    assert match(truth, prediction) == (0, 1, 1)


@pytest.mark.parametrize(("side", "counted"), [(5, 1), (4, 0)])
def test_nuclei_under_25_px_are_left_out_on_both_sides(side, counted):
    labels = boxes((10, 10, 10 + side, 15 if side == 5 else 16))  # 25 px, 24 px
    for protocol in metrics.PROTOCOLS:
        assert match(labels, labels, protocol) == (counted, counted, counted)


def test_size_is_counted_before_erosion_and_edge_before_size():
    labels = boxes((10, 10, 15, 15))
    assert match(labels, labels, Protocol("object", 25)) == (1, 1, 1)
    through_the_edge = boxes((0, 0, 3, 40), (3, 5, 20, 15))
    assert match(through_the_edge, through_the_edge) == (1, 1, 1)


def test_what_erosion_erases_is_counted_but_not_matched():
    thin = boxes((10, 5, 12, 35))  # 60 px, two rows: nothing is left of it
    assert match(thin, thin, "equal") == (0, 1, 1)
    assert match(thin, thin, Protocol("none", 25)) == (1, 1, 1)


def test_merged_and_split_nuclei_are_not_matched():
    two, one = boxes((5, 5, 15, 15), (5, 15, 15, 25)), boxes((5, 5, 15, 25))
    for protocol in metrics.PROTOCOLS:
        assert match(two, one, protocol) == (0, 2, 1)
        assert match(one, two, protocol) == (0, 1, 2)


def test_any_overlap_one_to_one_is_a_match():
    truth, prediction = boxes((5, 5, 25, 25)), boxes((22, 22, 32, 32))
    assert match(truth, prediction) == (1, 1, 1)  # one pixel is left shared
    assert match(truth, boxes((23, 22, 33, 32))) == (0, 1, 1)


def test_a_shifted_border_breaks_paper_but_not_equal():
    truth = boxes((5, 5, 15, 15), (5, 15, 15, 25))
    shifted = boxes((5, 5, 15, 16), (5, 16, 15, 25))
    assert match(truth, shifted, "paper") == (0, 2, 2)
    assert match(truth, shifted, "equal") == (2, 2, 2)


def test_erosions():
    labels = boxes((1, 1, 5, 4), (1, 4, 5, 7), shape=(6, 8))
    assert metrics.erode(labels, "none") is labels
    assert metrics.erode(labels, "mask")[2].tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    assert metrics.erode(labels, "object")[2].tolist() == [0, 0, 1, 0, 0, 2, 0, 0]
    assert not metrics.erode(labels, "mask")[[0, 1, 4, 5]].any()


label_pairs = st.integers(0, 10**6).map(lambda seed: random_labels(np.random.default_rng(seed)))


def random_labels(rng):
    """Two related label images: some boxes, and the same boxes moved, dropped and grown."""
    corners = rng.integers(1, 30, (8, 2))
    size = rng.integers(3, 10, (8, 2))
    moved, grown = corners + rng.integers(-1, 2, (8, 2)), size + rng.integers(-1, 3, (8, 2))
    kept = rng.random(8) > 0.2
    return (boxes(*np.hstack([corners, corners + size]).tolist()), boxes(*np.hstack([moved, moved + grown])[kept].tolist()))


def slow_match(truth, prediction, erosion, smallest):
    """The rule, nucleus by nucleus: those off the edge and large enough, eroded, and who overlaps only one another."""
    sides = []
    for labels in (truth, prediction):
        at_the_edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        nuclei = [labels == id_ for id_ in np.unique(labels) if id_ and id_ not in at_the_edge]
        nuclei = [nucleus for nucleus in nuclei if nucleus.sum() >= smallest]
        together = np.any([np.zeros(labels.shape, bool), *nuclei], axis=0)
        eroded = {"none": nuclei, "mask": [one & shrunk(together) for one in nuclei], "object": [shrunk(one) for one in nuclei]}
        sides.append(eroded[erosion])
    meet = np.array([[(g & r).any() for r in sides[1]] for g in sides[0]], bool).reshape(len(sides[0]), len(sides[1]))
    matched = meet & (meet.sum(axis=0) == 1) & (meet.sum(axis=1) == 1)[:, None]
    return matched.sum(), len(sides[0]), len(sides[1])


def shrunk(mask):
    return binary_erosion(mask, np.ones((3, 3)))


@given(label_pairs, st.sampled_from(metrics.EROSIONS), st.sampled_from(metrics.SMALLEST))
def test_matching_is_the_definition(labels, erosion, smallest):
    assert match(*labels, Protocol(erosion, smallest)) == slow_match(*labels, erosion, smallest)


@given(label_pairs, st.sampled_from(metrics.EROSIONS), st.sampled_from(metrics.SMALLEST))
def test_matching_laws(labels, erosion, smallest):
    truth, prediction = labels
    matched, annotated, predicted = counts = match(truth, prediction, Protocol(erosion, smallest))
    assert 0 <= matched <= min(annotated, predicted)
    assert match(prediction, truth, Protocol(erosion, smallest)) == (matched, predicted, annotated)
    renamed = np.random.default_rng(0).permutation(50)[:9] + 1
    renamed[0] = 0
    assert match(renamed[truth], prediction, Protocol(erosion, smallest)) == counts
    assert match(truth[:, ::-1].T, prediction[:, ::-1].T, Protocol(erosion, smallest)) == counts


@given(label_pairs)
def test_jaccard_of_an_image_with_itself_is_one(labels):
    counts = match(labels[0], labels[0], Protocol("none", 25))
    assert counts.annotated == 0 or metrics.jaccard(counts) == 1


def test_jaccard_is_pooled():
    assert metrics.jaccard(Counts(1, 2, 2)) == pytest.approx(1 / 3)
    assert metrics.jaccard([Counts(1, 2, 2), Counts(3, 3, 3)]) == pytest.approx(4 / 6)
    assert metrics.pooled(Counts(*c) for c in [(1, 2, 2), (3, 3, 3)]) == Counts(4, 5, 5)
    assert np.isnan(metrics.jaccard(Counts(0, 0, 0))) and np.isnan(metrics.jaccard([]))


@given(label_pairs)
def test_sensitivity_holds_the_protocols(labels):
    table = metrics.sensitivity_counts(*labels)
    assert set(table) == {(e, s) for e in ("none", "mask", "object") for s in (0, 10, 25, 50, 79)}
    assert all(counts == match(*labels, protocol) for protocol, counts in table.items())
    assert set(metrics.PROTOCOLS.values()) <= set(table)


def test_unknown_erosion_is_refused():
    with pytest.raises(HarnessError, match="mask"):
        match(boxes(), boxes(), Protocol("opening", 25))


def test_refuses_labels_of_other_shapes():
    with pytest.raises(HarnessError, match="shape"):
        match(boxes(shape=(4, 4)), boxes(shape=(4, 5)))


# ---- IoU sweep


def slow_iou(truth, prediction):
    ids = [np.unique(labels[labels > 0]) for labels in (truth, prediction)]
    return [[((truth == g) & (prediction == r)).sum() / ((truth == g) | (prediction == r)).sum() for r in ids[1]] for g in ids[0]]


@given(pairs(3))
def test_iou_matrix_is_the_definition(labels):
    iou = metrics.iou_matrix(*labels)
    np.testing.assert_allclose(iou.toarray(), np.reshape(slow_iou(*labels), iou.shape))


def test_iou_by_hand():
    truth = boxes((0, 0, 1, 4), (2, 0, 3, 4), shape=(4, 8))
    prediction = boxes((0, 0, 1, 3), (2, 2, 3, 6), (3, 7, 4, 8), shape=(4, 8))
    iou = metrics.iou_matrix(truth, prediction)
    np.testing.assert_allclose(iou.toarray(), [[3 / 4, 0, 0], [0, 1 / 3, 0]])
    counts = metrics.counts_at(iou, 0.5)
    assert counts == (1, 2, 3) and metrics.counts_at(iou, 0.75) == (0, 2, 3)
    assert metrics.f1(counts) == pytest.approx(2 / 5) and metrics.jaccard(counts) == pytest.approx(1 / 4)
    assert metrics.panoptic_quality([iou]) == pytest.approx(0.75 / 2.5)
    assert metrics.object_errors(iou) == {"missed": 1, "extra": 2, "merged": 0, "split": 0}
    assert metrics.aji(truth, prediction) == pytest.approx((3 + 2) / (4 + 6 + 1))


def test_merged_and_split():
    two, one = boxes((5, 5, 15, 15), (5, 15, 15, 25)), boxes((5, 5, 15, 25))
    merged, split = metrics.iou_matrix(two, one), metrics.iou_matrix(one, two)
    assert metrics.object_errors(merged) == {"missed": 2, "extra": 1, "merged": 1, "split": 0}
    assert metrics.object_errors(split) == {"missed": 1, "extra": 2, "merged": 0, "split": 1}
    assert metrics.aji(two, one) == pytest.approx(200 / 400)  # both take the same partner
    assert metrics.aji(one, two) == pytest.approx(100 / 300)


@given(label_pairs)
def test_iou_laws(labels):
    truth, prediction = labels
    iou = metrics.iou_matrix(truth, prediction)
    np.testing.assert_allclose(metrics.iou_matrix(prediction, truth).toarray(), iou.T.toarray())
    scores = [metrics.f1(metrics.counts_at(iou, t)) for t in metrics.IOU_THRESHOLDS]
    assert scores == sorted(scores, reverse=True)
    assert metrics.counts_at(iou).matched <= min(iou.shape)
    assert 0 <= metrics.aji(truth, prediction) <= 1
    assert metrics.panoptic_quality([iou]) <= scores[0]
    itself = metrics.iou_matrix(truth, truth)
    assert metrics.panoptic_quality([itself]) == metrics.f1(metrics.counts_at(itself)) == 1
    assert metrics.aji(truth, truth) == 1


def slow_aji(truth, prediction):
    """Kumar et al. (2017) word for word, a loop over the annotated nuclei."""
    ids = [i for i in np.unique(prediction) if i]
    shared = union = 0
    used = set()
    for g in (truth == i for i in np.unique(truth) if i):
        ious = [(g & (prediction == r)).sum() / (g | (prediction == r)).sum() for r in ids]
        if max(ious, default=0) == 0:
            union += g.sum()
            continue
        r = ids[int(np.argmax(ious))]
        used.add(r)
        shared, union = shared + (g & (prediction == r)).sum(), union + (g | (prediction == r)).sum()
    return shared / (union + sum((prediction == r).sum() for r in ids if r not in used))


@given(label_pairs)
def test_aji_is_the_definition(labels):
    assert metrics.aji(*labels) == pytest.approx(slow_aji(*labels))


# stardist.matching.matching_dataset (0.9.2) on the 40 pairs below: IoU threshold, tp, F1, accuracy (its name
# for average precision). Its threshold is inclusive, so it was run 1e-7 above. Panoptic quality is at 0.5.
STARDIST = [
    (0.50, 144, 0.510638298, 0.342857143),
    (0.55, 121, 0.429078014, 0.273137698),
    (0.60, 85, 0.301418440, 0.177453027),
    (0.65, 69, 0.244680851, 0.139393939),
    (0.70, 48, 0.170212766, 0.093023256),
    (0.75, 26, 0.092198582, 0.048327138),
    (0.80, 14, 0.049645390, 0.025454545),
    (0.85, 8, 0.028368794, 0.014388489),
    (0.90, 3, 0.010638298, 0.005347594),
    (0.95, 3, 0.010638298, 0.005347594),
]
STARDIST_PANOPTIC_QUALITY = 0.335829498


def test_agrees_with_stardist():
    labels = [random_labels(np.random.default_rng(seed)) for seed in range(40)]
    ious = [metrics.iou_matrix(*pair) for pair in labels]
    sweep = metrics.iou_sweep(*zip(*labels, strict=True))
    for threshold, matched, f1, precision in STARDIST:
        assert metrics.pooled(metrics.counts_at(iou, threshold) for iou in ious) == (matched, 314, 250)
        assert sweep[threshold] == pytest.approx((f1, precision), abs=1e-9)
    assert metrics.panoptic_quality(ious) == pytest.approx(STARDIST_PANOPTIC_QUALITY, abs=1e-7)


def test_sweep_is_pooled():
    equal, empty = boxes((5, 5, 15, 15)), boxes()
    table = metrics.iou_sweep([equal, equal], [equal, empty])
    assert list(table) == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    assert set(table.values()) == {(2 / 3, 1 / 2)}


def test_scores_of_empty_images():
    empty, full = boxes(), boxes((5, 5, 15, 15))
    iou = metrics.iou_matrix(empty, empty)
    scores = [metrics.panoptic_quality([iou]), metrics.aji(empty, empty), metrics.f1(metrics.counts_at(iou))]
    assert iou.shape == (0, 0) and np.isnan(scores).all()
    for truth, prediction in [(empty, full), (full, empty)]:
        assert metrics.aji(truth, prediction) == 0
        assert metrics.panoptic_quality([metrics.iou_matrix(truth, prediction)]) == 0


def test_low_thresholds_are_refused():
    with pytest.raises(HarnessError, match="0.5"):
        metrics.counts_at(np.ones((1, 1)), 0.4)


def test_golden():
    results = []
    for seed in range(20):
        truth, prediction = random_labels(np.random.default_rng(seed))
        iou = metrics.iou_matrix(truth, prediction)
        results.append([tuple(match(truth, prediction, Protocol(e, 10))) for e in metrics.EROSIONS])
        results.append((round(metrics.aji(truth, prediction), 9), round(metrics.panoptic_quality([iou]), 9)))
    digest = hashlib.sha256(repr(results).encode()).hexdigest()
    assert (VERSIONS["metrics"], digest[:16]) == (1, "f4e83eeb1f813fc8")


# ---- what was published stays: this project's own values on the real test fields (docs/metrics.md)


@pytest.mark.integration
@pytest.mark.skipif("HARNESS_DATA_DIR" not in os.environ, reason="needs BBBC039: set HARNESS_DATA_DIR")
def test_classical_rows_on_the_test_fields():
    paper, equal, dices = {}, {}, []
    dataset = open_dataset("bbbc039", Path(os.environ["HARNESS_DATA_DIR"]))
    for field in dataset.splits["test"]:
        truth = dataset.read_nuclei(field)
        for name, labels in identify_all(dataset.read_image(field)).items():
            pairs = list(zip(tiles.cut(truth), tiles.cut(labels), strict=True))
            paper.setdefault(name, []).extend(match(g, r, "paper") for g, r in pairs)
            equal.setdefault(name, []).append(match(truth, nuclei_from_class_map(class_map(labels)), "equal"))
            if name == "shape/intensity":
                dices += [metrics.dice(class_map(g), class_map(r)) for g, r in pairs]
    for counts, expected in (paper, [0.561, 0.548, 0.497, 0.266]), (equal, [0.766, 0.669, 0.697, 0.355]):
        jaccards = [metrics.jaccard(counts[name]) for name in classical.CONFIGURATIONS]
        assert jaccards == pytest.approx(expected, abs=0.001)
    assert np.nanmean(dices, axis=0)[[NUCLEUS, SEPARATION]] == pytest.approx([0.940, 0.299], abs=0.001)
