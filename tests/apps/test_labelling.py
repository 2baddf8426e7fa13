import json
import os
import shutil

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite

from harness.datasets import open_dataset
from harness.sources.classical import Settings
from harness.sources.classical.primary_objects import identify

NAMES = open_dataset("synthetic").splits["test"][:2]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, dataset = tmp_path_factory.mktemp("images"), open_dataset("synthetic")
    for name in NAMES:
        tifffile.imwrite(folder / f"{name}.tif", dataset.read_image(name)[:200, :200])
    imwrite(folder / "eight-bit.png", (dataset.read_image(NAMES[0])[:200, :200] >> 4).astype(np.uint8))
    return folder


def test_label_images_of_the_same_stem_are_those_of_the_source(harness, images, tmp_path):
    code, out, _ = harness("label", "cellprofiler:shape/shape", images, "labels")
    assert code == 0 and "3 images" in out
    for name in [*NAMES, "eight-bit"]:
        labels = tifffile.imread(tmp_path / "labels" / f"{name}.tif")
        file = next(images.glob(f"{name}.*"))
        image = tifffile.imread(file) if file.suffix == ".tif" else None
        assert labels.dtype == np.uint16 and labels.max() >= 3
        if image is not None:
            np.testing.assert_array_equal(labels, identify(image, "shape/shape"))


def test_consensus_adds_what_to_ignore_and_workers_change_nothing(harness, images, tmp_path):
    for workers in (1, 2):
        assert harness("label", "consensus", images, f"by{workers}", "--workers", workers)[0] == 0
    for path in (tmp_path / "by1").iterdir():
        assert path.read_bytes() == (tmp_path / "by2" / path.name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "by1").iterdir())[:2] == ["eight-bit.tif", "eight-bit_ignore.tif"]


def test_settings_are_taken_and_checked(harness, images, tmp_path):
    assert harness("label", "cellprofiler:shape/shape", images, "large", "--set", "min_diameter=18")[0] == 0
    labels = tifffile.imread(tmp_path / "large" / f"{NAMES[0]}.tif")
    expected = identify(tifffile.imread(images / f"{NAMES[0]}.tif"), "shape/shape", Settings(min_diameter=18))
    np.testing.assert_array_equal(labels, expected)


def test_diameters_are_told_from_the_images_that_can_be_read(harness, images, tmp_path):
    folder = tmp_path / "some"
    shutil.copytree(images, folder)
    (folder / "broken.tif").write_bytes(b"II*\0nothing")
    code, out, err = harness("label", "cellprofiler:shape/shape", folder, "told", "--diameter", "auto")
    assert code == 1 and err.count("\n") == 1 and "broken.tif" in err
    recipe = json.loads((tmp_path / "told" / "manifest.jsonl").read_text().splitlines()[0])["recipe"]
    low, high = recipe["min_diameter"], recipe["max_diameter"]
    assert f"told from the images: min_diameter {low}, max_diameter {high}" in out and low < 15 and high > 40
    assert harness("label", "cellprofiler:shape/shape", images, "given", "--diameter", f"{low},{high}")[0] == 0
    for path in (tmp_path / "given").glob("*.tif"):
        assert path.read_bytes() == (tmp_path / "told" / path.name).read_bytes()


def test_a_job_goes_on_and_one_bad_file_does_not_stop_it(harness, images, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    for file in images.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "broken.tif").write_bytes(b"II*\0nothing")
    code, out, err = harness("label", "cellprofiler:shape/intensity", folder, "labels")
    assert code == 1 and "broken.tif" in err and len(list((tmp_path / "labels").glob("*.tif"))) == 3
    (tmp_path / "labels" / "eight-bit.tif").unlink()
    (folder / "broken.tif").unlink()
    code, out, _ = harness("label", "cellprofiler:shape/intensity", folder, "labels")
    assert code == 0 and "1 image" in out and "2 were there" in out


