"""A network as a bioimage.io package: complete, and by bioimage.io's own test."""

import hashlib
import json
import os
import subprocess
from zipfile import ZipFile

import numpy as np
import pytest
import yaml

from harness.core.errors import HarnessError
from harness.datasets.synthetic import SEED, synthetic_field
from harness.method.tiles import normalise

TILE = synthetic_field(SEED, 0)[0][:256, :256]
TEST = """
import json, sys
from bioimageio.core import load_description_and_test
found = load_description_and_test(sys.argv[1])
failed = [[each.name, str(error.msg)] for each in found.validation_summary.details for error in each.errors]
print(json.dumps({"status": found.validation_summary.status, "failed": failed}))
"""


@pytest.fixture(scope="module")
def package(backend, tmp_path_factory):
    from harness.exports import bioimageio
    from harness.network.unet import unet

    path = tmp_path_factory.mktemp("package") / "network.zip"
    bioimageio.write(path, unet(base=2, last=2), TILE, "network-small", {"row": "network-small, seed 0"})
    return path


def test_a_package_describes_what_is_in_it(package):
    with ZipFile(package) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        with archive.open("test_input.npy") as given, archive.open("test_output.npy") as expected:
            tile, y_pred = np.load(given), np.load(expected)
    described = yaml.safe_load(files["rdf.yaml"])
    (weights,) = described["weights"].values()
    (tensor,), (output,) = described["inputs"], described["outputs"]
    for each in (weights, tensor["test_tensor"], output["test_tensor"], described["documentation"]):
        assert hashlib.sha256(files[each["source"]]).hexdigest() == each["sha256"]
    np.testing.assert_array_equal(tile[0, ..., 0], TILE)
    assert y_pred.shape == (1, *TILE.shape, 3) and tile.dtype == y_pred.dtype == np.float32
    (step,) = tensor["preprocessing"]
    assert step["id"] == "zero_mean_unit_variance" and "batch" not in step["kwargs"]["axes"]
    deviation = np.float32(tile.std(dtype=np.float64)) + np.float32(step["kwargs"]["eps"])
    np.testing.assert_allclose((tile[0, ..., 0] - tile.mean(dtype=np.float64)) / deviation, normalise(TILE), atol=1e-5)
    assert "## Validation" in files["README.md"].decode() and "row: network-small, seed 0" in files["README.md"].decode()


def test_a_package_needs_its_extra(tmp_path, monkeypatch):
    from harness.exports import bioimageio

    monkeypatch.setattr("harness.core.extras.find_spec", lambda package: None)
    with pytest.raises(HarnessError, match="a bioimage.io package needs the package yaml"):
        bioimageio.write(tmp_path / "a.zip", None, TILE, "a", {})


@pytest.mark.integration
@pytest.mark.parametrize("spoilt", [False, True])
def test_bioimageio_itself_passes_it_and_refuses_another_normalisation(package, tmp_path, spoilt):
    python = os.environ.get("HARNESS_TEST_BIOIMAGEIO")
    if not python:
        pytest.skip("HARNESS_TEST_BIOIMAGEIO names no Python that has bioimageio.core and TensorFlow")
    tested = _with_sigmoid(package, tmp_path / "spoilt.zip") if spoilt else package
    done = subprocess.run([python, "-c", TEST, tested], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["status"] == ("valid-format" if spoilt else "passed"), said
    assert [name for name, _ in said["failed"]] == (["Reproduce test outputs from test inputs (keras_v3)"] if spoilt else []), (
        said
    )


def _with_sigmoid(package, path):
    with ZipFile(package) as given, ZipFile(path, "w") as archive:
        described = yaml.safe_load(given.read("rdf.yaml"))
        described["inputs"][0]["preprocessing"] = [{"id": "sigmoid"}]
        archive.writestr("rdf.yaml", yaml.safe_dump(described))
        for name in set(given.namelist()) - {"rdf.yaml"}:
            archive.writestr(name, given.read(name))
    return path
