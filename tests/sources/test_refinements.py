"""Steps after a label source: what they move, what they must leave alone, what they must not look at."""

import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from harness.core.errors import HarnessError
from harness.datasets import DataSet, Field, open_dataset
from harness.experiment import registry
from harness.method.classmap import SEPARATION, class_map
from harness.sources import open_source
from harness.sources.declumping import recut
from harness.sources.outlines import _square_below, _square_up_to, _whole, outlines_at, steepest_outlines
from harness.sources.refinements import IgnoreConcave

SOURCE = "cellprofiler:shape/intensity"
ROW, COLUMN = np.mgrid[:80, :100]


def disc(y, x, radius):
    return (ROW - y) ** 2 + (COLUMN - x) ** 2 <= radius**2


def blurred(mask, background=200, level=1400):
    """As a microscope shows it: the edge of a blurred mask lies where half of the contrast is left."""
    return ndimage.gaussian_filter(np.where(mask, float(level), background), 1.5)


MOVES = (partial(outlines_at, 0.5, 0.12), partial(steepest_outlines, 0.12))


@pytest.mark.parametrize("move", MOVES)
@given(radius=st.floats(8, 16), by=st.integers(-1, 2), level=st.integers(600, 4000))
def test_an_outline_that_lies_wrong_comes_back_to_the_blurred_edge(move, radius, by, level):
    true = disc(40, 50, radius)
    found = move(blurred(true, level=level), disc(40, 50, radius + by).astype(np.int32))
    wrong = (found > 0) != true
    assert wrong.sum() <= 0.03 * true.sum() + np.pi * radius, "half a pixel all around at most"


def test_a_level_is_a_share_of_each_nucleus_own_contrast():
    """A dim and a bright nucleus of the same size come out the same, which no threshold for both can do."""
    dim, bright = disc(40, 25, 10), disc(40, 70, 10)
    image = np.maximum(blurred(dim, level=500), blurred(bright, level=3500))
    found = outlines_at(0.5, 0.12, image, dim * np.int32(1) + bright * np.int32(2))
    areas = np.bincount(found.ravel(), minlength=3)[1:]
    assert abs(areas[0] - areas[1]) <= 0.02 * areas[1]


@pytest.mark.parametrize("move", MOVES)
def test_what_no_nucleus_reaches_changes_nothing(move):
    """Also where one of them has no background around it, and takes the middle of what the others have."""
    labels = np.zeros((56, 56), np.int32)
    for id_, (row, column) in enumerate(np.ndindex(3, 3), start=1):
        labels[8 + 14 * row : 20 + 14 * row, 8 + 14 * column : 20 + 14 * column] = id_
    image = np.where(labels, 1000.0, np.add.outer(2 * np.arange(56), 5 * np.arange(56)))
    image[22:34, 22:34] = np.linspace(100, 1000, 12)
    far = ndimage.distance_transform_edt(labels == 0) > 8
    found = move(image, labels)
    for value in (0, 50_000):
        np.testing.assert_array_equal(move(np.where(far, value, image), labels), found)


@pytest.mark.parametrize("move", MOVES)
def test_nuclei_that_touch_keep_touching(move):
    """The valley between them is below half of their contrast."""
    left, right = disc(40, 40, 10), disc(40, 59, 10)
    labels = np.where(COLUMN < 50, left | right, (left | right) * 2).astype(np.int32)
    image = blurred((left | right) & (abs(COLUMN - 49.5) > 2))
    found = move(image, labels)
    between = labels[:, 49:51].all(axis=1)
    assert between.sum() > 2 and (found[between][:, 49:51] == [1, 2]).all()


@pytest.mark.parametrize("step", ["half-contrast", "steepest-gradient"])
def test_nothing_is_lost_added_or_renumbered(step):
    dataset = open_dataset("synthetic")
    name = dataset.splits["validation"][0]
    plain, _ = open_source(SOURCE).label(dataset.field(name))
    refined, _ = open_source(SOURCE, {}, [step]).label(dataset.field(name))
    assert set(np.unique(refined)) == set(np.unique(plain))
    for id_ in range(1, refined.max() + 1):
        assert ndimage.label(refined == id_)[1] == 1
    assert (refined != plain).any()


@pytest.mark.parametrize("move", MOVES)
def test_no_nuclei_and_none_too_small_to_have_a_core(move):
    image = blurred(disc(40, 50, 10))
    assert not move(image, np.zeros(image.shape, np.int32)).any()
    dot = np.zeros(image.shape, np.int32)
    dot[10:12, 10:12] = 1
    np.testing.assert_array_equal(move(image, dot), dot)


