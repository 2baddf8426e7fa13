import pytest
import tifffile

from harness.datasets import open_dataset


@pytest.fixture
def images(tmp_path):
    """A folder with the middle of six synthetic fields."""
    (tmp_path / "images").mkdir()
    dataset = open_dataset("synthetic")
    for name in dataset.splits["test"]:
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", dataset.read_image(name)[:150, :150])
    return tmp_path / "images"
