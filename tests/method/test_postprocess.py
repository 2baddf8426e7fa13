import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import label

from harness.core.errors import HarnessError
from harness.method.classmap import NUCLEUS, class_map
from harness.method.postprocess import nuclei_from_class_map, postprocessing_steps

class_maps = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=20), elements=st.integers(0, 2))


def disks(*centres, radius=10, shape=(48, 64)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    distances = np.stack([np.hypot(y - cy, x - cx) for cy, cx in centres])
    return ((distances.argmin(0) + 1) * (distances.min(0) <= radius)).astype(np.int32)


def test_a_lone_nucleus_comes_back_whole():
    nucleus = disks((24, 32))
    np.testing.assert_array_equal(nuclei_from_class_map(class_map(nucleus)), nucleus)


def test_touching_nuclei_are_cut_apart():
    nuclei = disks((24, 22), (24, 40))
    result = nuclei_from_class_map(class_map(nuclei))
    assert result.max() == 2
    for i in (1, 2):
        assert set(np.unique(result[nuclei == i])) == {0, i}
        assert (result == i).sum() > 0.85 * (nuclei == i).sum()


def test_a_small_gap_in_the_separation_is_closed():
    nuclei = disks((24, 22), (24, 40))
    classes = class_map(nuclei)
    classes[23:25, 28:34] = NUCLEUS
    assert label(classes == NUCLEUS)[1] == 1
    assert nuclei_from_class_map(classes).max() == 2


def test_nuclei_that_meet_at_a_corner_are_two():
    classes = np.zeros((12, 12), np.uint8)
    classes[2:6, 2:6] = classes[6:10, 6:10] = NUCLEUS
    assert nuclei_from_class_map(classes).max() == 2


def test_nothing_in_nothing_out():
    for classes in (np.zeros((9, 9), np.uint8), np.full((9, 9), 2, np.uint8)):
        assert not nuclei_from_class_map(classes).any()
    assert nuclei_from_class_map(np.ones((9, 9), np.uint8)).all()


@given(class_maps)
def test_steps_follow_from_each_other(classes):
    steps = postprocessing_steps(classes)
    assert list(steps) == ["merged", "skeleton", "mask", "nuclei"]
    assert not (steps["skeleton"] & ~steps["merged"]).any()
    assert not (steps["mask"] & steps["skeleton"]).any()
    assert not (steps["mask"] & (classes == 0)).any()
    np.testing.assert_array_equal(steps["nuclei"] > 0, steps["mask"])
    assert steps["nuclei"].dtype == np.int32
    right = steps["nuclei"][:, 1:] != steps["nuclei"][:, :-1]
    assert not (right & steps["mask"][:, 1:] & steps["mask"][:, :-1]).any()
    np.testing.assert_array_equal(steps["nuclei"], nuclei_from_class_map(classes))


def test_refuses_probabilities():
    with pytest.raises(HarnessError):
        nuclei_from_class_map(np.zeros((4, 4, 3)))


def test_a_field_without_nuclei_is_what_the_steps_make_of_it():
    separations = np.zeros((20, 30), np.uint8)
    separations[5:9, 3:25] = 2
    for classes in (np.zeros((20, 30), np.uint8), separations):
        np.testing.assert_array_equal(nuclei_from_class_map(classes), postprocessing_steps(classes)["nuclei"])
