"""Fields that stand in two splits, in two data sets, or among BBBC039's test fields."""

import json
import os
import shutil

import numpy as np
import pytest
import tifffile

from harness.datasets import contamination, open_dataset
from harness.datasets.fingerprints import fingerprint, unpacked

REAL = os.environ.get("HARNESS_DATA_DIR")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("pooch.os_cache", lambda _: tmp_path / "cache")
    return tmp_path / "cache" / "fingerprints"


@pytest.fixture
def spoilt(fields, tmp_path):
    """A data folder whose first test field stands among the training fields, too: with 8 bits, mirrored, under another name."""
    folder = tmp_path / "spoilt"
    shutil.copytree(fields, folder)
    name = open_dataset(str(folder)).splits["test"][0]
    image, mask = folder / "images" / f"{name}.tif", folder / "masks" / f"{name}.png"
    pixels = tifffile.imread(image)
    tifffile.imwrite(folder / "images" / "copy.tif", np.uint8(255 * (pixels / pixels.max()))[:, ::-1])
    assert mask.exists()
    with (folder / "metadata" / "training.txt").open("a") as names:
        names.write("copy\n")
    return folder, name


def test_a_copy_in_another_split_is_found_and_kept_with_the_digest(spoilt, cache, monkeypatch):
    folder, name = spoilt
    dataset = open_dataset(str(folder))
    (found,) = contamination.within(dataset)
    assert (found.field, found.split, found.other, found.where) == ("copy", "training", name, "test")
    assert contamination.of_test([found]) == [found] and contamination.said([found]).startswith("of the test fields, 1 ")
    assert [path.name.split("-")[0] for path in cache.iterdir()] == [dataset.digest]
    monkeypatch.setattr(contamination, "fingerprint", None)  # nothing is looked at again
    assert contamination.within(dataset) == [found]


def test_a_kept_file_that_is_damaged_or_of_other_fields_is_made_again(spoilt, cache):
    dataset = open_dataset(str(spoilt[0]))
    found = contamination.within(dataset)
    (kept,) = cache.iterdir()
    for content in (b"", b"PK\3\4 no archive", kept.read_bytes()[:300]):
        kept.write_bytes(content)
        assert contamination.within(dataset) == found


def test_a_cache_that_cannot_be_written_is_done_without(spoilt, cache):
    cache.parent.parent.joinpath("cache").write_text("a file")
    assert len(contamination.within(open_dataset(str(spoilt[0])))) == 1


def test_an_image_that_cannot_be_read_is_passed_over_and_nothing_is_kept(spoilt, cache):
    folder, _ = spoilt
    (folder / "images" / "copy.tif").write_bytes(b"II*\0 damaged")
    assert contamination.within(open_dataset(str(folder))) == [] and not cache.exists()


def test_the_command_reports_refuses_and_marks(harness, spoilt, tmp_path):
    folder, name = spoilt
    code, out, _ = harness("data", "--dataset", folder)
    assert code == 0 and f"copy (training) and {name} (test) show the same place" in out
    command = ("run", "classical-intensity-shape", "--dataset", folder, "--profile", "smoke")
    code, _, err = harness(*command)
    assert code == 2 and "the test split is contaminated: copy (training)" in err and err.count("\n") == 1
    assert "finished" not in harness("list", "--dataset", folder, "--json")[1]
    code, out, _ = harness(*command, "--allow-contaminated")
    assert code == 0 and "show the same place" in out
    assert harness("report", "--dataset", folder, "--profile", "smoke")[0] == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert "**The test split is contaminated**: of the test fields, 1 stand in training or validation, too" in text
    (run,) = json.loads((tmp_path / "report" / "results.json").read_text())["run_details"]
    assert run["contaminated"]


def test_another_data_set_is_looked_through(harness, fields, spoilt):
    shared = json.loads(harness("data", "--dataset", fields, "--against", spoilt[0], "--json")[1])["shared"]
    assert {(each["field"], each["other"]) for each in shared} >= {(spoilt[1], "copy"), (spoilt[1], spoilt[1])}
    assert {each["where"].split("/")[0] for each in shared} == {"spoilt"}
    assert json.loads(harness("data", "--dataset", fields, "--json")[1])["shared"] == []


def test_what_a_network_learned_elsewhere_contaminates_too(harness, fields, spoilt):
    folder, name = spoilt
    (found,) = contamination.learned(open_dataset(str(fields)), open_dataset(str(folder)))
    assert (found.field, found.split, found.other, found.where) == (name, "test", "copy", "spoilt/training")
    asked = ("run", "network-manual", "--dataset", fields, "--learned-on", folder, "--profile", "smoke")
    code, _, err = harness(*asked)
    assert code == 2 and f"contaminated: {name} (test) and copy (spoilt/training)" in err and err.count("\n") == 1


def test_a_test_field_of_bbbc039_is_known_wherever_it_stands(fields, tmp_path, monkeypatch):
    """Rebuilt from the fingerprint that travels with the package: spots where it has them."""
    with np.load(contamination.resources.files("harness.datasets") / contamination.KNOWN) as arrays:
        names, seen = arrays["names"].tolist(), unpacked(arrays)
    assert len(names) == len(set(names)) == 50
    image = np.zeros(seen[0].shape, np.float32)
    image[tuple(seen[0].spots.T)] = np.linspace(2, 1, len(seen[0].spots))
    folder = tmp_path / "other"
    shutil.copytree(fields, folder)
    (folder / "metadata" / "training.txt").write_text("dots\n")
    tifffile.imwrite(folder / "images" / "dots.tif", image)
    (found,) = contamination.known(open_dataset(str(folder)))
    assert (found.field, found.split, found.other, found.where) == ("dots", "training", names[0], "bbbc039/test")
    assert contamination.known(open_dataset(str(fields))) == []


@pytest.mark.skipif(not REAL, reason="HARNESS_DATA_DIR names no copy of BBBC039")
def test_the_known_fingerprints_are_those_of_the_fields():
    dataset = open_dataset("bbbc039")
    with np.load(contamination.resources.files("harness.datasets") / contamination.KNOWN) as arrays:
        assert arrays["names"].tolist() == list(dataset.splits["test"])
        for name, kept in list(zip(arrays["names"], unpacked(arrays), strict=True))[::10]:
            assert (fingerprint(dataset.read_image(str(name))).spots == kept.spots).all()
