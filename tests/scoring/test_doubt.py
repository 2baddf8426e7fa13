import numpy as np
import pytest
from skimage.draw import disk

from harness.experiment.stages import VERSIONS
from harness.scoring.doubt import WEIGHTS, best_iou, doubt, measure, missing, sharpness

SHAPE = (120, 160)


def nuclei(*discs):
    """Discs of (y, x, radius), numbered from 1."""
    labels = np.zeros(SHAPE, np.int32)
    for number, (y, x, radius) in enumerate(discs, start=1):
        labels[disk((y, x), radius, shape=SHAPE)] = number
    return labels


def picture(labels, seed=0):
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(100 + 400.0 * (labels > 0), 1) + np.random.default_rng(seed).normal(0, 5, SHAPE)


THREE = nuclei((30, 30, 12), (30, 90, 12), (85, 60, 12))


def test_features_of_a_disc():
    table = measure(THREE, [THREE], picture(THREE)).set_index("label")
    first = table.loc[1]
    assert (first.y, first.x, first.agreement) == pytest.approx((30, 30, 1), abs=0.01)
    assert first.roundness == pytest.approx(1, abs=0.01) and first.area == (THREE == 1).sum()
    assert first.large == first.small == first.at_edge == 0 and 0.05 < first.edge < 0.3 and first.unevenness < 0.3


def test_the_agreement_is_the_mean_over_the_others_of_the_best_iou():
    moved = np.roll(THREE, 6, axis=1)
    table = measure(THREE, [THREE, moved], picture(THREE))
    assert np.allclose(table["agreement"], (1 + best_iou(THREE, moved)[1:]) / 2)
    shared = ((THREE == 1) & (moved == 1)).sum() / ((THREE == 1) | (moved == 1)).sum()
    assert best_iou(THREE, moved)[1] == pytest.approx(shared)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (nuclei((30, 30, 12), (30, 90, 12), (30, 110, 12), (85, 60, 12)) > 0, "two as one"),
        (nuclei((30, 30, 12), (30, 90, 12), (85, 60, 12), (100, 130, 9)) > 0, "one on nothing"),
    ],
)
def test_a_wrong_nucleus_is_doubted_more_than_all_others(wrong, why):
    from skimage.measure import label

    truth = nuclei((30, 30, 12), (30, 90, 12), (30, 110, 12), (85, 60, 12)) if why == "two as one" else THREE
    labels = label(wrong).astype(np.int32)
    found = measure(labels, [truth], picture(truth))
    chance = doubt(found)
    worst = found.iloc[chance.argmax()]
    assert ((chance >= 0) & (chance <= 1)).all() and chance.max() > 20 * np.sort(chance)[-2]
    assert worst.x > 95  # where it was made wrong


def test_doubt_falls_with_agreement_and_rises_with_a_ragged_outline():
    found = measure(THREE, [THREE], picture(THREE)).iloc[[0, 0, 0]].reset_index(drop=True)
    found.loc[1, "agreement"], found.loc[2, "roundness"] = 0.3, 0.7
    as_it_is, alone, ragged = doubt(found)
    assert as_it_is < alone and as_it_is < ragged
    assert set(WEIGHTS) < set(found.columns)


def test_what_only_others_see_is_missing_once_and_the_surer_they_are_the_more():
    seen = nuclei((30, 30, 12), (30, 90, 12), (85, 60, 12), (90, 120, 12))
    tables = [measure(each, [THREE, seen], picture(seen)) for each in (seen, seen)]
    tables = [table.assign(doubt=doubt(table)) for table in tables]
    found = missing(THREE, [seen, seen], tables)
    assert len(found) == 1 and (found["y"].iloc[0], found["x"].iloc[0]) == pytest.approx((90, 120), abs=0.01)
    assert found["doubt"].iloc[0] == pytest.approx(1 - tables[0]["doubt"].iloc[3])
    assert not len(missing(seen, [THREE], [tables[0].iloc[:3]]))


@pytest.mark.parametrize("image", [np.zeros(SHAPE), np.full(SHAPE, 7.0), picture(THREE).astype(np.uint16)])
def test_any_image_has_an_answer_and_no_nuclei_none(image):
    assert np.isfinite(doubt(measure(THREE, [THREE * 0], image))).all()
    assert doubt(measure(THREE * 0, [THREE], image)).shape == (0,)
    full = np.ones(SHAPE, np.int32)
    assert doubt(measure(full, [THREE], image)).shape == (1,)


def test_what_is_doubted_stays_the_same():
    """Golden: renewed with the number of the stage `doubt`, as what is kept in stores is then worked out again."""
    labels = nuclei((30, 30, 12), (30, 90, 6), (85, 60, 16), (0, 130, 10))
    found = measure(labels, [THREE, np.roll(THREE, 3, axis=0)], picture(labels))
    assert VERSIONS["doubt"] == 1
    assert doubt(found) == pytest.approx([0.00220346, 0.39529256, 0.07630379, 0.54390029], abs=2e-4)


def test_sharpness_is_the_edge_of_each_nucleus_in_its_place():
    """Also where nuclei touch each other and the edge of the field, and where an id is left out."""
    labels = nuclei((4, 30, 12), (30, 90, 12), (50, 90, 12), (85, 159, 9), (110, 3, 1))
    labels[labels == 2] = 0
    image = picture(labels)
    np.testing.assert_allclose(sharpness(labels, image), measure(labels, [labels], image)["edge"], rtol=1e-9)
    assert sharpness(np.zeros((5, 6), np.int32), image[:5, :6]).shape == (0,)
    assert np.isfinite(sharpness(np.ones((5, 6), np.int32), image[:5, :6])).all()
