import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from imageio.v3 import imread
from skimage.segmentation import relabel_sequential

from harness.core.errors import HarnessError
from harness.core.label_images import check_labels, new_ids, remove_touching_edge, renumber, touching_edge, write_label_image

label_images = arrays(np.int32, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 6))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "u4", "i8", "u8"])
def test_integers_of_any_kind_are_a_label_image(dtype):
    checked = check_labels(np.array([[0, 3]], dtype))
    assert checked.dtype == np.int32 and checked.tolist() == [[0, 3]]


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2, 2), int), np.zeros((2, 2)), np.zeros((2, 2), bool), -np.eye(2, dtype=int), np.full((2, 2), 2**24)]
)
def test_refuses_what_is_no_label_image(bad):
    with pytest.raises(HarnessError, match="not a label image"):
        check_labels(bad)


@given(label_images, st.sampled_from([1, 1000, 10**12]))
def test_renumbered_as_scikit_image_does(labels, factor):
    expected = relabel_sequential(labels)[0]
    found = renumber(labels * np.int64(factor))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        new_ids((np.bincount(labels.ravel()) > 0) & (np.arange(labels.max() + 1) > 0))[labels], expected
    )


@given(label_images)
def test_a_nucleus_goes_as_a_whole_where_one_pixel_of_it_is_at_the_edge(labels):
    bottom, right = np.array(labels.shape) - 1
    at_edge = {labels[y, x] for y, x in np.ndindex(labels.shape) if y in (0, bottom) or x in (0, right)}
    assert touching_edge(labels).tolist() == sorted(at_edge)
    np.testing.assert_array_equal(remove_touching_edge(labels), np.where(np.isin(labels, list(at_edge)), 0, labels))


@pytest.mark.parametrize(
    ("name", "top", "dtype"),
    [("a.tif", 3, "u2"), ("a.tif", 2**16 - 1, "u2"), ("a.tif", 2**16, "u4"), ("a.png", 255, "u1"), ("a.png", 256, "u2")],
)
def test_what_is_written_comes_back_in_the_fewest_bits(tmp_path, name, top, dtype):
    labels = np.array([[0, top], [1, 0]])
    write_label_image(tmp_path / "new" / name, labels)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
    found = (tifffile.imread if name.endswith("tif") else imread)(tmp_path / "new" / name)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_mask_is_written_in_8_bits(tmp_path, name):
    write_label_image(tmp_path / name, np.eye(3, dtype=bool))
    found = (tifffile.imread if name.endswith("tif") else imread)(tmp_path / name)
    assert found.dtype == np.uint8 and (found > 0).sum() == 3
