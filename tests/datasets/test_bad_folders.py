"""A folder that is wrong: the command says so in one line with exit code 2, whether it is asked about it or run on it."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr


def first(folder, part):
    test = (folder / "metadata" / "test.txt").read_text().split()[0].removesuffix(".png")
    return next((folder / part).glob(f"{test}.*"))


def rewrite(folder, part, change):
    path = first(folder, part)
    path.unlink()
    array = tifffile.imread(first(folder, "images")) if part == "masks" else np.ones((240, 270), np.float32)
    changed = change(array)
    tifffile.imwrite(path.with_suffix(".tif"), changed, photometric="rgb" if changed.ndim == 3 else None)


def as_large_zarr(folder):
    path = first(folder, "images")
    path.unlink()
    about = {"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0"}]}]}
    group = zarr.create_group(path.with_suffix(".zarr"), zarr_format=2, attributes=about)
    group.create_array("0", shape=(400000, 400000), dtype="u2", chunks=(4096, 4096))


def spoil_nan(image):
    image[5, 5] = np.nan
    return image


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "no data set"),
        (lambda f: rewrite(f, "masks", lambda a: a[:-3]), "is a mask of 237x270 px, but its image is 240x270 px"),
        (lambda f: rewrite(f, "masks", lambda a: a.astype(np.float32)), "is a mask of float32 values; save one integer"),
        (lambda f: rewrite(f, "images", spoil_nan), "holds NaN or infinite values; replace them"),
        (lambda f: first(f, "masks").unlink(), "has no mask of the test field"),
        (lambda f: shutil.copy(first(f, "images"), first(f, "images").with_suffix(".tiff")), "is named like"),
        (lambda f: first(f, "images").write_bytes(b"II*\0"), "cannot be read as an image"),
        (lambda f: rewrite(f, "images", lambda a: np.dstack([a, a, a * 2])), "has 3 colours; choose the one"),
        (as_large_zarr, "400000x400000 px take 6400.0 GB to work on"),
    ],
    ids=["missing", "sizes", "float", "nan", "test-masks", "twice", "unreadable", "colours", "zarr"],
)
def test_one_line_and_exit_code_2(harness, fields, tmp_path, spoil, said):
    folder = Path(shutil.copytree(fields, tmp_path / "wrong"))
    spoil(folder)
    for command in (("data",), ("run", "classical-shape-shape", "--profile", "smoke")):
        code, _, err = harness(*command, "--dataset", folder)
        assert code == 2 and said in err and err.count("\n") == 1, err


def test_what_may_not_be_read_or_written_is_one_line_too(harness, fields, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    for part in ("images", "masks"):
        shutil.copytree(fields / part, tmp_path / "mine" / part)
    (tmp_path / "mine" / "metadata").touch()  # root may write everywhere, but makes no folder of a file
    code, _, err = harness("run", "classical-shape-shape", "--dataset", tmp_path / "mine", "--profile", "smoke")
    assert code == 2 and "training.txt: cannot be written" in err and err.count("\n") == 1

    def forbid(path):
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(Path, "iterdir", forbid)
    code, _, err = harness("data", "--dataset", fields)
    assert code == 2 and "images: Permission denied" in err and err.count("\n") == 1
