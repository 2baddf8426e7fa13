"""New images segmented by the command, with a network that calls every pixel above the tile's mean a nucleus."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from imageio.v3 import imwrite

from harness.apps import segmenting
from harness.experiment import tracking
from harness.sources.outlines import outlines_at


class Bright:
    """Stands for a trained network: the class is known for every pixel, so the nuclei are, too."""

    input_shape = (None, None, None, 1)

    def predict_on_batch(self, tiles):
        nucleus = np.asarray(tiles)[..., 0] > 0
        return np.stack([~nucleus, nucleus, np.zeros_like(nucleus)], axis=-1).astype(np.float32)

    def get_weights(self):
        return [np.ones(3, np.float32)]


@pytest.fixture(autouse=True)
def no_backend(monkeypatch):
    """Its threads are settled once in a process, for a training; here nothing is computed by it."""
    monkeypatch.setattr("harness.apps.segmenting.load_backend", lambda: None)
    monkeypatch.setattr("harness.network.inference.precision", lambda: "float32")
    monkeypatch.setattr("harness.network.inference.for_windows", lambda network, _: network)


@pytest.fixture
def segment(harness, monkeypatch):
    monkeypatch.setattr(tracking, "load_network", lambda uri: Bright())
    segmenting.network.cache_clear()
    segmenting.windowed.cache_clear()
    return lambda *arguments: harness("segment", "0" * 32, *arguments)


def squares(shape, dtype=np.uint16):
    """One bright square of 20 px in every window of 60 px; each has a grey value of its own."""
    image = np.ones(shape, dtype)
    for value, (y, x) in enumerate(np.ndindex(shape[0] // 60, shape[1] // 60)):
        image[60 * y + 20 : 60 * y + 40, 60 * x + 20 : 60 * x + 40] = 200 + value
    return image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, shape in {"small": (120, 180), "large": (1000, 700)}.items():
        tifffile.imwrite(folder / f"{name}.tif", squares(shape))
    tifffile.imwrite(folder / "real.ome.tif", squares((520, 600), np.float32))
    imwrite(folder / "none.png", np.full((80, 90), 7, np.uint8))
    return folder


def test_every_nucleus_of_images_of_any_size_is_labelled_and_measured(segment, images, tmp_path):
    code, out, _ = segment(images, "out")
    assert code == 0 and "4 images" in out
    for name, shape in {"small": (120, 180), "large": (1000, 700), "real": (520, 600)}.items():
        labels, image = tifffile.imread(tmp_path / "out" / f"{name}.tif"), squares(shape)
        table = pd.read_csv(tmp_path / "out" / f"{name}.csv")
        count = (shape[0] // 60) * (shape[1] // 60)
        assert labels.shape == shape and labels.dtype == np.uint16 and labels.max() == count
        described = ["area", "y", "x", "intensity_mean", "intensity_min", "intensity_max", "confidence", "edge"]
        assert list(table.columns) == ["label", "image", *described]
        assert len(table) == count and set(table.image) == {name}
        np.testing.assert_array_equal(table.area, np.bincount(labels.ravel())[1:])
        np.testing.assert_allclose(table.intensity_mean, image[table.y.round().astype(int), table.x.round().astype(int)])
        np.testing.assert_allclose(table.y % 60, 29.5, atol=1)
        assert (table.confidence == 1).all() and table.edge.between(0.3, 0.5).all()  # of a step through the Gaussian
    assert len(pd.read_csv(tmp_path / "out" / "none.csv")) == 0 == tifffile.imread(tmp_path / "out" / "none.tif").max()
    assert not list((tmp_path / "out").glob("*.partial"))


def test_a_job_goes_on_and_one_bad_image_does_not_stop_it(segment, images, tmp_path):
    (images / "broken.tif").write_bytes(b"II*\0nothing")
    code, out, err = segment(images, "out")
    assert code == 1 and "broken.tif" in err and "4 images" in out
    (images / "broken.tif").unlink()
    (tmp_path / "out" / "large.tif").unlink()
    kept = (tmp_path / "out" / "small.tif").stat().st_mtime_ns
    code, out, _ = segment(images, "out")
    assert code == 0 and "1 image, 176 nuclei; 3 were there" in out
    assert (tmp_path / "out" / "small.tif").stat().st_mtime_ns == kept


def test_another_network_is_refused_or_redone_on_request(segment, images, tmp_path, monkeypatch):
    assert segment(images, "out")[0] == 0
    segmenting.network.cache_clear()
    monkeypatch.setattr(Bright, "get_weights", lambda self: [np.zeros(3, np.float32)])
    code, _, err = segment(images, "out")
    assert code == 2 and "made otherwise (network: " in err and err.count("\n") == 1
    code, out, _ = segment(images, "out", "--redo")
    assert code == 0 and out.startswith("4 images")
    assert "4 were there" in segment(images, "out")[1]


def test_nuclei_go_through_the_steps_that_labels_go_through(segment, images, tmp_path):
    assert segment(images, "plain")[0] == segment(images, "refined", "--refine", "half-contrast")[0] == 0
    for name in ("small", "large"):
        plain, refined = (tifffile.imread(tmp_path / out / f"{name}.tif") for out in ("plain", "refined"))
        np.testing.assert_array_equal(refined, outlines_at(0.5, 0.12, tifffile.imread(images / f"{name}.tif"), plain.astype(int)))
    code, _, err = segment(images, "plain", "--refine", "half-contrast")
    assert code == 2 and "made otherwise" in err and "refine" in err and err.count("\n") == 1
    code, _, err = segment(images, "other", "--refine", "ignore-discarded")
    assert code == 2 and "has no size filter" in err and err.count("\n") == 1 and not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("source", "out", "said"),
    [
        ("nowhere", "out", "nowhere: not a folder with images"),
        ("images", "/dev/null/out", "out/manifest.jsonl: cannot be written"),
    ],
)
def test_folders_that_are_none_are_refused_in_one_line(segment, images, source, out, said):
    code, _, err = segment(source, out)
    assert code == 2 and said in err and err.count("\n") == 1


def test_what_holds_no_network_is_refused_before_anything_is_written(harness, images, tmp_path):
    segmenting.network.cache_clear()
    code, _, err = harness("segment", "0" * 32, images, "out")
    assert code == 2 and "no trained network" in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_confidence_is_the_mean_probability_of_a_nucleus():
    nuclei = np.zeros((20, 30), np.int32)
    nuclei[2:6, 3:8], nuclei[10:15, 10:16] = 1, 3  # an id is left out
    probability = np.zeros(nuclei.shape, np.float16)
    probability[nuclei == 1], probability[nuclei == 3] = 0.75, 0.5
    probability[2, 3:8] = 0.25
    table = segmenting.properties(nuclei, nuclei * 100, probability)
    assert table.label.tolist() == [1, 3] and table.confidence.tolist() == [0.625, 0.5]


def test_review_draws_the_least_certain_nuclei(segment, images, tmp_path, monkeypatch):
    from harness.apps import reviewing

    drawn = []
    real = reviewing._doubtful
    monkeypatch.setattr(reviewing, "_doubtful", lambda *arguments: drawn.append(real(*arguments)) or drawn[-1])
    monkeypatch.setattr(Bright, "predict_on_batch", dim_is_uncertain)
    (images / "broken.tif").write_bytes(b"II*\0nothing")
    code, out, _ = segment(images, "out", "--review")
    assert code == 1 and "review.png" in out
    assert (tmp_path / "out" / "review.png").read_bytes().startswith(b"\x89PNG")
    (sheet,) = drawn
    assert sheet.groupby("field").size().to_dict() == {"small": 6, "large": 6, "real": 6}
    assert sheet.doubt.is_monotonic_decreasing and sheet.label[sheet.field == "large"].tolist() == [1, 2, 3, 4, 5, 6]


def dim_is_uncertain(self, tiles):
    """The brighter a nucleus, the more certain."""
    image = np.asarray(tiles)[..., 0]
    nucleus = np.where(image > 0, 0.5 + image / 100, 0)
    return np.stack([1 - nucleus, nucleus, np.zeros_like(nucleus)], axis=-1)


def test_nothing_to_review_is_an_empty_sheet(segment, images, tmp_path):
    for name in ("small.tif", "large.tif", "real.ome.tif"):
        (images / name).unlink()
    assert segment(images, "out", "--review")[0] == 0
    assert (tmp_path / "out" / "review.png").exists()


def test_label_images_of_another_precision_are_refused(segment, images, monkeypatch):
    assert segment(images, "out")[0] == 0
    monkeypatch.setattr("harness.network.inference.precision", lambda: "bfloat16")
    code, _, err = segment(images, "out")
    assert code == 2 and "precision: float32 then, bfloat16 now" in err
