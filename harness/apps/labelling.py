"""Label images for a folder of images: the label sources as a program of their own."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.apps.jobs import make_folder
from harness.core.errors import HarnessError
from harness.core.label_images import write_label_image
from harness.core.parallel import over_fields
from harness.datasets import Field, field_name, read_image
from harness.sources import LabelSource

Labelled = tuple[str, int, str | None]


def label_files(source: LabelSource, files: list[Path], out: Path, **where) -> Iterator[Labelled]:
    """Write `OUT/<stem>.tif`, one label image per image; `consensus` adds `<stem>_ignore.tif`.

    Parameters
    ----------
    source : harness.sources.LabelSource
        One that looks at the image.
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
    if not source.from_images:
        raise HarnessError(f"{source.name} labels are not made from images; choose cellprofiler:<seeds>/<lines> or consensus")
    make_folder(out)
    if files:
        yield from over_fields(partial(_label_file, source, Path(out).resolve()), files, **where)


def _label_file(source: LabelSource, out: Path, file: Path) -> Labelled:
    try:
        labels, ignore = source.label(Field(file.name, lambda _: read_image(file), lambda _: None))
        if source.masks:
            write_label_image(out / f"{field_name(file.name)}_ignore.tif", ignore)
        write_label_image(out / f"{field_name(file.name)}.tif", labels)
    except HarnessError as error:
        return file.name, 0, str(error)
    return file.name, int(labels.max()), None


def write_pipeline(source: LabelSource, file: Path) -> None:
    """Write the CellProfiler pipeline of a source; see `harness.sources.LabelSource.pipeline`."""
    text = source.pipeline()
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise HarnessError(f"{file}: cannot be written ({error.strerror}); give another file") from error
