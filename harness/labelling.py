"""Label images for a folder of images: the label sources as a program of their own."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import tifffile

from harness.datasets import field_name, image_files, read_image
from harness.errors import HarnessError
from harness.labels import check_source, label_field, pipeline
from harness.parallel import over_fields


def pending(images, out):
    """Images of a folder that have no label image yet.

    Parameters
    ----------
    images, out : path-like
        Folder of TIFF and PNG images, and folder of the label images.

    Returns
    -------
    list of Path

    Raises
    ------
    HarnessError
        No such folder, no image in it, or two images of the same stem.
    """
    files = image_files(Path(images)) if Path(images).is_dir() else []
    if not files:
        raise HarnessError(f"{images}: not a folder with images; give one that holds TIFF or PNG files")
    stems = [field_name(file.name) for file in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise HarnessError(f"{images}: {twice[0]} is there with two endings; label images are named by the stem, so keep one")
    return [file for file, stem in zip(files, stems, strict=True) if not (Path(out) / f"{stem}.tif").exists()]


def label_files(source, settings, files, out, workers=None):
    """Write `OUT/<stem>.tif`, one label image per image; `consensus` adds `<stem>_ignore.tif`.

    Parameters
    ----------
    source : str
        A label source that looks at the image; see `harness.labels.sources`.
    settings : dict
        Settings of the source that differ from its defaults.
    files : list of Path
        See `pending`.
    out : path-like
    workers : int, optional
        Processes; the label images do not depend on it.

    Yields
    ------
    (str, int, str or None)
        File name, number of nuclei, and what was wrong with the file, if something was.
    """
    if source == "manual":
        raise HarnessError("manual labels are not made from images; choose cellprofiler:<seeds>/<lines> or consensus")
    check_source(source, settings)
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"{out}: cannot be written ({error.strerror}); give another folder") from error
    if files:  # whole paths: the working folder of a worker is that of the day it was started
        whole = [Path(file).resolve() for file in files]
        yield from over_fields(partial(_label_file, source, settings, Path(out).resolve()), whole, workers=workers)


def _label_file(source, settings, out, file):
    try:
        labels, ignore = label_field(source, settings, read_image(file), None)
        if source == "consensus":
            _write(out / f"{field_name(file.name)}_ignore.tif", ignore.astype(np.uint8))
        _write(out / f"{field_name(file.name)}.tif", labels.astype(np.uint16 if labels.max() < 2**16 else np.uint32))
    except (HarnessError, OSError) as error:
        return file.name, 0, str(error)
    return file.name, int(labels.max()), None


def _write(path, array):
    """A file is there whole or not at all, so an interrupted job can go on by what is there."""
    partial_path = path.with_suffix(".partial")
    tifffile.imwrite(partial_path, array, compression="zlib")
    os.replace(partial_path, path)


def write_pipeline(source, settings, file):
    """Write the CellProfiler pipeline of a source; see `harness.labels.pipeline`."""
    text = pipeline(source, settings)
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"{file}: cannot be written ({error.strerror}); give another file") from error
