"""A folder of one's own: any layout that is allowed, and one line for each thing that is wrong."""

import json
import os
import pickle
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import HarnessError
from harness.datasets import keep_splits, open_dataset, problems, summary, unused, write_folder
from harness.datasets.dataset import sha256_of
from harness.datasets.folder import _complete

REAL = os.environ.get("HARNESS_DATA_DIR")
IMAGE = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
MASK = np.zeros((20, 30), np.uint8)
MASK[2:9, 2:9], MASK[9:15, 2:9] = 1, 2


def make(folder, images, masks, **lists):
    for part in ("images", "masks", "metadata"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for field in images:
        tifffile.imwrite(folder / "images" / f"{field}.tif", IMAGE)
    for field in masks:
        iio.imwrite(folder / "masks" / f"{field}.png", MASK)
    for split, names in lists.items():
        (folder / "metadata" / f"{split}.txt").write_text("\n".join(names))
    return folder


def refusal(folder):
    with pytest.raises(HarnessError) as caught:
        open_dataset(str(folder))
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def ten(tmp_path):
    return make(tmp_path / "ten", "abcdefghij", "cdef")


def test_without_lists_the_split_is_60_20_20_and_only_annotated_fields_are_tested(ten):
    dataset = open_dataset(str(ten))
    assert dataset.name == "ten"
    assert [len(dataset.splits[split]) for split in ("training", "validation", "test")] == [6, 2, 2]
    assert set(dataset.splits["test"]) <= set("cdef")
    assert sorted(sum(dataset.splits.values(), ())) == list("abcdefghij")


def test_reading(ten):
    dataset = pickle.loads(pickle.dumps(open_dataset(str(ten))))
    assert np.array_equal(dataset.read_image("a"), IMAGE)
    assert dataset.read_nuclei("a") is None
    assert np.array_equal(dataset.read_nuclei("c"), MASK)


def test_opening_reads_no_pixels(ten, monkeypatch):
    for reader in ("imageio.v3.imread", "tifffile.imread"):
        monkeypatch.setattr(reader, lambda path, **_: pytest.fail(f"read {path}"))
    open_dataset(str(ten))


def test_lists_are_followed_in_their_order_with_or_without_endings(tmp_path):
    folder = make(
        tmp_path, ["b", "a", "c.1", "d", "unused"], ["d"], training=["c.1", "a.png"], validation=["b.tif", ""], test=["d"]
    )
    splits = open_dataset(str(folder)).splits
    assert splits == {"training": ("c.1", "a"), "validation": ("b",), "test": ("d",)}


def test_a_test_list_alone_leaves_the_rest_to_training_and_validation(tmp_path):
    dataset = open_dataset(str(make(tmp_path, "abcdefghij", "ab", test="ab")))
    assert dataset.splits["test"] == ("a", "b")
    assert (len(dataset.splits["training"]), len(dataset.splits["validation"])) == (6, 2)


def test_a_drawn_split_that_is_kept_stays_when_images_and_masks_are_added(ten):
    drawn = open_dataset(str(ten))
    assert not list((ten / "metadata").iterdir()) and unused(ten) == []
    keep_splits(drawn, ten)
    make(ten, "kl", "akl")
    again = open_dataset(str(ten))
    assert again.splits == drawn.splits and unused(ten) == ["k", "l"]
    assert sorted(path.name for path in (ten / "metadata").iterdir()) == ["test.txt", "training.txt", "validation.txt"]


def test_a_split_list_that_is_there_is_kept_as_it_is(ten):
    make(ten, "", "", test=["c.tif"])
    keep_splits(open_dataset(str(ten)), ten)
    assert (ten / "metadata" / "test.txt").read_text() == "c.tif"


def test_a_split_that_cannot_be_kept_is_refused(ten):
    (ten / "metadata").rmdir()
    (ten / "metadata").touch()
    with pytest.raises(HarnessError, match="training.txt: cannot be written"):
        keep_splits(open_dataset(str(ten)), ten)


def test_what_has_no_mask_is_known_without_reading(ten):
    assert open_dataset(str(ten)).unannotated == set("abghij")


@settings(deadline=None)
@given(images=st.sets(st.text("abcdefgh", min_size=1, max_size=3), min_size=1), data=st.data())
def test_a_drawn_split_is_a_partition_that_depends_on_names_alone(images, data):
    masks = dict.fromkeys(data.draw(st.sets(st.sampled_from(sorted(images)), min_size=1)))
    shuffled = dict.fromkeys(data.draw(st.permutations(sorted(images))))
    splits = _complete({}, shuffled, masks)
    assert sorted(sum(splits.values(), ())) == sorted(images)
    assert 1 <= len(splits["test"]) <= max(1, round(0.2 * len(images))) and set(splits["test"]) <= set(masks)
    assert splits == _complete({}, sorted(images), masks)


def test_the_drawn_split_is_the_same_on_every_machine():
    names = [f"field{number}" for number in range(10)]
    assert _complete({}, names, dict.fromkeys(names)) == {
        "training": ("field0", "field1", "field4", "field5", "field7", "field8"),
        "validation": ("field2", "field9"),
        "test": ("field3", "field6"),
    }


def test_digest_follows_content_not_place_or_time(ten, tmp_path):
    digest = open_dataset(str(ten)).digest
    other = shutil.copytree(ten, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    assert open_dataset(str(other)).digest == digest
    iio.imwrite(other / "masks" / "c.png", np.roll(MASK, 1))
    assert open_dataset(str(other)).digest != digest


def test_digest_follows_the_split(ten):
    digest, splits = open_dataset(str(ten)).digest, open_dataset(str(ten)).splits
    make(ten, "", "", **splits)
    assert open_dataset(str(ten)).digest == digest
    make(ten, "", "", training=splits["validation"], validation=splits["training"])
    assert open_dataset(str(ten)).digest != digest


def test_masks_one_file_per_nucleus(tmp_path):
    folder = make(tmp_path, "ab", "")
    (folder / "masks" / "a").mkdir()
    for id_ in (1, 2):
        iio.imwrite(folder / "masks" / "a" / f"{id_}.png", (id_ == MASK).astype(np.uint8) * 255)
    dataset = open_dataset(str(folder))
    assert dataset.splits["test"] == ("a",)
    assert np.array_equal(dataset.read_nuclei("a"), MASK)
    iio.imwrite(folder / "masks" / "a" / "2.png", MASK * 0)
    assert open_dataset(str(folder)).digest != dataset.digest


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, "no data set"),
        (lambda f: shutil.rmtree(f / "images"), "is not a data folder"),
        (lambda f: [p.unlink() for p in (f / "images").iterdir()], "holds no TIFF, PNG or OME-Zarr"),
        (lambda f: (f / "images" / "c.tif").unlink(), "c.png: is a mask without its image"),
        (lambda f: (f / "images" / "z.jpg").touch(), "z.jpg: is neither TIFF nor PNG nor OME-Zarr"),
        (lambda f: iio.imwrite(f / "images" / "a.png", IMAGE), "a.tif: is named like a.png"),
        (lambda f: tifffile.imwrite(f / "masks" / "c.tif", MASK), "c.tif: is named like c.png"),
        (lambda f: (f / "masks" / "c").mkdir(), "c.png: is named like c;"),
        (lambda f: shutil.rmtree(f / "masks"), "has no test fields"),
        (lambda f: make(f, "", "", test="a"), "has no mask of the test field a"),
        (lambda f: make(f, "", "", test=[]), "has no test fields"),
        (lambda f: make(f, "", "", training=["a.png", "zz.png"]), "names zz.png, which is not in images/"),
        (lambda f: make(f, "", "", training="ab", test="ca"), "test.txt: names a, as training.txt does"),
        (lambda f: make(f, "", "", training="aa"), "training.txt: names a, as training.txt does"),
        (lambda f: (f / "metadata" / "test.txt").mkdir(), "test.txt: is no file; put the list or word there"),
        (lambda f: (f / "metadata" / "training.txt").symlink_to("nowhere"), "training.txt: is no file"),
        (lambda f: (f / "metadata" / "channel.txt").mkdir(), "channel.txt: is no file"),
    ],
)
def test_what_is_wrong_with_the_files_is_refused_when_opened(ten, spoil, words):
    spoil(ten)
    assert words in refusal(ten)


