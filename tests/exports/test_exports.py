"""Exported label images come back pixel for pixel, whatever shape their nuclei have."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from readers import READERS, fill
from scipy.ndimage import center_of_mass, gaussian_filter

from harness import exports
from harness.core.errors import HarnessError
from harness.datasets.synthetic import SEED, synthetic_field
from harness.exports.outlines import outlines
from tests.conftest import SEED as TEST_SEED

RING = np.pad(np.pad([[0]], 1, constant_values=5), 1)
PINCHED = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 1]])  # its hole meets the outside at a corner


def random_labels(rng):
    """Blobs or noise with few ids: holes, nuclei in nuclei, several parts, parts that meet at a corner, single pixels, gaps."""
    shape = rng.integers(1, 40, 2)
    noise = gaussian_filter(rng.random(shape), rng.choice([0, 0.7, 1.5, 3]))
    levels = np.quantile(noise, np.sort(rng.random(rng.integers(1, 6))))
    labels = np.digitize(noise, levels)
    ids = rng.choice(np.arange(1, rng.choice([10, 300, 2**24])), labels.max() + 1, replace=False)
    ids[rng.integers(len(ids))] = 0
    return ids.astype(np.int32)[labels]


def assert_comes_back(labels, folder, name):
    exports.write(folder / "a.b", labels, [name])
    path = exports.path_of(folder / "a.b", name)
    np.testing.assert_array_equal(READERS[name](path, labels.shape), labels)
    assert [each.name for each in folder.iterdir()] == [path.name]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("count", [pytest.param(40), pytest.param(1000, marks=pytest.mark.integration)])
def test_random_label_images_come_back(tmp_path, name, count):
    rng = np.random.default_rng(int(TEST_SEED))
    seen = Counter()
    for _ in range(count):
        labels = random_labels(rng)
        assert_comes_back(labels, tmp_path, name)
        for nuclei in outlines(labels).values():
            seen["parts"] += len(nuclei) > 1
            seen["holes"] += any(len(polygon) > 1 for polygon in nuclei)
    assert min(seen["parts"], seen["holes"]) > count / 10


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((3, 4), np.int32),
        np.array([[9]]),
        np.full((5, 7), 3),
        np.eye(6, dtype=int) * 70000,
        np.arange(12).reshape(3, 4) * 5,
        RING,
        RING + 2 * np.pad([[1]], 2),
        PINCHED,
        np.pad(PINCHED, 1),
        np.kron(RING, PINCHED),
    ],
)
def test_shapes_that_are_hard_to_outline(tmp_path, name, labels):
    assert_comes_back(labels, tmp_path, name)


@pytest.mark.parametrize("name", READERS)
def test_a_field(tmp_path, name):
    assert_comes_back(synthetic_field(SEED, 0)[1], tmp_path, name)


def test_outlines_are_simple_polygons():
    rng = np.random.default_rng(int(TEST_SEED))
    for _ in range(40):
        labels = random_labels(rng)
        for id_, polygons in outlines(labels).items():
            parts = [fill(polygon, labels.shape) for polygon in polygons]
            np.testing.assert_array_equal(sum(part.astype(int) for part in parts), labels == id_)
            for polygon in polygons:
                areas = [fill([ring], labels.shape).sum() for ring in polygon]
                assert areas[0] > sum(areas[1:]) and all(len(set(ring)) == len(ring) for ring in polygon)


def test_the_table_for_napari_names_and_places_every_nucleus(tmp_path):
    labels = random_labels(np.random.default_rng(5))
    exports.write(tmp_path / "a", labels, ["napari"])
    table = pd.read_csv(tmp_path / "a.napari.csv")
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    assert list(table.columns) == ["label", "axis-0", "axis-1", "area"] and len(ids) > 2
    np.testing.assert_array_equal(table[["label", "area"]], np.transpose([ids, areas]))
    np.testing.assert_allclose(table[["axis-0", "axis-1"]], center_of_mass(labels > 0, labels, ids))


def test_the_same_label_image_is_the_same_file(tmp_path):
    labels = synthetic_field(SEED, 0)[1][:200, :200]
    for name in ("a", "b"):
        exports.write(tmp_path / name / "field", labels, exports.FORMATS)
    files = [sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.*")) for name in ("a", "b")]
    assert files[0] == files[1] and len(files[0]) >= len(exports.FORMATS)
    for file in files[0]:
        if (tmp_path / "a" / file).is_file():
            assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("name", exports.FORMATS)
def test_a_file_is_replaced_whole_or_left_as_it_is(tmp_path, name, monkeypatch):
    exports.write(tmp_path / "a", RING, [name])
    contents = {each: each.is_file() and each.read_bytes() for each in tmp_path.rglob("*")}
    for writer in ("zipfile.ZipFile.writestr", "pathlib.Path.write_text", "pandas.DataFrame.to_csv", "zarr.Array.__setitem__"):
        monkeypatch.setattr(writer, _full)
    with pytest.raises(HarnessError, match=r"cannot be written \(No space left"):
        exports.write(tmp_path / "a", PINCHED, [name])
    assert contents == {each: each.is_file() and each.read_bytes() for each in tmp_path.rglob("*")}
    monkeypatch.undo()
    exports.write(tmp_path / "a", PINCHED, [name])
    assert contents != {each: each.is_file() and each.read_bytes() for each in tmp_path.rglob("*")}


def _full(*_, **__):
    raise OSError(28, "No space left on device")


def test_what_cannot_be_exported_is_refused_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(HarnessError, match="no export 'matlab'; there is imagej, qupath, ome-zarr, napari"):
        exports.check(["matlab"])
    monkeypatch.setattr("harness.core.extras.find_spec", lambda package: None)
    for name, package in {"imagej": "roifile", "ome-zarr": "zarr"}.items():
        with pytest.raises(HarnessError, match=f"{name} needs the package {package}: pip install"):
            exports.check([name])
    assert exports.check(["napari", "qupath", "napari"]) == ("napari", "qupath")
    with pytest.raises(HarnessError, match="end at 60535 px"):
        exports.write(tmp_path / "a", np.zeros((1, 60536), np.uint8), ["imagej"])
    assert not list(tmp_path.iterdir())