def test_a_pipeline_holds_the_same_settings(harness, tmp_path):
    code, _, _ = harness("label", "cellprofiler:shape/intensity", "--export-pipeline", "p.cppipe", "--set", "max_diameter=44")
    text = (tmp_path / "p.cppipe").read_text()
    assert code == 0 and text.startswith("CellProfiler Pipeline")
    assert "Typical diameter of objects, in pixel units (Min,Max):10,44" in text
    assert harness("label", "consensus", "--export-pipeline", "c.cppipe")[0] == 0
    assert (tmp_path / "c.cppipe").read_text().count("IdentifyPrimaryObjects:[") == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("label", "manual", "{images}", "labels"), "manual labels are not made from images"),
        (("label", "magic", "{images}", "labels"), "unknown label source 'magic'"),
        (("label", "consensus"), "label needs IMAGES and OUT"),
        (("label", "manual", "--export-pipeline", "a.cppipe"), "manual labels are not made by CellProfiler"),
        (
            ("label", "cellprofiler:shape/shape", "--export-pipeline", "/dev/null/a.cppipe"),
            "/dev/null/a.cppipe: cannot be written",
        ),
        (("label", "consensus", "{images}", "o" * 300), "manifest.jsonl: File name too long; give a shorter one"),
        (("label", "consensus", "{images}", "labels", "--channel", "9" * 5000), "9'; there is 0"),
        (("label", "consensus", "nowhere", "labels"), "nowhere: not a folder with images"),
        (("label", "consensus", "{images}", "labels", "--set", "colour=1"), "no setting 'colour'"),
        (("label", "consensus", "{images}", "labels", "--diameter", "ten"), "--diameter ten: expected auto, or MIN,MAX"),
        (("label", "consensus", "{images}", "labels", "--diameter", "50,10"), "expected at most max_diameter"),
        (("label", "consensus", "--export-pipeline", "a.cppipe", "--diameter", "auto"), "min_diameter is auto, and no image"),
        (("label", "consensus", "{images}", "labels", "--set", "min_diameter"), "'min_diameter' is not KEY=VALUE"),
    ],
)
def test_refused_requests(harness, images, tmp_path, arguments, said):
    code, _, err = harness(*(str(argument).format(images=images) for argument in arguments))
    assert code == 2 and said in err and err.count("\n") == 1
    assert not (tmp_path / "labels").exists()


def test_a_name_that_is_not_utf8_is_refused_in_a_line_that_can_be_written_and_the_others_are_labelled(harness, images, tmp_path):
    folder = shutil.copytree(images, tmp_path / "odd")
    (folder / "eight-bit.png").rename(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))
    for done in ("2 images, ", "0 images, 0 nuclei; 2 were there"):
        code, out, err = harness("label", "cellprofiler:shape/shape", folder, "out", "--diameter", "auto")
        assert code == 1 and err == "harness: \\udcff.png: its name is not UTF-8; rename it\n" and done in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.jsonl", *(f"{name}.tif" for name in NAMES)]


@pytest.mark.parametrize(
    "pair",
    ["threshold_smoothing=1e9", "suppression=1e9", "min_diameter=1" + "0" * 5000, "bounds=" + "[" * 5000, "min_diameter=nan"],
)
def test_a_setting_that_would_fill_the_memory_or_cannot_be_read_is_refused(harness, images, tmp_path, pair):
    code, _, err = harness("label", "cellprofiler:shape/intensity", images, tmp_path / "out", "--set", pair)
    assert code == 2 and err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e30])
def test_very_small_and_very_large_values_are_labelled(harness, images, tmp_path, scale):
    first = images / f"{NAMES[0]}.tif"
    folder = tmp_path / "extreme"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", tifffile.imread(first).astype(np.float32) * np.float32(scale))
    code, _, err = harness("label", "consensus", folder, tmp_path / "out")
    assert code == 0, err