def test_several_problems_are_counted(ten):
    for field in "cd":
        (ten / "images" / f"{field}.tif").unlink()
    assert refusal(ten).endswith("(1 more; harness data lists all)")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: iio.imwrite(f / "masks" / "c.png", MASK[:-1]), "c.png: is a mask of 19x30 px, but its image is 20x30 px"),
        (lambda f: tifffile.imwrite(f / "images" / "a.tif", np.full((20, 30), np.nan)), "a.tif: holds NaN"),
        (lambda f: (f / "images" / "b.tif").write_bytes(b"II*\0"), "b.tif: "),
        (lambda f: tifffile.imwrite(f / "masks" / "a.tif", MASK.astype(np.float32)), "a.tif: is a mask of float32 values"),
    ],
)
def test_what_is_wrong_with_pixels_is_found_by_problems(ten, spoil, words):
    assert problems(ten) == []
    spoil(ten)
    dataset = open_dataset(str(ten))
    found = problems(ten)
    assert len(found) == 1 and words in found[0]
    with pytest.raises(HarnessError, match="[ac].(png|tif)|b.tif"):
        summary(dataset)


def test_problems_lists_files_and_pixels_together(ten):
    (ten / "images" / "c.tif").unlink()
    (ten / "images" / "notes.txt").touch()
    tifffile.imwrite(ten / "images" / "a.tif", np.full((20, 30), np.inf))
    assert [line.split(": ")[0].rsplit("/")[-1] for line in problems(ten)] == ["notes.txt", "c.png", "a.tif"]


