"""What made the label images of a folder is known: nothing made otherwise is kept, nothing is replaced unasked."""

import json
import os
import shutil

import numpy as np
import pytest
import tifffile

from harness.apps.jobs import MANIFEST
from harness.core.errors import HarnessError
from harness.datasets import open_dataset, read_image

SOURCE = "cellprofiler:shape/shape"


@pytest.fixture
def images(tmp_path):
    folder, dataset = tmp_path / "images", open_dataset("synthetic")
    folder.mkdir()
    for name, start in {"a": 0, "b": 40, "c": 80}.items():
        tifffile.imwrite(folder / f"{name}.tif", dataset.read_image(dataset.splits["test"][0])[start : start + 100, :100])
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def label(harness, images, out):
    """`label("consensus", ...)` in one process."""
    return lambda source=SOURCE, *more: harness("label", source, images, out, "--workers", 1, *more)


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != MANIFEST}


def lines(out):
    return [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]


def assert_refused(said, out, *words):
    before = contents(out), (out / MANIFEST).exists() and (out / MANIFEST).read_bytes()
    code, _, err = said()
    assert code == 2 and err.count("\n") == 1 and all(word in err for word in (*words, "--redo")), err
    assert before == (contents(out), (out / MANIFEST).exists() and (out / MANIFEST).read_bytes())


def test_the_manifest_says_what_made_each_label_image(label, images, out):
    assert label(SOURCE, "--set", "min_diameter=9")[0] == 0
    recipe, *made = lines(out)
    assert recipe["recipe"]["labels"] == SOURCE and recipe["recipe"]["min_diameter"] == 9
    assert recipe["recipe"]["version of classical"] >= 1 and recipe["recipe"]["version of datasets"] >= 1
    assert [entry["image"] for entry in made] == ["a.tif", "b.tif", "c.tif"]
    assert made[0]["size"] == (images / "a.tif").stat().st_size and len(made[0]["sha256"]) == 64


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (("cellprofiler:shape/intensity",), "labels: cellprofiler:shape/shape then, cellprofiler:shape/intensity now"),
        ((SOURCE, "--set", "min_diameter=9"), "min_diameter: 10 then, 9 now"),
        ((SOURCE, "--refine", "half-contrast"), "refine"),
    ],
)
def test_another_source_or_setting_is_refused_or_redone_on_request(label, images, out, other, word):
    assert label()[0] == 0
    assert_refused(lambda: label(*other), out, "made otherwise", word)
    code, said, _ = label(*other, "--redo")
    assert code == 0 and said.startswith("3 images")
    fresh = out.rename(out.with_name("redone"))
    assert label(*other)[0] == 0 and contents(fresh) == contents(out)
    assert "3 were there" in label(*other, "--redo")[1]  # nothing is left to redo


def test_another_version_of_a_stage_is_another_recipe(label, out, monkeypatch):
    assert label()[0] == 0
    monkeypatch.setattr(
        "harness.experiment.stages.VERSIONS", {**__import__("harness").experiment.stages.VERSIONS, "classical": 99}
    )
    assert_refused(label, out, "version of classical")


def test_an_image_that_changed_is_told_by_its_content(label, images, out):
    assert label()[0] == 0
    os.utime(images / "a.tif", (1, 1))  # touched, not changed
    assert "3 were there" in label()[1]
    made = contents(out)
    shutil.copy(images / "a.tif", images / "b.tif")
    assert_refused(label, out, "1 of its label images are of images that have changed since")
    assert label(SOURCE, "--redo")[1].startswith("1 image,")
    assert contents(out) == made | {"b.tif": made["a.tif"]}
    assert "3 were there" in label()[1]


def test_an_image_that_can_no_longer_be_read_does_not_keep_the_others_from_their_labels(label, images, out):
    shutil.move(images / "c.tif", images.parent)
    assert label()[0] == 0
    made = contents(out)
    shutil.move(images.parent / "c.tif", images)
    (images / "a.tif").unlink()
    (images / "a.tif").symlink_to("/proc/self/mem")  # cannot be read by root either
    code, _, err = label()
    assert code == 1 and "a.tif" in err and err.count("\n") == 1
    assert contents(out).keys() == {"a.tif", "b.tif", "c.tif"} and contents(out)["a.tif"] == made["a.tif"]


def test_label_images_that_nobody_knows_of_stay_as_they_are(label, images, out):
    assert label()[0] == 0
    (out / MANIFEST).unlink()  # as version 0.1.0 left them
    assert_refused(label, out, f"no {MANIFEST} says what made the 3 label images")
    assert label(SOURCE, "--redo")[0] == 0 and len(lines(out)) == 4


