"""Stored predictions scored again, by the code of today."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from imageio.v3 import imread
from pydantic import ValidationError

from harness.core.errors import HarnessError
from harness.core.parallel import over_fields
from harness.datasets import DataSet
from harness.experiment import tracking
from harness.experiment.results import RowResults, runs_of, same_hash
from harness.experiment.spec import Spec
from harness.experiment.tracking import Run
from harness.method import tiles
from harness.method.classmap import SEPARATION
from harness.method.postprocess import nuclei_from_class_map
from harness.scoring import evaluation


def same_prediction(run: Run, spec: Spec) -> bool:
    """Whether a run predicted what a spec says, however it scored it: all stages but `stages.SCORES` are the same."""
    stored = tracking.artifact(run, "spec.json")
    try:
        before = Spec.model_validate_json(stored.read_bytes()) if stored else None
    except (ValidationError, OSError):
        before = None
    if before is None:  # lost; its hash is a tag
        return same_hash(run, spec)
    return bool(set(before.prediction_hashes()) & set(spec.prediction_hashes()))


Tables = dict[str, dict[str, pd.DataFrame]]


def rescore_all(results: dict[str, RowResults], dataset: DataSet) -> tuple[dict[str, RowResults], Tables]:
    """Score the stored predictions of every run that counts again.

    Parameters
    ----------
    results : dict of str to RowResults
    dataset : harness.datasets.DataSet

    Returns
    -------
    results : dict of str to RowResults
        The same runs with the metrics of today.
    tables : dict of str to dict of str to DataFrame
        Run id to what the run would have stored today, see `evaluation.tables`.
    """
    names = dataset.splits["test"]
    work = [
        (folder, result.row.method, side, name)
        for result in results.values()
        for folder, side in ((predictions_of(run), side_of(run)) for run in result.runs)
        for name in names
    ]
    scored = list(over_fields(partial(_rescore_field, dataset), *zip(*work, strict=True))) if work else []
    of_run = {run.run_id: scored[at * len(names) : (at + 1) * len(names)] for at, run in enumerate(runs_of(results))}
    tables = {run_id: evaluation.tables(dict(zip(names, scores, strict=True))) for run_id, scores in of_run.items()}
    return {
        name: result._replace(runs=[_renewed(run, tables) for run in result.runs]) for name, result in results.items()
    }, tables


def side_of(run: Run) -> int:
    """Side in px of the tiles that a run was scored on."""
    return int(run.params.get("tile", tiles.SIZE))


def predictions_of(run: Run) -> Path:
    """The folder of a run's stored predictions; a HarnessError where it has none."""
    folder = tracking.artifact(run, "predictions")
    if folder is None:
        raise HarnessError("it has no stored predictions")
    return folder


def _rescore_field(dataset, folder, method, side, name):
    annotation = dataset.annotation(name)
    return evaluation.score_field(stored_prediction(folder, method, side, name, annotation.shape), annotation)


def _renewed(run, tables):
    return run._replace(metrics=run.metrics | evaluation.totals(tables[run.run_id]))


def stored_prediction(folder: Path, method: str, side: int, name: str, shape: tuple[int, ...]) -> evaluation.Prediction:
    """The prediction of one field, put together again from a run's folder `predictions`.

    Parameters and errors are those of `read_prediction`.
    """
    stored = read_prediction(folder, method, side, name, shape)
    if method != "network":
        return evaluation.from_labels(stored["labels"].astype(np.int32), side)
    maps = evaluation.tiles_of_strip(stored["tiles"])
    return evaluation.Prediction(maps, [nuclei_from_class_map(tile) for tile in maps], stored["nuclei"].astype(np.int32), {})


def read_prediction(folder: Path, method: str, side: int, name: str, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """What a run stored of one field.

    Parameters
    ----------
    folder : Path
    method : str
        Of the row.
    side : int
        Of the tiles in px.
    name : str
        Of the field.
    shape : tuple of int
        Of the field, (H, W).

    Returns
    -------
    dict of str to (H, W) integer ndarray
        nuclei; and labels, or of a network row tiles, whose class maps stand side by side.

    Raises
    ------
    HarnessError
        A file cannot be read, or is not of this field.
    """
    kinds = {"nuclei": shape, "labels": shape}
    if method == "network":
        corners = tiles.tile_corners(shape, side)
        kinds = {"nuclei": shape, "tiles": (side, side * len(corners))}
    return {kind: _read(folder / kind / f"{name}.png", expected) for kind, expected in kinds.items()}


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    where = f"predictions/{path.parent.name}/{path.name}"
    try:
        stored = imread(path)
    except Exception as error:  # decoders raise anything
        raise HarnessError(f"{where} cannot be read") from error
    if stored.shape != shape or (path.parent.name == "tiles" and stored.max(initial=0) > SEPARATION):
        raise HarnessError(f"{where} is not of its field")
    return stored
