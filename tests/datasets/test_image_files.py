"""Images and masks in the forms people store them; what cannot be used is refused with one line."""

import struct
import zlib
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from harness.core.errors import HarnessError
from harness.datasets import field_name, image_files, read_image, read_nuclei

GREY = (np.arange(20 * 30, dtype=np.uint16) * 6).reshape(20, 30)
LABELS = np.zeros((20, 30), np.uint16)
LABELS[2:8, 3:9] = 7
LABELS[8:12, 3:9] = 40000
LABELS[2:8, 20:25] = 7  # a nucleus in two pieces stays one


def refused(read, path):
    with pytest.raises(HarnessError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message and ";" in message
    return message


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("ending", ["tif", "TIFF", "ome.tif"])
def test_tiff_of_any_depth_comes_back_as_stored(tmp_path, dtype, ending):
    image = (GREY // 16).astype(dtype)
    tifffile.imwrite(tmp_path / f"a.{ending}", image)
    read = read_image(tmp_path / f"a.{ending}")
    assert read.dtype == dtype and np.array_equal(read, image)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(tmp_path, compression):
    Image.fromarray(GREY).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read_image(tmp_path / "a.tif"), GREY)


def test_ome_tiff_with_axes_of_length_one(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tiff", GREY[None, None, None], metadata={"axes": "TCZYX"}, ome=True)
    assert np.array_equal(read_image(tmp_path / "a.ome.tiff"), GREY)


def test_png_of_8_and_16_bits_with_and_without_opacity(tmp_path):
    small = (GREY // 256).astype(np.uint8)
    for name, image in {
        "16": GREY,
        "8": small,
        "rgb": np.dstack([small] * 3),
        "rgba": np.dstack([small] * 3 + [np.full_like(small, 255)]),
        "la": np.dstack([small, np.full_like(small, 9)]),
    }.items():
        iio.imwrite(tmp_path / f"{name}.png", image)
        assert np.array_equal(read_image(tmp_path / f"{name}.png"), GREY if name == "16" else small)


def test_grey_stored_as_planar_colour(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY] * 3), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "a.tif"), GREY)


def not_finite(value):
    image = GREY.astype(np.float32)
    image[3, 4] = value
    return image


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.dstack([GREY, GREY, GREY // 2]), "has 3 colours; choose"),
        (np.stack([GREY] * 5), "has 5 planes; choose"),
        (not_finite(np.nan), "holds NaN or infinite values"),
        (not_finite(np.inf), "holds NaN or infinite values"),
        (GREY.astype(np.complex64), "holds complex64 values"),
    ],
)
def test_images_that_are_none(tmp_path, pixels, words):
    tifffile.imwrite(tmp_path / "a.tif", pixels, metadata=None)
    assert words in refused(read_image, tmp_path / "a.tif")


def test_a_size_that_the_file_cannot_hold_is_refused_before_memory_is_asked_for(tmp_path):
    entries = [(256, 30000), (257, 30000), (258, 64), (259, 1), (262, 1), (273, 8), (277, 1), (278, 30000), (279, 8)]
    content = b"II*\0" + (16).to_bytes(4, "little") + bytes(8) + len(entries).to_bytes(2, "little")
    content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    (tmp_path / "a.tif").write_bytes(content)
    assert "says it is of 30000x30000 px, more than its" in refused(read_image, tmp_path / "a.tif")
    iio.imwrite(tmp_path / "b.png", np.zeros((4, 4), np.uint8))
    content = bytearray((tmp_path / "b.png").read_bytes())
    content[16:24] = struct.pack(">II", 10000, 10000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "b.png").write_bytes(content)
    assert "says it is of 10000x10000 px" in refused(read_image, tmp_path / "b.png")


def test_an_image_that_this_machine_has_no_memory_for_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=20_000))
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    assert "20x30 px take 0.0 GB to work on" in refused(read_image, tmp_path / "a.tif")


def test_one_value_alone_compresses_far_and_is_read(tmp_path):
    for compression in ("zlib", "tiff_lzw"):
        Image.fromarray(np.zeros((4000, 3000), np.uint8)).save(
            tmp_path / "a.tif", compression=compression.replace("zlib", "tiff_adobe_deflate")
        )
        assert read_image(tmp_path / "a.tif").shape == (4000, 3000)
    iio.imwrite(tmp_path / "a.png", np.zeros((4000, 3000), np.uint8))
    assert read_image(tmp_path / "a.png").shape == (4000, 3000)


def test_ids_beyond_int32_keep_their_nuclei_apart(tmp_path):
    labels = LABELS.astype(np.uint32)
    labels[LABELS == 7] = 2**32 - 1
    tifffile.imwrite(tmp_path / "a.tif", labels)
    assert np.array_equal(read_nuclei(tmp_path / "a.tif"), np.select([LABELS == 40000, LABELS == 7], [1, 2]))


