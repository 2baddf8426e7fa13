"""Label images for a folder of images: the label sources as a program of their own."""

from functools import partial
from pathlib import Path

from harness.apps.jobs import make_folder, write_label_image
from harness.core.errors import HarnessError
from harness.core.parallel import over_fields
from harness.datasets import field_name, read_image
from harness.sources.labels import check_source, label_field, pipeline
from harness.sources.stored_labels import is_folder


def label_files(source, settings, files, out, **where):
    """Write `OUT/<stem>.tif`, one label image per image; `consensus` adds `<stem>_ignore.tif`.

    Parameters
    ----------
    source : str
        A label source that looks at the image; see `harness.sources.labels.sources`.
    settings : dict
        Settings of the source that differ from its defaults.
    files : list of Path
        See `harness.apps.jobs.pending`.
    out : path-like
    **where
        `workers` or `scheduler`, see `harness.core.parallel.over_fields`; the label images do not depend on it.

    Yields
    ------
    (str, int, str or None)
        File name, number of nuclei, and what was wrong with the file, if something was.
    """
    if source == "manual" or is_folder(source):
        raise HarnessError(f"{source} labels are not made from images; choose cellprofiler:<seeds>/<lines> or consensus")
    check_source(source, settings)
    make_folder(out)
    if files:
        yield from over_fields(partial(_label_file, source, settings, Path(out).resolve()), files, **where)


def _label_file(source, settings, out, file):
    try:
        labels, ignore = label_field(source, settings, read_image(file), None)
        if source == "consensus":
            write_label_image(out / f"{field_name(file.name)}_ignore.tif", ignore)
        write_label_image(out / f"{field_name(file.name)}.tif", labels)
    except HarnessError as error:
        return file.name, 0, str(error)
    return file.name, int(labels.max()), None


def write_pipeline(source, settings, file):
    """Write the CellProfiler pipeline of a source; see `harness.sources.labels.pipeline`."""
    text = pipeline(source, settings)
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"{file}: cannot be written ({error.strerror}); give another file") from error