def test_summary_is_ready_for_json(ten):
    told = json.loads(json.dumps(summary(open_dataset(str(ten)))))
    assert told["name"] == "ten" and len(told["digest"]) == 64
    assert told["splits"]["test"] == {
        "fields": 2,
        "annotated": 2,
        "nuclei": 4,
        "sizes": [[20, 30]],
        "names": told["splits"]["test"]["names"],
    }
    assert sum(split["annotated"] for split in told["splits"].values()) == 4


def test_a_written_data_set_comes_back(tmp_path):
    synthetic = open_dataset("synthetic")
    write_folder(synthetic, tmp_path / "copy")
    copy = open_dataset(str(tmp_path / "copy"))
    assert copy.splits == synthetic.splits
    for field in ("training-01", "test-06"):
        assert np.array_equal(copy.read_image(field), synthetic.read_image(field))
        assert np.array_equal(copy.read_nuclei(field), synthetic.read_nuclei(field))
    with pytest.raises(HarnessError, match="name a new folder"):
        write_folder(synthetic, tmp_path / "copy")


@pytest.mark.skipif(not REAL, reason="HARNESS_DATA_DIR names no copy of BBBC039")
def test_bbbc039_opened_as_a_folder_is_the_same_data():
    folder, official = open_dataset(str(Path(REAL))), open_dataset("bbbc039")
    assert folder.splits == official.splits
    for field in official.splits["test"][:3]:
        assert np.array_equal(folder.read_image(field), official.read_image(field))
        assert np.array_equal(folder.read_nuclei(field), official.read_nuclei(field))


def test_a_file_that_cannot_be_read_gives_one_line(tmp_path):
    with pytest.raises(HarnessError, match="cannot be read .Is a directory."):
        sha256_of(tmp_path)
