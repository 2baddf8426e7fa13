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
from harness.experiment.results import RowResults, runs_of
from harness.experiment.spec import Spec
from harness.experiment.tracking import Run
from harness.method import tiles
from harness.method.postprocess import nuclei_from_class_map
from harness.scoring import evaluation


def same_prediction(run: Run, spec: Spec) -> bool:
    """Whether a run predicted what a spec says, however it scored it: all stages but `stages.SCORES` are the same."""
    stored = tracking.artifact(run, "spec.json")
    try:
        before = Spec.model_validate_json(stored.read_text()) if stored else None
    except ValidationError:
        return False
    return before is not None and bool(set(before.prediction_hashes()) & set(spec.prediction_hashes()))


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

    Raises
    ------
    HarnessError
        A run holds no predictions.
    """
    names = dataset.splits["test"]
    work = [(*_stored(run, result), name) for result in results.values() for run in result.runs for name in names]
    scored = list(over_fields(partial(_rescore_field, dataset), *zip(*work, strict=True))) if work else []
    of_run = {run.run_id: scored[at * len(names) : (at + 1) * len(names)] for at, run in enumerate(runs_of(results))}
    tables = {run_id: evaluation.tables(dict(zip(names, scores, strict=True))) for run_id, scores in of_run.items()}
    return {
        name: result._replace(runs=[_renewed(run, tables) for run in result.runs]) for name, result in results.items()
    }, tables


def _stored(run, result):
    return _predictions(run), result.row.method, int(run.params.get("tile", tiles.SIZE))


def _predictions(run):
    folder = tracking.artifact(run, "predictions")
    if folder is None:
        raise HarnessError(f"run {run.run_id} of {run.row}: has no stored predictions; run the row again")
    return folder


def _rescore_field(dataset, folder, method, side, name):
    return evaluation.score_field(stored_prediction(folder, method, side, name), dataset.annotation(name))


def _renewed(run, tables):
    return run._replace(metrics=run.metrics | evaluation.totals(tables[run.run_id]))


def stored_prediction(folder: Path, method: str, side: int, name: str) -> evaluation.Prediction:
    """The prediction of one field, put together again from a run's folder `predictions`.

    Parameters
    ----------
    folder : Path
    method : str
        Of the row.
    side : int
        Of the tiles in px; those of a network are stored.
    name : str
        Of the field.

    Returns
    -------
    harness.scoring.evaluation.Prediction
    """
    if method != "network":
        return evaluation.from_labels(_labels(folder, "labels", name), side)
    maps = evaluation.tiles_of_strip(_read(folder, "tiles", name))
    return evaluation.Prediction(maps, [nuclei_from_class_map(tile) for tile in maps], _labels(folder, "nuclei", name), {})


def _labels(folder, kind, name):
    return _read(folder, kind, name).astype(np.int32)


def _read(folder, kind, name):
    try:
        return imread(Path(folder) / kind / f"{name}.png")
    except OSError as error:
        raise HarnessError(f"{folder}: cannot read the stored prediction {kind}/{name}.png; run the row again") from error
