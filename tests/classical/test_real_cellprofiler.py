"""Identity with label images that the real CellProfiler made of BBBC039 fields."""

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from harness.classical import CONFIGURATIONS, Settings, identify_all

VERSIONS = {"3.1.9": "3.1.9", "4.2.8": "4"}


def _real(version):
    data = os.environ.get("HARNESS_DATA_DIR")
    if not data:
        pytest.skip("HARNESS_DATA_DIR is not set: it names the folder of BBBC039")
    labels = Path(data).parent / "cellprofiler" / f"cellprofiler-{version}.npz"
    if not labels.exists():
        pytest.skip(f"no folder cellprofiler with {labels.name} beside HARNESS_DATA_DIR")
    return Path(data), np.load(labels)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_label_image_is_equal(version):
    data, real = _real(version)
    different = []
    for field in sorted({key.partition("__")[0] for key in real.files}):
        image = tifffile.imread(data / "images" / f"{field}.tif")
        found = identify_all(image, CONFIGURATIONS, Settings(version=VERSIONS[version]))
        different += [(field, name) for name, labels in found.items()
                      if not np.array_equal(labels, real[f"{field}__{name.replace('/', '-')}"])]
    assert not different
