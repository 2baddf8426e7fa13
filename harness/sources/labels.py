"""Label sources: where the label images for training, and the predictions of classical rows, come from."""

from dataclasses import asdict, fields

import numpy as np

from harness.core.errors import HarnessError
from harness.sources import classical
from harness.sources.stored_labels import is_folder

CELLPROFILER = "cellprofiler:"


def sources():
    """Names of the label sources that need nothing but the data set."""
    return ["manual", *(CELLPROFILER + configuration for configuration in classical.CONFIGURATIONS), "consensus"]


def check_source(source, settings):
    """Refuse a label source, or settings of it, that do not exist.

    Parameters
    ----------
    source : str
        See `sources`; or `folder:DIR`, the label images of any tool (see `harness.sources.stored_labels`).
    settings : dict
        Parameters of the classical method that differ from `classical.Settings`.

    Raises
    ------
    HarnessError
        Unknown source, unknown setting or a setting that is out of its range.
    """
    made = not is_folder(source) and source != "manual"
    if not is_folder(source) and source not in sources():
        raise HarnessError(f"unknown label source '{source}'; expected one of {', '.join(sources())}, folder:DIR")
    known = [field.name for field in fields(classical.Settings)]
    for name in settings:
        if not made or name not in known:
            expected = ", ".join(known) if made else "none, these labels are there already"
            raise HarnessError(f"'{source}' has no setting '{name}'; expected {expected}")
    _settings(settings)


def pipeline(source, settings):
    """Text of a CellProfiler pipeline that makes a source's label images; the three that vote for `consensus`."""
    from harness.sources.classical.agreement import BEST
    from harness.sources.classical.pipeline_file import pipeline_text

    check_source(source, settings)
    if source == "manual" or is_folder(source):
        raise HarnessError(f"{source} labels are not made by CellProfiler; choose cellprofiler:<seeds>/<lines> or consensus")
    return pipeline_text(BEST if source == "consensus" else [source.removeprefix(CELLPROFILER)], _settings(settings))


def _settings(settings):
    return classical.Settings(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()})


def settings_of(source, settings):
    """Every setting of a label source by name, also those left at the default; those of labels that are there as they are."""
    return settings if source == "manual" or is_folder(source) else asdict(_settings(settings))


def label_field(source, settings, image, nuclei):
    """Make the label image of one field.

    Parameters
    ----------
    source : str
        See `sources`.
    settings : dict
        See `check_source`.
    image : (H, W) ndarray
        Intensities as stored.
    nuclei : (H, W) int32 ndarray or None
        Manual labels; only the source `manual` looks at them.

    Returns
    -------
    labels : (H, W) int32 ndarray
    ignore : (H, W) bool ndarray
        Pixels about which the source says nothing; they are left out of the loss.

    Raises
    ------
    HarnessError
        Manual labels are asked for where there are none.
    """
    nothing = np.zeros(image.shape, bool)
    if source == "manual":
        if nuclei is None:
            raise HarnessError("this field has no manual labels; add its mask or choose another label source")
        return nuclei, nothing
    from harness.sources.classical.agreement import consensus
    from harness.sources.classical.primary_objects import identify

    if source == "consensus":
        return consensus(image, _settings(settings))
    return identify(image, source.removeprefix(CELLPROFILER), _settings(settings)), nothing