def test_what_the_size_filter_threw_away_is_ignored_and_nothing_else():
    image = np.maximum(blurred(disc(40, 25, 10)), blurred(disc(40, 75, 2), level=1400)).astype(np.uint16)
    field = Field("a", lambda _: image, lambda _: None)
    labels, ignore = open_source(SOURCE, {}, ["ignore-discarded"]).label(field)
    assert labels.max() == 1 and labels[40, 25] and not labels[40, 75]
    assert ignore[40, 75] and ndimage.label(ignore)[1] == 1 and not (ignore & (labels > 0)).any()


@given(width=st.integers(1, 4), gap=st.integers(0, 1), up_to=st.integers(52, 100))
def test_a_band_along_outlines_is_ignored_but_not_what_separates_nuclei(width, gap, up_to):
    labels = np.where((ROW > 20) & (ROW < 60), (COLUMN > 20) + 1 * (COLUMN > 50) - (COLUMN == 50) * gap, 0).astype(np.int32)
    labels[:, up_to:] = 0
    field = Field("a", lambda _: labels.astype(np.uint16), lambda _: labels)
    same, ignore = open_source("manual", {}, [{"step": "ignore-outlines", "width": width}]).label(field)
    np.testing.assert_array_equal(same, labels)
    background, nuclei = (ndimage.distance_transform_edt(mask) for mask in (labels == 0, labels > 0))
    separation = class_map(labels) == SEPARATION
    np.testing.assert_array_equal(ignore, ((background + nuclei) <= width) & ~separation)
    assert separation.any() and not ignore[separation].any()


def test_no_step_looks_at_the_annotation():
    """With every mask of the fields removed the labels are the same bits."""
    dataset = open_dataset("synthetic")

    def unannotated(name):
        raise AssertionError(name)

    blind = DataSet(dataset.name, dataset.digest, dataset.splits, dataset.read_image, unannotated)
    source = open_source(SOURCE, {}, ["half-contrast", "ignore-discarded"])
    for name in dataset.splits["training"][:2]:
        for with_masks, without in zip(source.label(dataset.field(name)), source.label(blind.field(name)), strict=True):
            np.testing.assert_array_equal(with_masks, without)


def test_steps_are_part_of_a_run_s_identity_and_none_is_none():
    dataset = open_dataset("synthetic")

    def spec(**changes):
        book = registry.load_registry()
        row = registry.Row.model_validate(book.rows["network-shape-intensity"].model_dump() | changes)
        return registry.resolve(book.model_copy(update={"rows": {"row": row}}), "row", "smoke", dataset, 0)

    plain, refined = spec(), spec(refine=["half-contrast"])
    assert refined.hash != plain.hash and refined.training_hashes() != plain.training_hashes()
    assert spec(refine=[]).hash == plain.hash and "refinements" not in plain.versions
    assert (
        spec(refine=[{"step": "half-contrast", "level": 0.5}]).hash
        == refined.hash
        != spec(refine=[{"step": "half-contrast", "level": 0.4}]).hash
    )


@pytest.mark.parametrize(
    ("refine", "said"),
    [
        (["sharpen"], "unknown refinement 'sharpen'; expected one of half-contrast, restore-clumps"),
        ([{"step": "half-contrast", "colour": 1}], "has no setting 'colour'; expected level, reach"),
        ([{"step": "half-contrast", "level": 1.5}], "level is 1.5; expected more than 0"),
        ([{"step": "half-contrast", "level": True}], "expected a number"),
        ([{"level": 0.5}], "unknown refinement 'None'"),
        ([{"step": "ignore-outlines", "width": 0.5}], "width is 0.5; expected a whole number from 1"),
        ([{"step": "ignore-outlines", "width": 11}], "from 1 to 10"),
    ],
)
def test_a_step_that_does_not_exist_is_refused(refine, said):
    with pytest.raises(HarnessError, match=said):
        open_source(SOURCE, {}, refine)


def test_a_source_without_a_size_filter_has_nothing_discarded(harness, fields):
    with pytest.raises(HarnessError, match="manual has no size filter"):
        open_source("manual", {}, ["ignore-discarded"]).label(open_dataset(str(fields)).field("training-01"))


def test_the_command_labels_as_the_row_does(harness, fields, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        f'[rows.refined]\ntitle = "R"\nmethod = "classical"\nlabels = "{SOURCE}"\nrefine = ["half-contrast"]\n'
        '[rows.theirs]\ntitle = "T"\nmethod = "classical"\nlabels = "folder:labels"\n'
    )
    assert harness("label", SOURCE, fields / "images", "labels", "--refine", "half-contrast", "--workers", 1)[0] == 0
    for row in ("refined", "theirs"):
        assert harness("run", row, "--dataset", fields, "--file", own)[0] == 0
    from harness.experiment import tracking

    scores = [{key: value for key, value in run.metrics.items() if not key.startswith("seconds")} for run in tracking.runs()]
    assert len(scores) == 2 and scores[0] == scores[1]
    described = json.loads(harness("describe", "refined", "--dataset", fields, "--file", own, "--json")[1])
    assert described["refine"] == [{"step": "half-contrast", "level": 0.5, "reach": 0.12}]