def test_a_manifest_that_is_a_folder_is_named(label, out):
    assert label()[0] == 0
    (out / MANIFEST).unlink()
    (out / MANIFEST).mkdir()
    code, _, err = label()
    assert code == 2 and "manifest.jsonl: is no file" in err and err.count("\n") == 1


def test_a_file_of_somebody_else_in_the_place_of_a_label_image_is_not_replaced(label, images, out):
    (images / "bad.tif").write_bytes(b"II*\0nothing")
    assert label()[0] == 1
    tifffile.imwrite(out / "bad.tif", np.ones((5, 5), np.uint8))  # made by hand
    by_hand = (out / "bad.tif").read_bytes()
    shutil.copy(images / "a.tif", images / "bad.tif")
    code, _, err = label()
    assert code == 1 and "bad.tif is there, not in manifest.jsonl, and another than is made now" in err and err.count("\n") == 1
    assert (out / "bad.tif").read_bytes() == by_hand
    assert label(SOURCE, "--redo")[0] == 0 and (out / "bad.tif").read_bytes() == (out / "a.tif").read_bytes()


def test_a_correction_by_hand_stays(label, out):
    assert label()[0] == 0
    tifffile.imwrite(out / "a.tif", np.ones((100, 100), np.uint16))
    corrected = (out / "a.tif").read_bytes()
    assert "3 were there" in label()[1] and (out / "a.tif").read_bytes() == corrected


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_lines_that_were_lost_with_a_killed_process_cost_that_image_again(label, out, cut):
    assert label()[0] == 0
    made = contents(out)
    (out / MANIFEST).write_bytes((out / MANIFEST).read_bytes()[:-cut])
    assert label()[0] == 0 and contents(out) == made
    assert "3 were there" in label()[1]


def test_an_empty_file_is_no_label_image(label, out):
    assert label()[0] == 0
    made = contents(out)
    (out / "b.tif").write_bytes(b"")
    assert label()[1].startswith("1 image,") and contents(out) == made


def test_masks_of_a_source_that_was_used_before_do_not_stay_behind(label, out):
    assert label("consensus")[0] == 0 and (out / "a_ignore.tif").exists()
    assert label(SOURCE, "--redo")[0] == 0
    assert sorted(contents(out)) == ["a.tif", "b.tif", "c.tif"]


def test_two_commands_do_not_write_into_one_folder(label, images, out):
    from harness.core.files import claimed

    assert label()[0] == 0
    (out / "a.tif").unlink()
    with claimed(out / MANIFEST, "taken"):
        code, _, err = label()
    assert code == 2 and "another process" in err and err.count("\n") == 1
    assert label()[1].startswith("1 image,")


def test_an_image_named_like_the_mask_of_another_is_refused(label, images, out):
    shutil.copy(images / "a.tif", images / "a_ignore.tif")
    code, _, err = label("consensus")
    assert code == 2 and "a_ignore is named like the ignore mask" in err and not out.exists()
    assert label()[0] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unexpected_fault_in_one_image_does_not_stop_the_others(images, out, workers):
    from harness.apps.jobs import job

    shutil.copy(images / "a.tif", images / "odd.tif")
    done = {
        name: wrong
        for name, _, wrong in job(
            {file.name: file for file in sorted(images.iterdir())}, out, {}, trip_over_odd, workers=workers
        ).done
    }
    assert done.pop("odd.tif") == "failed: ZeroDivisionError: first line second line" and not any(done.values())
    assert sorted(contents(out)) == ["a.tif", "b.tif", "c.tif"]


def test_nor_does_one_that_is_read_beforehand(label, monkeypatch):
    def trip(path, *choice):
        if path.name == "a.tif":
            raise MemoryError
        return read_image(path, *choice)

    for module in ("jobs", "labelling"):
        monkeypatch.setattr(f"harness.apps.{module}.read_image", trip)
    code, said, err = label(SOURCE, "--diameter", "auto")
    assert code == 1 and err == "harness: a.tif: failed: MemoryError: \n" and "2 images, " in said


def trip_over_odd(file):
    if file.name == "odd.tif":
        raise ZeroDivisionError("first line\nsecond line")
    return np.ones((4, 4), np.int32), lambda base: None


def test_what_cannot_be_written_is_one_line(images, tmp_path):
    from harness.apps.jobs import job

    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="cannot be written"):
        list(job({"a.tif": images / "a.tif"}, tmp_path / "file" / "out", {}, trip_over_odd).done)
