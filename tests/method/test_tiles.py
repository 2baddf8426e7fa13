import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import orient, stitch

from harness.method import tiles

sides = st.integers(1, 90)


def test_a_field_of_bbbc039_has_the_four_tiles_of_the_paper():
    assert tiles.tile_corners((520, 696)) == [(0, 0), (0, 184), (8, 0), (8, 184)]


@given(st.tuples(sides, sides), st.integers(1, 40))
def test_tiles_cover_the_field_with_the_fewest_windows(shape, size):
    covered = np.zeros(np.maximum(shape, size), bool)
    corners = tiles.tile_corners(shape, size)
    for y, x in corners:
        covered[y : y + size, x : x + size] = True
        assert y + size <= covered.shape[0] and x + size <= covered.shape[1]
    assert covered.all()
    assert len(corners) == np.prod([-(-side // size) for side in shape])


@given(st.tuples(sides, sides), st.integers(1, 40))
def test_stitching_what_was_cut_gives_the_field_back(shape, size):
    field = np.random.default_rng(0).random(shape).astype(np.float32)
    cut = tiles.cut(field, size)
    assert cut.shape[1:] == (size, size)
    np.testing.assert_allclose(stitch(cut[..., None], shape)[..., 0], field, rtol=1e-5)


def slow_stitch(values, shape, size):
    """The definition on the whole field: a tile weighs, each way, by how far a pixel is from its rim."""
    total = np.zeros((2, *np.maximum(shape, size), values.shape[-1]))
    for tile, (y, x) in zip(values, tiles.tile_corners(shape, size), strict=True):
        for i, j in np.ndindex(size, size):
            weight = min(i + 1, size - i) * min(j + 1, size - j)
            total[0, y + i, x + j] += weight * tile[i, j]
            total[1, y + i, x + j] += weight
    return (total[0] / total[1])[: shape[0], : shape[1]]


@settings(deadline=None)
@given(st.tuples(st.integers(1, 25), st.integers(1, 25)), st.integers(1, 12))
def test_stitching_is_the_definition(shape, size):
    values = np.random.default_rng(0).random((len(tiles.tile_corners(shape, size)), size, size, 2)).astype(np.float32)
    np.testing.assert_allclose(stitch(values, shape), slow_stitch(values, shape, size), rtol=1e-5)


@settings(deadline=None)
@given(st.tuples(sides, sides), st.integers(1, 40))
def test_rows_of_a_stitched_field_come_as_soon_as_their_tiles_are_there(shape, size):
    values = np.random.default_rng(0).random((len(tiles.tile_corners(shape, size)), size, size, 2)).astype(np.float32)
    columns, given_out, bands = -(-shape[1] // size), [], []
    for band in tiles.stitch_bands((given_out.append(tile) or tile for tile in values), shape, size):
        bands.append(band)
        assert len(given_out) == columns * len(bands)
    np.testing.assert_array_equal(np.concatenate(bands), stitch(values, shape))


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(1, 700)), min_size=1, max_size=4))
def test_a_tile_is_no_larger_than_the_papers_or_than_the_fields_need(shapes):
    side, longest = tiles.side_for(iter(shapes)), max(map(max, shapes))
    assert side % 16 == 0 and side <= 512
    assert longest <= side < longest + 16 if longest <= 512 else side == 512


def test_no_more_fields_are_read_than_tell_the_tile():
    shapes = iter([(100, 100), (520, 696), (100, 100)])
    assert tiles.side_for(shapes) == 512 and next(shapes) == (100, 100)
    assert tiles.side_for([]) == 512


def test_a_tile_weighs_least_at_its_rim():
    both = np.stack([np.zeros((10, 10, 1)), np.ones((10, 10, 1))])
    seam = stitch(both, (10, 15))[5, :, 0]
    assert seam[4] == 0 and seam[10] == 1
    assert (np.diff(seam[4:11]) > 0).all()


@given(st.integers(0, 7))
def test_orientations_are_the_symmetries_of_the_square(orientation):
    tile = np.arange(16).reshape(4, 4)
    assert sorted(orient(tile, orientation).ravel()) == sorted(tile.ravel())
    assert len({orient(tile, k).tobytes() for k in range(tiles.ORIENTATIONS)}) == 8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_normalised_tiles_have_mean_0_and_deviation_1(dtype):
    tile = np.random.default_rng(0).integers(0, 200, (32, 32)).astype(dtype)
    normal = tiles.normalise(tile)
    assert normal.dtype == np.float32
    assert abs(normal.mean()) < 1e-6 and abs(normal.std() - 1) < 1e-6


def test_a_constant_tile_is_normalised_to_zeros():
    assert not tiles.normalise(np.full((4, 4), 7)).any()