def cut(mask, line):
    """The nuclei of a mask on either side of a line."""
    return np.where(line, mask, mask * 2).astype(np.int32)


@given(apart=st.floats(1.5, 1.9), radius=st.floats(8, 14))
def test_two_discs_that_came_as_one_are_divided_at_their_neck(apart, radius):
    left, right = disc(40, 50 - apart * radius / 2, radius), disc(40, 50 + apart * radius / 2, radius)
    found = recut(0.85, 0.95, blurred(left | right), (left | right).astype(np.int32))
    assert found.max() == 2 and ((found > 0) == (left | right)).all()
    assert (found[:, :48] == found[40, 40]).sum() == (left | right)[:, :48].sum(), "the line is where the neck is"


@given(radius=st.floats(8, 16), at=st.integers(-3, 3), length=st.floats(1, 1.8))
def test_one_nucleus_that_came_as_two_is_joined(radius, at, length):
    whole = ((ROW - 40) / radius) ** 2 + ((COLUMN - 50) / (radius * length)) ** 2 <= 1
    found = recut(0.85, 0.95, blurred(whole), cut(whole, at + 50 > COLUMN))
    assert (found == whole).all()


def test_what_is_one_and_what_are_two_does_not_depend_on_the_magnification():
    left, right = disc(40, 41, 10), disc(40, 59, 10)
    labels = (left | right).astype(np.int32)
    image = blurred(left | right)
    large = recut(0.85, 0.95, ndimage.zoom(image, 3, order=1), np.kron(labels, np.ones((3, 3), np.int32)))
    assert large.max() == recut(0.85, 0.95, image, labels).max() == 2


def test_what_was_thrown_away_as_too_large_comes_back():
    large = disc(40, 50, 30)
    field = Field("large", lambda name: (blurred(large) * 10).astype(np.uint16), no_masks)
    plain, _ = open_source(SOURCE).label(field)
    restored, ignore = open_source(SOURCE, {}, ["restore-clumps"]).label(field)
    assert plain.max() == 0 and (restored > 0).sum() > 0.9 * large.sum() and not ignore.any()


def test_the_rim_that_a_nucleus_loses_is_background_and_not_ignored():
    """Else nothing tells a network where the outline is."""
    kept, small = disc(40, 30, 12), disc(40, 75, 3)
    image = (blurred(kept | small) * 10).astype(np.uint16)
    field = Field("two", lambda name: image, no_masks)
    plain, _ = open_source(SOURCE).label(field)
    labels, ignore = open_source(SOURCE, {}, ["half-contrast", "ignore-discarded"]).label(field)
    rim = (plain > 0) & (labels == 0)
    assert rim.sum() > 10 and not ignore[rim].any() and ignore[small].all() and not ignore[:, :60].any()


def test_a_nucleus_that_is_not_convex_is_ignored_and_stays():
    bent = (disc(40, 30, 14) & ~disc(40, 38, 12)) | (disc(40, 75, 10))
    labels = ndimage.label(bent)[0].astype(np.int32)
    kept, ignore = IgnoreConcave().apply(open_source(SOURCE), Field("bent", None, no_masks), labels, np.zeros_like(bent))
    assert (kept == labels).all() and (ignore == (bent & (COLUMN < 60))).all()


def no_masks(name):
    raise AssertionError("a refinement looked at the annotation")


@settings(deadline=None)
@given(labels=st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).integers(0, 4, (9, 11)).astype(np.int32)))
def test_parts_and_holes_are_those_of_each_nucleus_by_itself(labels):
    """Without the short cut: of its 4-connected parts the largest, of several such the first, with its holes filled."""
    expected = np.zeros_like(labels)
    for id_ in range(1, labels.max() + 1):
        parts, count = ndimage.label(labels == id_)
        if count:
            largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
            expected[ndimage.binary_fill_holes(largest) & ((labels == 0) | largest)] = id_
    np.testing.assert_array_equal(_whole(labels), expected)


@settings(deadline=None)
@given(st.floats(0, 60), st.integers(0, 3600))
def test_squares_are_compared_as_distances_are(distance, square):
    for bound in (distance, np.sqrt(square)):  # of which the second is met exactly
        assert (square <= _square_up_to(np.array([bound]))[0]) == (np.sqrt(square) <= bound)
        assert (square <= _square_below(np.array([bound]))[0]) == (np.sqrt(square) < bound)
