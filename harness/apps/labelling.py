"""Label images for a folder of images: the label sources as a program of their own."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.apps.jobs import Job, Made, images_in, job, recipe_of, refuse_unchosen
from harness.core.errors import HarnessError
from harness.core.files import whole
from harness.core.label_images import write_label_image
from harness.datasets import Choice, Field, field_name, read_image
from harness.sources import LabelSource, sample
from harness.sources.folder import IGNORE
from harness.sources.refinements import described


def label_files(source: LabelSource, images: Path, out: Path, redo: bool = False, choice: Choice = Choice(), **how: Any) -> Job:
    """`OUT/<stem>.tif`, one label image per image; `consensus` and refinements add `<stem>_ignore.tif`.

    Parameters
    ----------
    source : harness.sources.LabelSource
        One that looks at the image, see `fitted_to`.
    images, out : path-like
        See `harness.apps.jobs.images_in`, and folder of the label images.
    choice : harness.datasets.Choice
        Which channel or plane of each image.
    redo, **how
        See `harness.apps.jobs.job`.

    Raises
    ------
    HarnessError
        The labels are not made from images, or the folders or the choice do not fit; see `harness.apps.jobs`.
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
    refuse_unchosen(files.values(), choice)
    recipe = recipe_of({"labels": source.name, **source.settings, "refine": described(source)}, source.stages, choice)
    return job(files, out, recipe, partial(_label, source, redo, choice), redo, **how)


def fitted_to(source: LabelSource, images: Path, out: Path | None = None, choice: Choice = Choice()) -> LabelSource:
    """The source with numbers for settings that are "auto", told from the images that can be read."""
    return source.fitted(lambda: _readable(list(images_in(images, out).values()), choice))


def _readable(files: Sequence[Path], choice: Choice) -> Iterator[np.ndarray]:
    refuse_unchosen(files, choice)
    for file in sample(files):
        with suppress(Exception):  # it is named where it is labelled
            yield read_image(file, *choice)


def _label(source: LabelSource, redo: bool, choice: Choice, file: Path) -> Made:
    labels, ignore = source.label(Field(file.name, lambda _: read_image(file, *choice), lambda _: None))

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
