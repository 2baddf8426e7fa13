import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harness.core.errors import HarnessError
from harness.scoring.boundaries import (
    FARTHEST,
    Distances,
    hausdorff_95,
    normalised_surface_distance,
    outline,
    outline_distances,
    outline_offset,
)

masks = array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=14).flatmap(lambda shape: st.tuples(*[arrays(bool, shape)] * 2))


def square(low, high, side=30):
    mask = np.zeros((side, side), bool)
    mask[low:high, low:high] = True
    return mask


def disc(radius, side=61):
    y, x = np.ogrid[:side, :side]
    return (y - side // 2) ** 2 + (x - side // 2) ** 2 <= radius**2


# ---- by hand


def test_outline_of_a_square_is_its_rim():
    assert outline(square(5, 10)).sum() == 16 and not outline(square(5, 10))[6:9, 6:9].any()
    assert outline(np.ones((4, 4), bool)).sum() == 12  # at the edge of the image, too


def test_square_that_is_one_pixel_larger_on_every_side():
    """Rims of 32 px and 40 px. Each pixel of the inner rim is 1 px from the outer one, and so is each but four corners back."""
    distances = outline_distances(square(10, 19), square(9, 20))
    assert sorted(distances.of_true) == [1] * 32
    assert sorted(distances.of_pred) == pytest.approx([1] * 36 + [2**0.5] * 4)
    assert normalised_surface_distance(distances) == pytest.approx(68 / 72)
    assert outline_offset(distances) == pytest.approx((68 + 4 * 2**0.5) / 72)
    assert hausdorff_95(distances) == pytest.approx(2**0.5)  # four of 40 are more than 5 %


def test_square_that_is_moved_by_one_pixel():
    """Two sides lie outside, two inside: on the whole the outline is where it was."""
    moved = np.roll(square(10, 20), 1, axis=1)
    distances = outline_distances(square(10, 20), moved)
    assert outline_offset(distances) == pytest.approx(0)
    assert normalised_surface_distance(distances) == 1 and hausdorff_95(distances) == 1


@pytest.mark.parametrize("radius", [10, 15, 20])
def test_a_disc_grown_by_a_pixel_lies_a_pixel_outside(radius):
    """Radii whose circles hold each other at exactly one pixel; the digital circles of others differ by up to 1.41 px."""
    distances = outline_distances(disc(radius), disc(radius + 1))
    assert outline_offset(distances) == 1 and normalised_surface_distance(distances) == 1 and hausdorff_95(distances) == 1
    assert outline_offset(outline_distances(disc(radius), disc(radius + 3))) == pytest.approx(3, rel=0.1)
    assert normalised_surface_distance(outline_distances(disc(radius), disc(radius + 3))) == 0


def test_what_has_no_counterpart_counts_for_the_distances_but_not_for_the_offset():
    """A second nucleus of 16 px rim, 10 px away, is missed."""
    both = square(5, 10) | square(20, 25)
    distances = outline_distances(both, square(5, 10))
    assert outline_offset(distances) == 0
    assert normalised_surface_distance(distances) == 32 / 48
    assert hausdorff_95(distances) > 10


def test_one_side_without_an_outline():
    empty = np.zeros((30, 40), bool)
    full = empty.copy()
    full[5:10, 5:10] = True
    for pair in ((full, empty), (empty, full)):
        distances = outline_distances(*pair)
        assert normalised_surface_distance(distances) == 0 and hausdorff_95(distances) == 50
        assert np.isnan(outline_offset(distances))
    nothing = outline_distances(empty, empty)
    assert np.isnan([normalised_surface_distance(nothing), hausdorff_95(nothing), outline_offset(nothing)]).all()


def test_refuses_masks_of_other_pixels():
    with pytest.raises(HarnessError, match="shape"):
        outline_distances(np.zeros((2, 3), bool), np.zeros((3, 2), bool))


# ---- laws


def scores(y_true, y_pred):
    distances = outline_distances(y_true, y_pred)
    return outline_offset(distances), normalised_surface_distance(distances), hausdorff_95(distances)


@given(masks)
def test_the_other_way_round_only_the_sign_of_the_offset_changes(pair):
    offset, nsd, hd95 = scores(*pair)
    np.testing.assert_allclose(scores(*pair[::-1]), (-offset, nsd, hd95), atol=1e-12)


@given(masks, st.integers(0, 3), st.booleans())
def test_flips_and_rotations_change_nothing(pair, quarters, flipped):
    turned = [np.rot90(mask[:, ::-1] if flipped else mask, quarters) for mask in pair]
    np.testing.assert_allclose(scores(*turned), scores(*pair), atol=1e-12)


@given(masks)
def test_bounds_and_the_mask_itself(pair):
    offset, nsd, hd95 = scores(*pair)
    assert np.isnan(offset) or abs(offset) <= FARTHEST
    assert np.isnan(nsd) or (0 <= nsd <= 1 and 0 <= hd95 <= np.hypot(*pair[0].shape))
    if pair[0].any():
        assert scores(pair[0], pair[0]) == (0, 1, 0)


@given(masks)
def test_more_tolerance_never_lowers_the_score(pair):
    distances = outline_distances(*pair)
    if pair[0].any() or pair[1].any():
        scores = [normalised_surface_distance(distances, thresh) for thresh in (0, 1, 1.5, 2, 5, 99)]
        assert scores == sorted(scores) and scores[-1] == 1


@given(masks)
def test_distances_are_the_definition(pair):
    rims = [np.argwhere(outline(mask)) for mask in pair]
    if not min(map(len, rims)):
        return
    table = np.hypot(*(rims[0][:, None] - rims[1][None]).transpose(2, 0, 1))
    distances = outline_distances(*pair)
    np.testing.assert_allclose(np.abs(distances.of_true), table.min(axis=1))
    np.testing.assert_allclose(np.abs(distances.of_pred), table.min(axis=0))


# ---- another library


def blobs(seed):
    """Four discs, and the same moved and grown."""
    rng, masks = np.random.default_rng(seed), np.zeros((2, 48, 64), bool)
    y, x = np.mgrid[:48, :64]
    for _ in range(4):
        cy, cx, r = rng.integers(8, 40), rng.integers(8, 56), rng.integers(4, 8)
        masks[0] |= (y - cy) ** 2 + (x - cx) ** 2 <= r * r
        cy, cx, r = cy + rng.integers(-1, 2), cx + rng.integers(-1, 2), r + rng.integers(-1, 3)
        masks[1] |= (y - cy) ** 2 + (x - cx) ** 2 <= r * r
    return masks


# medpy.metric.binary (0.5.2) on `blobs` of seeds 0 to 5: asd both ways, hd95 (of both ways together), hd.
MEDPY = [
    (1.234228151, 1.259615876, 2.828427125, 3.16227766),
    (1.037523462, 1.067034812, 2.236067977, 2.828427125),
    (1.082605983, 1.154959398, 2.828427125, 3.16227766),
    (1.147280051, 1.309424549, 2.974264069, 3.605551275),
    (1.34264073, 1.440433871, 3.0, 3.605551275),
    (0.970101995, 0.994315875, 2.236067977, 2.236067977),
]


@pytest.mark.parametrize("seed", range(6))
def test_distances_agree_with_medpy(seed):
    of_true, of_pred = (np.abs(side) for side in outline_distances(*blobs(seed)))
    both = np.concatenate([of_true, of_pred])
    assert (of_true.mean(), of_pred.mean(), np.percentile(both, 95), both.max()) == pytest.approx(MEDPY[seed], abs=1e-8)


def test_the_larger_direction_is_the_one_that_counts():
    assert hausdorff_95(Distances(np.zeros(3), np.full(3, -4.0))) == 4
