import numpy as np
import pytest
import tifffile
from imageio.v3 import imread
from readers import READERS

from harness import exports
from harness.experiment import tracking

ALL = [word for name in exports.FORMATS for word in ("--format", name)]


def test_images_of_a_data_folder_are_no_label_images_but_its_masks_are(harness, tiny_data, tmp_path):
    for given in (tiny_data, tiny_data.parent, tiny_data / "images"):
        code, _, err = harness("export", given, "out", "--format", "qupath")
        assert code == 2 and f"give the folder of masks, {tiny_data / 'masks'}" in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert harness("export", tiny_data / "masks", "out", "--format", "qupath")[1].startswith("2 label images exported")


def test_a_folder_of_label_images_keeps_its_ids_and_its_tree(harness, tmp_path):
    labels = np.zeros((30, 40), np.uint16)
    labels[3:9, 3:9], labels[9:20, 3:9], labels[5, 5] = 7, 40000, 0
    (tmp_path / "in" / "plate").mkdir(parents=True)
    for name in ("a", "plate/b", "plate/b_ignore"):
        tifffile.imwrite(tmp_path / "in" / f"{name}.tif", labels)
    code, said, _ = harness("export", "in", "out", *ALL)
    assert code == 0 and said.startswith("2 label images exported")
    for name, read in READERS.items():
        for place in ("a", "plate/b"):
            np.testing.assert_array_equal(read(exports.path_of(tmp_path / "out" / place, name), labels.shape), labels)


@pytest.mark.integration
@pytest.mark.parametrize(("row", "kind"), [("network-consensus", "nuclei"), ("classical-shape-intensity", "labels")])
def test_the_predictions_of_a_run(in_finished, tmp_path, row, kind):
    run = next(run for run in tracking.runs() if run.row == row)
    code, said, _ = in_finished("export", run.run_id, tmp_path, *ALL)
    assert code == 0 and said.startswith("2 label images exported")
    stored = sorted((tracking.artifact(run, "predictions") / kind).iterdir())
    assert len(stored) == 2
    for file in stored:
        labels = imread(file)
        for name, read in READERS.items():
            np.testing.assert_array_equal(read(exports.path_of(tmp_path / file.stem, name), labels.shape), labels)


@pytest.mark.integration
def test_a_registered_network(in_finished, tmp_path):
    from zipfile import ZipFile

    code, said, err = in_finished("export", "models:/network-consensus/1", tmp_path / "network.zip")
    assert code == 0 and "wrote" in said, err
    with ZipFile(tmp_path / "network.zip") as archive:
        text = archive.read("README.md").decode()
    assert "row: network-consensus, seed 0" in text and "labels of consensus, small, profile smoke" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("in", "out"), "nothing says what to export as; give --format imagej"),
        (("in", "out", "--format", "matlab"), "no export 'matlab'"),
        (("nowhere", "out", "--format", "qupath"), "nowhere: neither a folder of label images nor a run"),
        (("0" * 32, "out", "--format", "qupath"), "neither a folder of label images nor a run"),
        (("models:/none/1", "out"), "out: a network is written as a package"),
        (("models:/none/1", "out.zip"), "models:/none/1: no trained network"),
        (("in", "out", "--format", "qupath"), "a.tif: not a label image: float32"),
    ],
)
def test_refused_requests(harness, tmp_path, arguments, said, monkeypatch):
    monkeypatch.setattr("harness.network.start.load_backend", lambda: None)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", np.ones((5, 5), np.float32))
    code, _, err = harness("export", *arguments)
    assert code == 2 and said in err and err.count("\n") == 1
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.zip").exists()
