"""BBBC038 as it is downloaded, rebuilt small: frames of two sizes, and one of each kind that is no fluorescence."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from imageio.v3 import imwrite

from harness.core.errors import HarnessError
from harness.datasets import open_dataset

SIZE, OTHER = (64, 80), (48, 48)


def draw(seed, shape):
    """A dark frame with squares of 8 px, two of which touch; the label image is known."""
    rng, nuclei = np.random.default_rng(seed), np.zeros(shape, np.int32)
    for number, (y, x) in enumerate([(4, 4), (4, 12), (30, 20)], start=1):
        nuclei[y : y + 8, x : x + 8] = number
    return (rng.integers(5, 15, shape) + 60 * (nuclei > 0)).astype(np.uint8), nuclei


def write_frame(folder, name, image, nuclei):
    for part in ("images", "masks"):
        (folder / name / part).mkdir(parents=True)
    channels = image if image.ndim == 3 else np.dstack([image] * 3)
    imwrite(folder / name / "images" / f"{name}.png", np.dstack([channels, np.full(image.shape[:2], 255, np.uint8)]))
    for number in range(1, nuclei.max() + 1):
        imwrite(folder / name / "masks" / f"{number:03}.png", 255 * (nuclei == number).astype(np.uint8))


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "stage1_train"
    for seed in range(8):
        write_frame(folder, f"frame{seed}", *draw(seed, SIZE))
    write_frame(folder, "other", *draw(9, OTHER))
    image, nuclei = draw(10, SIZE)
    write_frame(folder, "bright", 255 - image, nuclei)
    write_frame(folder, "stained", np.dstack([image, image // 2, image]), nuclei)
    (folder / ".DS_Store").write_bytes(b"")
    return folder


def test_the_fluorescence_frames_of_a_size_are_a_data_set(copy):
    dataset = pickle.loads(pickle.dumps(open_dataset("bbbc038-64x80", copy)))
    assert [len(dataset.splits[split]) for split in ("training", "validation", "test")] == [4, 2, 2]
    assert set().union(*dataset.splits.values()) == {f"frame{seed}" for seed in range(8)}
    image, nuclei = draw(3, SIZE)
    np.testing.assert_array_equal(dataset.read_image("frame3"), image)
    np.testing.assert_array_equal(dataset.read_nuclei("frame3"), nuclei)
    assert open_dataset("bbbc038-48x48", copy).splits["test"] == ("other",)


def test_what_a_frame_draws_does_not_depend_on_the_others(copy):
    before = open_dataset("bbbc038-64x80", copy)
    write_frame(copy, "later", *draw(20, OTHER))
    again = open_dataset("bbbc038-64x80", copy)
    assert (again.splits, again.digest) == (before.splits, before.digest)
    imwrite(copy / "frame0" / "masks" / "001.png", 255 * (draw(0, SIZE)[1] == 2).astype(np.uint8))
    assert open_dataset("bbbc038-64x80", copy).digest != before.digest


def test_data_says_what_kinds_of_frames_there_are(harness, copy):
    code, out, _ = harness("data", "--dataset", "bbbc038", "--data-dir", copy, "--json")
    found = {(*group["size"], group["kind"]): (group["frames"], group["dataset"]) for group in json.loads(out)["groups"]}
    assert code == 0 and found == {
        (48, 48, "fluorescence"): (1, "bbbc038-48x48"),
        (64, 80, "fluorescence"): (8, "bbbc038-64x80"),
        (64, 80, "bright-field"): (1, None),
        (64, 80, "colour"): (1, None),
    }
    said = harness("data", "--dataset", "bbbc038", "--data-dir", copy)[1]
    assert "bbbc038-64x80" in said and said.count("not used") == 2
    code, out, _ = harness("data", "--dataset", "bbbc038-64x80", "--data-dir", copy)
    assert code == 0 and "64x80" in out


def test_a_classical_row_is_scored_on_it(harness, copy, tmp_path):
    run = ("run", "classical-shape-intensity", "--dataset", "bbbc038-64x80", "--data-dir", copy)
    code, out, err = harness(*run)
    assert code == 0, err
    code, out, _ = harness("describe", *run[1:], "--json")
    assert json.loads(out)["tile"] == 80


def test_every_fault_of_the_masks_is_one_line(harness, copy):
    def mask(frame, name):
        return copy / frame / "masks" / name

    imwrite(mask("frame0", "001.png"), 255 * (draw(0, SIZE)[1] > 1).astype(np.uint8))
    imwrite(mask("frame1", "002.png"), np.zeros(SIZE, np.uint8))
    imwrite(mask("frame2", "003.png"), np.ones(OTHER, np.uint8))
    mask("frame3", "001.png").write_bytes(b"nothing")
    code, _, err = harness("data", "--dataset", "bbbc038-64x80", "--data-dir", copy)
    assert code == 2 and err.count("\n") == 4
    for said in (
        "frame0/masks/002.png: overlaps 001.png by 64 px",
        "frame1/masks/002.png: is an empty mask",
        "frame2/masks/003.png: is 48x48 px, but its frame 64x80 px",
        "frame3/masks/001.png: cannot be read as an image",
    ):
        assert said in err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda copy: [mask.unlink() for mask in (copy / "frame4" / "masks").iterdir()], "masks: holds no masks"),
        (lambda copy: (copy / "frame4" / "images" / "frame4.png").unlink(), "frame4.png: cannot be read as an image"),
        (lambda copy: (copy / "frame4" / "images" / "frame4.png").write_bytes(b"x"), "frame4.png: cannot be read as an image"),
        (lambda copy: copy.rename(copy.parent / "elsewhere"), "is no copy of BBBC038"),
    ],
)
def test_a_copy_that_lacks_something_is_refused_in_one_line(copy, spoil, said):
    spoil(copy)
    with pytest.raises(HarnessError, match=said) as refusal:
        open_dataset("bbbc038-64x80", copy)
    assert "\n" not in str(refusal.value)


def test_a_group_that_is_not_there_is_refused_with_those_that_are(copy, monkeypatch):
    for name in ("bbbc038", "bbbc038-1x1"):
        with pytest.raises(HarnessError, match=r"frames by size: bbbc038-48x48 \(1\), bbbc038-64x80 \(10\)"):
            open_dataset(name, copy)
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    with pytest.raises(HarnessError, match=r"unpack stage1_train.zip of .* with --data-dir"):
        open_dataset("bbbc038")


def test_label_images_of_the_copy_are_scored_as_they_lie(harness, copy):
    assert harness("label", "consensus", copy, "labels", "--diameter", "6,20", "--workers", 1)[0] == 1  # no colours
    assert sorted(path.name for path in Path("labels/frame3/images").iterdir()) == ["frame3.tif", "frame3_ignore.tif"]
    code, out, err = harness("score", "consensus", "labels", "--dataset", "bbbc038-64x80", "--data-dir", copy, "--json")
    assert code == 0, err
    assert json.loads(out)["metrics"]["dice_nuclei"] > 0.5, out
