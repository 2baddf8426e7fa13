"""The one plane that shows the nuclei of files that hold several."""

from collections import namedtuple

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr

from harness.core.errors import HarnessError
from harness.datasets import open_dataset, problems, read_image, read_nuclei

PLANES = np.arange(3 * 20 * 30, dtype=np.uint16).reshape(3, 20, 30)
NAMES = ["DAPI", "GFP", "7"]


def ome_tiff(path, pixels=PLANES, axes="CYX", names=NAMES):
    tifffile.imwrite(path, pixels, metadata={"axes": axes, "Channel": {"Name": names}} if names else {"axes": axes}, ome=True)
    return path


def ome_zarr(path, pixels=PLANES, axes="cyx", names=NAMES, version="0.4"):
    """As the versions of the specification have it: attributes at the top until 0.4, below `ome` since."""
    kinds = {"c": "channel", "t": "time"}
    about = {
        "multiscales": [
            {
                "version": version,
                "axes": [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes],
                "datasets": [{"path": "full"}, {"path": "half"}],
            }
        ],
        "omero": {"channels": [{"label": name} for name in names]},
    }
    if version == "0.5":
        group = zarr.create_group(path, zarr_format=3, attributes={"ome": about | {"version": version}})
    else:
        group = zarr.create_group(path, zarr_format=2, attributes=about)
    for name, step in (("full", 1), ("half", 2)):
        group.create_array(name, data=np.ascontiguousarray(pixels[..., ::step, ::step]))
    return path


def stack(path):
    tifffile.imwrite(path, PLANES, imagej=True, metadata={"axes": "ZYX"})
    return path


