import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.method import tiles
from harness.method.windows import LARGEST, MARGIN, STEP, cover, normalised

sides = st.integers(1, 3000)


@settings(deadline=None)
@given(sides, sides, st.sampled_from([300 * 300, 600 * 600, LARGEST]))
def test_every_pixel_is_decided_once_and_with_what_is_around_it(height, width, largest):
    decided = np.zeros((height, width), np.uint8)
    for window in cover((height, width), largest):
        decided[window.decided] += 1
        for seen, of_axis, inside, length in zip(window.seen, window.decided, window.inside, (height, width), strict=True):
            assert seen.start % STEP == 0 == of_axis.start % STEP
            assert seen.start == max(0, of_axis.start - MARGIN) and seen.stop == min(length, of_axis.stop + MARGIN)
            assert (inside.start, inside.stop) == (of_axis.start - seen.start, of_axis.stop - seen.start)
        area = np.prod([-(-(seen.stop - seen.start) // STEP) * STEP for seen in window.seen])
        assert area <= largest + STEP * (height + width + 2 * STEP)
    assert (decided == 1).all()


def test_a_field_that_fits_is_one_window():
    assert len(cover((520, 696))) == len(cover((1152, 1152))) == len(cover((7, 7))) == 1
    computed = sum(np.prod([seen.stop - seen.start for seen in window.seen]) for window in cover((4096, 4096)))
    assert computed < 1.35 * 4096**2


@pytest.mark.parametrize("shape", [(520, 696), (512, 512), (30, 41), (700, 512), (1, 1)])
def test_normalised_as_the_tiles_are(shape):
    image = np.random.default_rng(0).integers(0, 4096, shape).astype(np.uint16)
    image[: shape[0] // 2] //= 4
    (whole,) = normalised(image, [np.s_[: shape[0], : shape[1]]])
    assert whole.dtype == np.float32 and not np.any(np.array(whole.shape) % STEP)
    answers = np.stack([tiles.normalise(tile) for tile in tiles.windows(image)])
    together = np.concatenate(list(tiles.stitch_bands(answers[..., None], shape)))[..., 0]
    np.testing.assert_allclose(whole[: shape[0], : shape[1]], together, atol=1e-5)
    np.testing.assert_array_equal(whole, np.pad(whole[: shape[0], : shape[1]], [(0, -n % STEP) for n in shape], mode="reflect"))


def test_what_a_window_is_shown_does_not_depend_on_where_it_ends():
    image = np.random.default_rng(1).gamma(2, 200, (900, 1100))
    (whole,) = normalised(image, [np.s_[:900, :1100]])
    seen = [window.seen for window in cover(image.shape, 400 * 400)]
    assert len(seen) > 4
    for (y, x), part in zip(seen, normalised(image, seen), strict=True):
        height, width = y.stop - y.start, x.stop - x.start
        np.testing.assert_array_equal(part[:height, :width], whole[y, x])


def test_a_field_without_contrast_is_zero():
    (part,) = normalised(np.full((40, 600), 9, np.uint16), [np.s_[:40, :600]])
    np.testing.assert_allclose(part, 0, atol=1e-12)
