import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.method.classmap import BACKGROUND, NUCLEUS, class_map
from harness.scoring import pixels
from harness.scoring.metrics import dice_counts


def nucleus(low, high, side=24):
    labels = np.zeros((side, side), np.int32)
    labels[low:high, low:high] = 1
    return labels


def errors(labels, predicted):
    classes = class_map(labels)
    return pixels.dice_errors(classes, predicted, labels, pixels.zones(classes))


def test_zones_of_a_square():
    zones = pixels.zones(class_map(nucleus(8, 16)))
    counts = {zone: int((zones == zone).sum()) for zone in range(4)}
    assert counts[pixels.NEAR] == 4 * 8  # 1 px from it: not the corners
    assert counts[pixels.INSIDE] == 4 * 4
    assert counts[pixels.RIM] == (64 - 16) + 4 * 8 + 4  # two rows inside, one more row outside, the corners


def test_a_square_that_is_predicted_three_pixels_larger():
    found = errors(nucleus(8, 16), class_map(nucleus(5, 19)))
    assert (found["px_annotated"], found["px_both"]) == (64, 64)
    assert (found["fp_1px"], found["fp_2px"], found["fp_far"]) == (32, 32 + 4, 14 * 14 - 64 - 32 - 36)
    assert not any(found[name] for name in pixels.FALSE_BACKGROUND)


def test_a_square_that_is_predicted_three_pixels_smaller():
    found = errors(nucleus(4, 16), class_map(nucleus(7, 13)))
    assert (found["fn_rim"], found["fn_inside"], found["fn_missed"]) == (144 - 64, 64 - 36, 0)


def test_a_missed_nucleus_and_lines_on_either_side():
    labels = nucleus(2, 8) + 2 * (nucleus(12, 20) > 0)
    touching = labels.copy()
    touching[12:20, 16:20] = 4  # the second one is two
    predicted = class_map(labels) * (labels != 1)
    assert errors(labels, predicted)["fn_missed"] == 36
    assert errors(touching, predicted)["fp_separation"] == 16
    assert errors(labels, class_map(touching))["fn_separation"] == 16


@given(arrays(np.int32, (9, 12), elements=st.integers(0, 3)), arrays(np.uint8, (9, 12), elements=st.integers(0, 2)))
def test_every_wrong_pixel_is_counted_once(labels, predicted):
    found, classes = errors(labels, predicted), class_map(labels)
    twice_both, both_sides = dice_counts(classes, predicted)[NUCLEUS]
    extra, lacking = (sum(found[name] for name in names) for names in (pixels.FALSE_FOREGROUND, pixels.FALSE_BACKGROUND))
    assert 2 * found["px_both"] == twice_both
    assert extra == (predicted == NUCLEUS).sum() - found["px_both"]
    assert lacking == found["px_annotated"] - found["px_both"]
    assert 2 * found["px_both"] + extra + lacking == both_sides


@given(arrays(np.int32, (9, 12), elements=st.integers(0, 2)))
def test_zones_are_distances(labels):
    foreground = class_map(labels) != BACKGROUND
    zones = pixels.zones(class_map(labels))
    inside, outside = np.argwhere(foreground), np.argwhere(~foreground)
    for (y, x), zone in np.ndenumerate(zones):
        others = outside if foreground[y, x] else inside
        near = np.hypot(*(others - [y, x]).T).min(initial=99)
        expected = (
            (pixels.RIM if near <= 2 else pixels.INSIDE)
            if foreground[y, x]
            else (pixels.NEAR if near <= 1 else pixels.RIM if near <= 2 else pixels.OUTSIDE)
        )
        assert zone == expected
