"""What images may be given as, where results go, and what they are exported as."""

import json

import numpy as np
import pytest
import tifffile
from readers import READERS

from harness import exports
from harness.apps.jobs import MANIFEST, images_in
from harness.core.errors import HarnessError
from harness.datasets import open_dataset

SOURCE = "cellprofiler:shape/shape"


@pytest.fixture(scope="module")
def image():
    dataset = open_dataset("synthetic")
    return dataset.read_image(dataset.splits["test"][0])[:100, :100]


@pytest.fixture
def label(harness):
    return lambda images, out, *more: harness("label", SOURCE, images, out, "--workers", 1, *more)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names_in(images, out="out"):
    return list(images_in(images, out))


def test_images_in_folders_below_patterns_and_alone(tmp_path, monkeypatch):
    touch(
        tmp_path / "in", "b.png", "a.tif", "x/a.tif", "x/y/c.ome.tif", "x/notes.txt", ".trash/d.tif", "x/.e.tif", "z.zarr/0/f.tif"
    )
    touch(tmp_path / "in", f"done/{MANIFEST}", "done/a.tif", "out/b.tif")
    touch(tmp_path, "data/frame/images/f.png", "data/frame/masks/1.png", "masks/alone.png")
    everything = ["a.tif", "b.png", "x/a.tif", "x/y/c.ome.tif", "z.zarr"]
    monkeypatch.chdir(tmp_path)
    assert names_in("in", "in/out") == everything
    assert names_in("in/**/*", "in/out") == everything
    assert names_in(tmp_path / "in" / "**" / "*.tif", "in/out") == ["a.tif", "x/a.tif", "x/y/c.ome.tif"]
    assert names_in("in/x*") == ["x/a.tif", "x/y/c.ome.tif"] and names_in("i?/*.png") == ["in/b.png"]
    assert names_in("data") == names_in("data/**/*.png") == ["frame/images/f.png"]  # annotation beside images is none of them
    assert names_in("masks") == ["alone.png"]
    assert names_in("in/a.tif") == ["a.tif"] and names_in("in/z.zarr") == ["z.zarr"]
    assert images_in("in/x", "out")["y/c.ome.tif"] == tmp_path / "in" / "x" / "y" / "c.ome.tif"
    for nothing in ("in/x/notes.txt", "in/*.jpg", "nowhere"):
        with pytest.raises(HarnessError, match="not a folder with images"):
            names_in(nothing)
    touch(tmp_path / "in", "x/a.png")
    with pytest.raises(HarnessError, match="x/a is there with two endings"):
        names_in("in")


def test_results_mirror_the_tree_of_images(label, image, tmp_path):
    for place in ("a", "plate/a", "plate/week 2/a.b"):
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / "in" / f"{place}.tif", image)
    out = tmp_path / "in" / "labels"  # inside: its label images are no images
    assert label("in", out, "--export", "qupath")[1].startswith("3 images")
    made = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    both = (f"{place}{ending}" for place in ("a", "plate/a", "plate/week 2/a.b") for ending in (".tif", ".geojson"))
    assert made == sorted([MANIFEST, *both])
    assert "0 images, 0 nuclei; 3 were there" in label("in", out, "--export", "qupath")[1]
    lines = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
    assert [line["image"] for line in lines[1:]] == ["a.tif", "plate/a.tif", "plate/week 2/a.b.tif"]


def test_the_channel_is_part_of_what_made_a_label_image(label, image, tmp_path):
    from tests.datasets.test_planes import ome_zarr

    (tmp_path / "in").mkdir()
    planes = np.stack([image[::-1], image])
    tifffile.imwrite(
        tmp_path / "in" / "a.ome.tif", planes, metadata={"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}}, ome=True
    )
    ome_zarr(tmp_path / "in" / "b.ome.zarr", planes, names=["GFP", "DAPI"])
    code, _, err = label("in", "out")
    assert code == 2 and err.count("\n") == 1 and "has 2 channels (0 GFP, 1 DAPI); choose" in err
    assert label("in", "out", "--channel", "DAPI")[0] == 0  # nothing was made otherwise
    tifffile.imwrite(tmp_path / "alone.tif", image)
    assert label("alone.tif", "alone")[0] == 0
    expected = tifffile.imread(tmp_path / "alone" / "alone.tif")
    assert expected.max() > 2
    for name in "ab":
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / f"{name}.tif"), expected)
    code, _, err = label("in", "out", "--channel", "GFP")
    assert code == 2 and "made otherwise (channel: DAPI then, GFP now); --redo" in err and err.count("\n") == 1
    assert "channel" not in json.loads((tmp_path / "alone" / MANIFEST).read_text().splitlines()[0])["recipe"]
    chunk = next(path for path in (tmp_path / "in" / "b.ome.zarr" / "full").iterdir() if path.name[0] != ".")
    assert "2 were there" in label("in", "out", "--channel", "DAPI")[1]
    chunk.unlink()  # the plane reads as zeros now
    code, _, err = label("in", "out", "--channel", "DAPI")
    assert code == 2 and "1 of its label images are of images that have changed" in err