@pytest.mark.parametrize("ending", ["tif", "png"])
@pytest.mark.parametrize(
    "damage", [lambda content: b"", lambda content: content[: len(content) // 2], lambda content: b"words, not pixels"]
)
def test_damaged_files(tmp_path, ending, damage):
    path = tmp_path / f"a.{ending}"
    iio.imwrite(path, GREY)
    path.write_bytes(damage(path.read_bytes()))
    assert "cannot be read as an image" in refused(read_image, path)


def test_a_tiff_cut_off_before_its_directory(tmp_path):
    """MetaMorph writes the directory last, as in BBBC039; what is cut off then is everything but pixels."""
    header, directory = b"II*\0\x00\x10\x00\x00", 4096
    (tmp_path / "a.tif").write_bytes(header.ljust(directory // 2, b"\1"))
    refused(read_image, tmp_path / "a.tif")


def test_a_circle_of_pages_is_read_without_a_word_of_the_decoder(tmp_path, capfd):
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    content = bytearray((tmp_path / "a.tif").read_bytes())
    first = int.from_bytes(content[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
    content[end : end + 4] = content[4:8]  # the page after the first is the first
    (tmp_path / "a.tif").write_bytes(content)
    assert np.array_equal(read_image(tmp_path / "a.tif"), GREY)
    assert capfd.readouterr() == ("", "")


def test_missing_file(tmp_path):
    assert "no such file" in refused(read_image, tmp_path / "a.tif")


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_label_image(tmp_path, ending):
    iio.imwrite(tmp_path / f"a.{ending}", LABELS)
    nuclei = read_nuclei(tmp_path / f"a.{ending}")
    assert nuclei.dtype == np.int32
    assert np.array_equal(nuclei, np.select([LABELS == 7, LABELS == 40000], [1, 2]))


def test_colouring_separates_equal_colours_that_do_not_touch(tmp_path):
    red = (LABELS > 0).astype(np.uint8) + (LABELS > 7)
    zero = np.zeros_like(red)
    iio.imwrite(tmp_path / "a.png", np.dstack([red, zero, zero, zero + 255]))
    nuclei = read_nuclei(tmp_path / "a.png")
    assert nuclei.max() == 3
    assert len({nuclei[4, 5], nuclei[10, 5], nuclei[4, 22]}) == 3


def test_folder_of_binary_masks_the_last_in_front(tmp_path):
    (tmp_path / "a").mkdir()
    first, second = np.zeros((2, 20, 30), np.uint8)
    first[2:10, 2:10], second[8:14, 8:14] = 255, 255
    for name, mask in (("n1", first), ("n2", second), ("n3", second * 0)):
        iio.imwrite(tmp_path / "a" / f"{name}.png", mask)
    expected = np.where(second > 0, 2, first > 0)
    assert np.array_equal(read_nuclei(tmp_path / "a"), expected)


def test_one_nucleus_cut_in_two_in_its_own_file_stays_one(tmp_path):
    (tmp_path / "a").mkdir()
    iio.imwrite(tmp_path / "a" / "n1.png", (LABELS == 7).astype(np.uint8) * 255)
    assert read_nuclei(tmp_path / "a").max() == 1


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.int32, (6, 7), elements=st.integers(0, 5) | st.integers(0, 2**31 - 1)))
def test_a_label_image_keeps_its_partition(tmp_path_factory, labels):
    path = tmp_path_factory.mktemp("labels") / "a.tif"
    labels[0, :2] = 2, 3  # two values at least: it is no binary mask
    tifffile.imwrite(path, labels)
    nuclei = read_nuclei(path)
    assert np.array_equal(nuclei == 0, labels == 0)
    same = [ids.ravel()[:, None] == ids.ravel() for ids in (nuclei, labels)]
    assert np.array_equal(*same)
    assert set(np.unique(nuclei)) - {0} == set(range(1, nuclei.max() + 1))


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (LABELS.astype(np.float32), "is a mask of float32 values"),
        (LABELS.astype(np.complex64), "is a mask of complex64 values"),
        (-LABELS.astype(np.int32), "negative values"),
        ((LABELS > 0).astype(np.uint8) * 255, "is a binary mask"),
        ((LABELS > 0).astype(np.uint8), "is a binary mask"),
        (np.dstack([LABELS, LABELS // 2, LABELS * 0]), "no label image and no colouring in red"),
        (np.stack([LABELS] * 5), "no label image and no colouring in red"),
    ],
)
def test_masks_that_are_none(tmp_path, mask, words):
    tifffile.imwrite(tmp_path / "a.tif", mask, metadata=None)
    assert words in refused(read_nuclei, tmp_path / "a.tif")


def test_a_folder_of_masks_must_hold_binary_images_of_one_size(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    assert "holds no TIFF or PNG" in refused(read_nuclei, folder)
    iio.imwrite(folder / "n1.png", LABELS)
    assert "is no binary image" in refused(lambda _: read_nuclei(folder), folder / "n1.png")
    iio.imwrite(folder / "n1.png", (LABELS > 7).astype(np.uint8))
    iio.imwrite(folder / "n2.png", np.ones((5, 5), np.uint8))
    assert "5x5 px, but n1.png 20x30 px" in refused(lambda _: read_nuclei(folder), folder / "n2.png")


@pytest.mark.parametrize(
    ("filename", "field"),
    [("a.tif", "a"), ("a.ome.tif", "a"), ("a.OME.TIFF", "a"), ("a.b.png", "a.b"), ("a.b", "a.b"), ("a", "a")],
)
def test_field_name(filename, field):
    assert field_name(filename) == field


def test_image_files_are_sorted_without_hidden_ones(tmp_path):
    for name in ("b.png", "a.TIF", ".c.png", "d.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in image_files(tmp_path)] == ["a.TIF", "b.png"]
