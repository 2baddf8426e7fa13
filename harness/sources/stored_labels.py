"""Label images that any other tool made, as label source `folder:DIR`."""

from pathlib import Path

import numpy as np

from harness.core.errors import HarnessError
from harness.datasets import image_files, read_image, read_nuclei
from harness.datasets.dataset import digest_of, sha256_of
from harness.datasets.pixels import ENDINGS, size

FOLDER = "folder:"
IGNORE = "_ignore"  # after a field's name: the file with the pixels that shall not count
CELLPOSE = "_cp_masks"  # Cellpose adds it to the names of its label images


def is_folder(source):
    """Whether a label source is a folder of label images: `folder:DIR`."""
    return source.startswith(FOLDER) and source != FOLDER


def stored(source, name):
    """Where a `folder:DIR` source has the label image of a field.

    Parameters
    ----------
    source : str
    name : str
        Of the field; its file is DIR/<name>.tif or .png, perhaps with `CELLPOSE` after the name, or a folder DIR/<name>
        with one binary image per nucleus.

    Returns
    -------
    Path or None

    Raises
    ------
    HarnessError
        There are several.
    """
    folder = Path(source.removeprefix(FOLDER))
    names = [name, *(f"{name}{suffix}{ending}" for suffix in ("", CELLPOSE) for ending in ENDINGS)]
    there = [folder / name for name in names if (folder / name).exists()]
    if len(there) > 1:
        raise HarnessError(f"{there[1]}: is a second label image of {name} beside {there[0].name}; keep one of them")
    return there[0] if there else None


def located(source):
    """The source with its folder as an absolute path: a worker may have another working folder."""
    return FOLDER + str(Path(source.removeprefix(FOLDER)).resolve()) if is_folder(source) else source


def digest(source, names):
    """SHA-256, in hexadecimal, of the label images and ignore masks that a `folder:DIR` source has for some fields."""
    paths = [path for name in names for path in (stored(source, name), stored(source, f"{name}{IGNORE}")) if path]
    files = [file for path in paths for file in (image_files(path) if path.is_dir() else [path])]
    return digest_of((str(file.relative_to(source.removeprefix(FOLDER))), sha256_of(file)) for file in files)


def read(source, name, shape):
    """Label image and ignore mask of a field, as `harness.sources.labels.label_field` gives them.

    The ignore mask is DIR/<name>_ignore.tif, as `harness label consensus` writes it, or nothing.
    """
    path, ignore = stored(source, name), stored(source, f"{name}{IGNORE}")
    if path is None:
        raise HarnessError(f"{source.removeprefix(FOLDER)} has no label image of it; add {name}.tif")
    labels, ignored = read_nuclei(path), read_image(ignore) > 0 if ignore else np.zeros(shape, bool)
    for file, array in ((path, labels), (ignore, ignored)):
        if array.shape != shape:
            raise HarnessError(f"{file}: is {size(array.shape)}, but its image {size(shape)}; save both in the same size")
    return labels, ignored
