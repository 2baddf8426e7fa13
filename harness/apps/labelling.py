"""Label images for a folder of images: the label sources as a program of their own."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.apps.jobs import Job, Made, images_in, job, recipe_of
from harness.core.errors import HarnessError
from harness.core.files import whole
from harness.core.label_images import write_label_image
from harness.datasets import Field, field_name, read_image
from harness.sources import LabelSource, sample
from harness.sources.folder import IGNORE
from harness.sources.refinements import described


def label_files(source: LabelSource, images: Path, out: Path, redo: bool = False, channel: str | None = None, **how: Any) -> Job:
    """`OUT/<stem>.tif`, one label image per image; `consensus` and refinements add `<stem>_ignore.tif`.

    Parameters
    ----------
    source : harness.sources.LabelSource
        One that looks at the image, see `fitted_to`.
    images, out : path-like
        See `harness.apps.jobs.images_in`, and folder of the label images.
    channel : str, optional
        See `harness.datasets.read_image`.
    redo, **how
        See `harness.apps.jobs.job`.

    Raises
    ------
    HarnessError
        The labels are not made from images, or the folders do not fit; see `harness.apps.jobs`.
    """
    if not source.from_images:
        raise HarnessError(
            f"{source.name} labels are not made from images; choose cellprofiler:<seeds>/<lines> or consensus, "
            "or find nuclei with a trained network by harness segment"
        )
    files = images_in(images, out)
    clash = set(map(field_name, files)) & {f"{field_name(name)}{IGNORE}" for name in files}
    if clash and source.masks:
        raise HarnessError(f"{images}: {min(clash)} is named like the ignore mask of another image; rename it")
    recipe = recipe_of({"labels": source.name, **source.settings, "refine": described(source)}, source.stages, channel)
    return job(files, out, recipe, partial(_label, source, redo, channel), redo, **how)


def fitted_to(source: LabelSource, images: Path, out: Path | None = None, channel: str | None = None) -> LabelSource:
    """The source with numbers for settings that are "auto", told from the images that can be read."""
    return source.fitted(lambda: _readable(sample(list(images_in(images, out).values())), channel))


def _readable(files: Sequence[Path], channel: str | None) -> Iterator[np.ndarray]:
    for file in files:
        with suppress(HarnessError):  # it is named where it is labelled
            yield read_image(file, channel)


def _label(source: LabelSource, redo: bool, channel: str | None, file: Path) -> Made:
    labels, ignore = source.label(Field(file.name, lambda _: read_image(file, channel), lambda _: None))

    def write_ignored(base: Path) -> None:
        path = base.with_name(f"{base.name}{IGNORE}.tif")
        if source.masks:
            write_label_image(path, ignore)
        elif redo:
            path.unlink(missing_ok=True)  # of a source that was used before

    return labels, write_ignored


def write_pipeline(source: LabelSource, file: Path) -> None:
    """Write the CellProfiler pipeline of a source; see `harness.sources.LabelSource.pipeline`."""
    text = source.pipeline()
    with whole(file) as partial_file:
        partial_file.write_text(text, encoding="utf-8")