def test_the_plane_is_part_of_what_made_a_label_image(label, image, tmp_path):
    (tmp_path / "in").mkdir()
    deep = np.stack([np.stack([image[::-1], image * 0]), np.stack([image[:, ::-1], image])])
    tifffile.imwrite(tmp_path / "in" / "a.ome.tif", deep, metadata={"axes": "ZCYX"}, ome=True)
    tifffile.imwrite(tmp_path / "in" / "b.tif", deep, imagej=True, metadata={"axes": "ZCYX"})
    for given in ((), ("--channel", "1"), ("--plane", "1"), ("--channel", "1", "--plane", "2")):
        code, _, err = label("in", "out", *given)
        assert code == 2 and err.count("\n") == 1 and ("has 2 planes in depth and 2 channels" in err or "there are 2" in err)
    assert label("in", "out", "--plane", "-1")[0] == 2 and not (tmp_path / "out").exists()
    assert label("in", "out", "--channel", "1", "--plane", "1")[0] == 0
    tifffile.imwrite(tmp_path / "alone.tif", image)
    assert label("alone.tif", "alone")[0] == 0
    for name in "ab":
        made = tifffile.imread(tmp_path / "out" / f"{name}.tif")
        np.testing.assert_array_equal(made, tifffile.imread(tmp_path / "alone" / "alone.tif"))
    code, _, err = label("in", "out", "--channel", "1", "--plane", "0")
    assert code == 2 and "made otherwise (plane: 1 then, 0 now); --redo" in err and err.count("\n") == 1


def test_a_choice_that_fits_some_images_is_a_fault_of_the_others(label, image, tmp_path):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", np.stack([image] * 2), imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "in" / "b.tif", np.stack([image] * 5), imagej=True, metadata={"axes": "ZYX"})
    code, out, err = label("in", "out", "--plane", "2", "--diameter", "auto")
    assert code == 1 and "a.tif: has no plane 2; there are 2" in err and err.count("\n") == 1 and "1 image, " in out
    code, _, err = label("in", "out", "--plane", "9", "--diameter", "auto")
    assert code == 2 and "has no plane 9; there are 2" in err and err.count("\n") == 1


@pytest.fixture
def two(image, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", image[:, :: 1 if name == "a" else -1])
    return tmp_path / "in"


def test_label_images_are_exported_when_they_are_made_and_afterwards(label, two, tmp_path):
    out = tmp_path / "out"
    assert label(two, out, "--export", "imagej")[0] == 0
    later = [word for name in exports.FORMATS for word in ("--export", name)]
    tifffile.imwrite(out / "b.tif", corrected := np.pad(np.full((9, 9), 300, np.uint16), ((0, 91), (0, 91))))
    before = (out / "a.tif").stat().st_mtime_ns, (out / "a.zip").read_bytes(), (out / MANIFEST).read_bytes()
    code, said, _ = label(two, out, *later)
    assert code == 0 and said.startswith("2 images") and "2 were there" in label(two, out, *later)[1]
    assert before == ((out / "a.tif").stat().st_mtime_ns, (out / "a.zip").read_bytes(), (out / MANIFEST).read_bytes())
    for name, read in READERS.items():
        for field in "ab":
            labels = tifffile.imread(out / f"{field}.tif")
            np.testing.assert_array_equal(read(exports.path_of(out / field, name), labels.shape), labels)
    assert corrected.max() == 300 == tifffile.imread(out / "b.tif").max()


def test_redo_leaves_no_export_of_a_label_image_that_is_gone(harness, two, tmp_path):
    assert harness("label", SOURCE, two, "out", "--export", "qupath", "--export", "ome-zarr", "--workers", 1)[0] == 0
    old = (tmp_path / "out" / "a.geojson").read_bytes()
    assert harness("label", "cellprofiler:intensity/intensity", two, "out", "--redo", "--workers", 1)[0] == 0
    labels = tifffile.imread(tmp_path / "out" / "a.tif")
    assert (tmp_path / "out" / "a.geojson").read_bytes() != old and not (tmp_path / "out" / "a.zip").exists()
    for name in ("qupath", "ome-zarr"):
        np.testing.assert_array_equal(READERS[name](exports.path_of(tmp_path / "out" / "a", name), labels.shape), labels)


def test_what_cannot_be_exported_is_refused_before_anything_is_written(label, two, tmp_path, monkeypatch):
    code, _, err = label(two, "out", "--export", "matlab")
    assert code == 2 and "no export 'matlab'; there is imagej" in err and err.count("\n") == 1
    monkeypatch.setattr("harness.core.extras.find_spec", lambda package: None)
    code, _, err = label(two, "out", "--export", "imagej")
    assert code == 2 and "imagej needs the package roifile: pip install" in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
