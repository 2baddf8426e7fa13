"""Identity with label images that the real CellProfiler made: of small frames kept here, and of BBBC039 fields."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from harness.sources.classical import CONFIGURATIONS, Settings
from harness.sources.classical.primary_objects import grey, identify_all
from harness.sources.classical.thresholds import threshold

GOLDEN = np.load(Path(__file__).parent / "data" / "cellprofiler.npz")
CASES = json.loads(str(GOLDEN["cases"]))
VERSIONS = {"3.1.9": "3.1.9", "4.2.8": "4"}


def _settings(stored):
    return Settings(**{**stored, "bounds": tuple(stored["bounds"])})


def _name(case):
    changed = {key: value for key, value in _settings(case["settings"]).__dict__.items() if value != getattr(Settings(), key)}
    return " ".join([case["frame"], *(f"{key}={value}" for key, value in changed.items())])


@pytest.mark.parametrize("number", range(len(CASES)), ids=[_name(case) for case in CASES])
def test_small_frames_get_the_real_ones_labels(number):
    case = CASES[number]
    found = identify_all(GOLDEN[case["frame"]], case["configurations"], _settings(case["settings"]))
    for configuration, labels in found.items():
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, GOLDEN[f"{number} {configuration}"], err_msg=configuration)


def _real(version, suffix):
    data = os.environ.get("HARNESS_DATA_DIR")
    if not data:
        pytest.skip("HARNESS_DATA_DIR is not set: it names the folder of BBBC039")
    file = Path(data).parent / "cellprofiler" / f"cellprofiler-{version}.{suffix}"
    if not file.exists():
        pytest.skip(f"no folder cellprofiler with {file.name} beside HARNESS_DATA_DIR")
    return Path(data), file


def _image(data, field):
    return tifffile.imread(data / "images" / f"{field}.tif")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_label_image_is_equal(version):
    data, file = _real(version, "npz")
    real, different = np.load(file), []
    for field in sorted({key.partition("__")[0] for key in real.files}):
        found = identify_all(_image(data, field), CONFIGURATIONS, Settings(version=VERSIONS[version]))
        different += [
            (field, name)
            for name, labels in found.items()
            if not np.array_equal(labels, real[f"{field}__{name.replace('/', '-')}"])
        ]
    assert not different


@pytest.mark.parametrize("version", VERSIONS)
def test_every_threshold_is_equal_to_the_bit(version):
    data, file = _real(version, "json")
    real = {key.partition("__")[0]: value["final_threshold"] for key, value in json.loads(file.read_text()).items()}
    settings = Settings(version=VERSIONS[version])
    assert {field: threshold(grey(_image(data, field)), settings) for field in real} == real