def colours(path):
    iio.imwrite(path, np.moveaxis(PLANES // 8, 0, -1).astype(np.uint8))
    return path


def refused(path, channel=None, plane=None):
    with pytest.raises(HarnessError) as caught:
        read_image(path, channel, plane)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value) and ";" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize(
    "write",
    [
        lambda folder: ome_tiff(folder / "a.ome.tif"),
        lambda folder: ome_tiff(folder / "a.ome.tif", PLANES[None, :, None], "TCZYX"),
        lambda folder: ome_zarr(folder / "a.ome.zarr"),
        lambda folder: ome_zarr(folder / "a.ome.zarr", PLANES[None, :, None], "tczyx"),
        lambda folder: ome_zarr(folder / "a.zarr", version="0.5"),
        lambda folder: stack(folder / "a.tif"),
    ],
)
def test_a_channel_by_number_and_by_name(tmp_path, write, channel):
    path = write(tmp_path)
    np.testing.assert_array_equal(read_image(path, str(channel)), PLANES[channel])
    if path.name != "a.tif":
        np.testing.assert_array_equal(read_image(path, NAMES[channel]), PLANES[channel])
        assert "choose the one that shows the nuclei by number or name" in refused(path)
        assert "has 3 channels (0 DAPI, 1 GFP, 2 7); choose" in refused(path)


def test_colours_and_planes_by_number(tmp_path):
    path = colours(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(path, "1"), (PLANES[1] // 8).astype(np.uint8))
    assert "has 3 colours; choose" in refused(path) and "has 3 planes in depth; choose" in refused(stack(tmp_path / "a.tif"))
    assert "has no channel '3'; there is 0, 1, 2" in refused(path, "3")


def test_what_no_channel_can_choose_is_refused(tmp_path):
    both = ome_tiff(tmp_path / "a.ome.tif", np.stack([PLANES] * 2), "TZYX")
    for choice in ((), ("0",), (None, 0), ("0", 0)):
        assert "has 2 moments and 3 planes in depth; save the plane" in refused(both, *choice)
    tifffile.imwrite(tmp_path / "unnamed.tif", np.stack([PLANES[:2]] * 5))  # as tifffile writes them, without their kinds
    for choice in ((), ("0",), (None, 0)):
        assert "has 5 planes and 2 planes; save the plane" in refused(tmp_path / "unnamed.tif", *choice)
    named = ome_tiff(tmp_path / "b.ome.tif")
    assert "has no channel 'RFP'; there is 0 DAPI, 1 GFP, 2 7" in refused(named, "RFP")
    assert "has no channel '-1'" in refused(named, "-1")
    assert f"has no channel '{'9' * 100}'; there" in refused(named, "9" * 5000)


DEEP = np.arange(4 * 3 * 20 * 30, dtype=np.uint16).reshape(4, 3, 20, 30)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: ome_tiff(folder / "a.ome.tif", DEEP, "ZCYX"),
        lambda folder: ome_tiff(folder / "a.ome.tif", DEEP.swapaxes(0, 1)[None], "TCZYX"),
        lambda folder: ome_zarr(folder / "a.ome.zarr", DEEP.swapaxes(0, 1)[None], "tczyx"),
        lambda folder: ome_zarr(folder / "a.zarr", DEEP, "zcyx", version="0.5"),
    ],
)
def test_a_plane_of_a_channel(tmp_path, write):
    path = write(tmp_path)
    for channel, plane in (("0", 3), ("GFP", 0), ("7", 2)):
        chosen = NAMES.index(channel) if channel in NAMES else int(channel)
        np.testing.assert_array_equal(read_image(path, channel, plane), DEEP[plane, chosen])
    for choice in ((), ("GFP",), (None, 1)):
        line = refused(path, *choice)
        assert "4 planes in depth" in line and "3 channels (0 DAPI, 1 GFP, 2 7)" in line
        assert "by number or name, with --channel and --plane or in a data folder's metadata/channel.txt and plane.txt" in line
    assert "has no plane 4; there are 4, counted from 0" in refused(path, "GFP", 4)
    assert "has no channel 'RFP'; there is 0 DAPI, 1 GFP, 2 7" in refused(path, "RFP", 1)


def test_a_plane_of_a_stack_without_channels(tmp_path):
    path = stack(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(path, plane=2), PLANES[2])
    np.testing.assert_array_equal(read_image(path, "0", 2), PLANES[2])
    assert "has 3 planes in depth; choose the one that shows the nuclei by number, with --plane or in" in refused(path)
    assert "has no plane 3; there are 3, counted from 0" in refused(path, plane=3)
    named = ome_zarr(tmp_path / "b.zarr", PLANES[None], "czyx", ["DAPI"])
    np.testing.assert_array_equal(read_image(named, "DAPI", 1), PLANES[1])
    assert "has 3 planes in depth; choose" in refused(named, "DAPI")


def test_an_image_without_depth_has_plane_0(tmp_path):
    path = ome_tiff(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(read_image(path, "GFP", 0), PLANES[1])
    assert "has no plane 1; there is 1, counted from 0" in refused(path, "GFP", 1)
    assert "has 3 channels (0 DAPI, 1 GFP, 2 7); choose" in refused(path, plane=0)


def test_a_plane_of_colours_that_are_grey(tmp_path):
    grey = np.stack([(PLANES // 8).astype(np.uint8)] * 3, axis=-1)
    tifffile.imwrite(tmp_path / "a.tif", grey, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif", plane=1), grey[1, ..., 0])


def test_a_stack_takes_memory_to_work_on_for_one_plane(tmp_path, monkeypatch):
    path = stack(tmp_path / "a.tif")
    memory = namedtuple("memory", "available")
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory(600 * 40 + 1200 * 2))
    np.testing.assert_array_equal(read_image(path, plane=1), PLANES[1])
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory(600 * 40 + 1200 * 2 - 1))
    assert "take 0.0 GB to work on" in refused(path, plane=1)


@pytest.mark.parametrize("axes", ["yx", "cyx"])
def test_an_ome_zarr_without_chunks_is_refused_before_memory_is_asked_for(tmp_path, axes):
    path = ome_zarr(tmp_path / "a.zarr", PLANES[: len(axes) - 1].squeeze(), axes)
    shape = (2, 400000, 400000)[-len(axes) :]
    zarr.open_group(path).create_array("full", shape=shape, dtype="u2", chunks=(*shape[:-2], 4096, 4096), overwrite=True)
    for read in (read_image, lambda each: read_image(each, "0"), read_nuclei):
        with pytest.raises(HarnessError, match="a.zarr: .*400000x400000 px take 6.* GB to work on, and"):
            read(path)


def test_of_an_ome_zarr_only_what_is_read_has_to_fit_into_the_memory(tmp_path, monkeypatch):
    path = ome_zarr(tmp_path / "a.zarr")
    monkeypatch.setattr("psutil.virtual_memory", lambda: namedtuple("memory", "available")(600 * 40))
    np.testing.assert_array_equal(read_image(path, "1"), PLANES[1])
    with pytest.raises(HarnessError, match="3x20x30 px take 0.0 GB to work on"):
        read_nuclei(path)


@pytest.mark.parametrize("channel", [None, "0"])
def test_an_ome_zarr_with_a_damaged_chunk_or_other_axes_than_it_names_is_refused(tmp_path, channel):
    path = ome_zarr(tmp_path / "a.zarr", PLANES[0], "yx")
    next(file for file in (path / "full").iterdir() if file.name[0] != ".").write_bytes(b"words")
    assert "cannot be read as an image" in refused(path, channel)
    assert "names 2 axes of an array of 3; " in refused(ome_zarr(tmp_path / "b.zarr", axes="yx"), channel)


def test_a_file_of_one_channel_has_channel_0(tmp_path):
    path = ome_tiff(tmp_path / "a.ome.tif", PLANES[:1], names=["DAPI"])
    for channel in (None, "0", "DAPI"):
        np.testing.assert_array_equal(read_image(path, channel), PLANES[0])
    assert "has no channel '1'; there is 0 DAPI" in refused(path, "1")


def test_an_ome_zarr_of_one_plane_and_what_is_none(tmp_path):
    path = ome_zarr(tmp_path / "a.ome.zarr", PLANES[None, :1], "zcyx", ["DAPI"])
    np.testing.assert_array_equal(read_image(path), PLANES[0])
    np.testing.assert_array_equal(read_nuclei(path), PLANES[0])
    zarr.create_group(tmp_path / "series.zarr", zarr_format=2, attributes={"bioformats2raw.layout": 3})
    ome_zarr(tmp_path / "series.zarr" / "0")
    np.testing.assert_array_equal(read_image(tmp_path / "series.zarr", "1"), PLANES[1])
    ome_zarr(tmp_path / "series.zarr" / "1")
    assert "is an OME-Zarr of 2 images" in refused(tmp_path / "series.zarr", "1")
    (tmp_path / "empty.zarr").mkdir()
    assert "holds no OME-Zarr" in refused(tmp_path / "empty.zarr")


def test_ome_zarr_without_its_package_is_refused(tmp_path, monkeypatch):
    path = ome_zarr(tmp_path / "a.ome.zarr")
    monkeypatch.setattr("harness.core.extras.find_spec", lambda package: None)
    with pytest.raises(HarnessError, match="OME-Zarr needs the package zarr: pip install"):
        read_image(path, "0")


def test_a_data_folder_names_its_channel_and_the_choice_is_part_of_its_digest(tmp_path):
    (tmp_path / "images").mkdir()
    for name in "abcde":
        ome_tiff(tmp_path / "images" / f"{name}.ome.tif", PLANES + ord(name))
    ome_zarr(tmp_path / "images" / "f.ome.zarr")
    (tmp_path / "masks").mkdir()
    for name in "abcde":
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", np.arange(600, dtype=np.uint16).reshape(20, 30))
    unchosen = open_dataset(str(tmp_path))
    assert len(problems(tmp_path)) == 6 and "metadata/channel.txt" in problems(tmp_path)[0]
    (tmp_path / "metadata").mkdir()
    digests = {unchosen.digest}
    for channel, plane in {"GFP\n": 1, "2": 2}.items():
        (tmp_path / "metadata" / "channel.txt").write_text(channel)
        assert problems(tmp_path) == []
        chosen = open_dataset(str(tmp_path))
        np.testing.assert_array_equal(chosen.read_image("a"), PLANES[plane] + ord("a"))
        np.testing.assert_array_equal(chosen.read_image("f"), PLANES[plane])
        digests.add(chosen.digest)
    (tmp_path / "images" / "f.ome.zarr" / ".zattrs").write_text("{}")
    assert len(digests) == 3 and open_dataset(str(tmp_path)).digest not in digests


def test_a_data_folder_names_its_plane(tmp_path):
    for folder in ("images", "masks", "metadata"):
        (tmp_path / folder).mkdir()
    for name in "abcde":
        ome_tiff(tmp_path / "images" / f"{name}.ome.tif", DEEP + ord(name), "ZCYX")
        tifffile.imwrite(tmp_path / "masks" / f"{name}.tif", np.arange(600, dtype=np.uint16).reshape(20, 30))
    (tmp_path / "metadata" / "channel.txt").write_text("GFP")
    assert len(problems(tmp_path)) == 5 and "metadata/channel.txt and plane.txt" in problems(tmp_path)[0]
    digests = {open_dataset(str(tmp_path)).digest}
    for plane in (0, 3):
        (tmp_path / "metadata" / "plane.txt").write_text(f"{plane}\n")
        assert problems(tmp_path) == []
        chosen = open_dataset(str(tmp_path))
        np.testing.assert_array_equal(chosen.read_image("a"), DEEP[plane, 1] + ord("a"))
        digests.add(chosen.digest)
    assert len(digests) == 3
    for word in ("middle", "9" * 5000):
        (tmp_path / "metadata" / "plane.txt").write_text(word)
        with pytest.raises(HarnessError, match=rf"plane.txt: holds '{word[:100]}'; write the number of a plane, counted from 0"):
            open_dataset(str(tmp_path))
