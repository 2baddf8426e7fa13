"""Stored files that are not what a run wrote: the run is named, with what mends it, and the report goes on without it."""

import csv
import re
from collections.abc import Callable, Iterable
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from harness.core.errors import HarnessError
from harness.datasets import DataSet
from harness.experiment import tracking
from harness.experiment.registry import Row
from harness.experiment.results import RowResults, asked_for, made_again, runs_of
from harness.experiment.tracking import Run
from harness.report import rescoring
from harness.scoring import metrics, objects, pixels
from harness.scoring.mismatches import KINDS

Table = dict[str, tuple[str, ...]]  # column to its cells

WORD = r'(?:"(?:[^"]|"")*"|[^",\n]*)'
NUMBER = r"(?:-?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf))?"
COUNTS = ("paper_annotated", "paper_predicted")  # of nuclei: a line that is lost makes them another number than MLflow's
DICE = ("dice_nuclei_twice_both", "dice_nuclei_sum", "dice_separations_twice_both", "dice_separations_sum")
SCORES = (
    *("dice_nuclei", "dice_separations", "jaccard", "jaccard_equal"),
    *(f"{name}_{count}" for name in metrics.PROTOCOLS for count in metrics.Counts._fields),
)

# What later versions store of a field stands there together or, of an earlier harness, not at all; the second needs the first.
OBJECTS = (
    *("annotated", "predicted", "iou_sum", "aji", *map(objects.matched_at, metrics.IOU_THRESHOLDS)),
    *(f"{name}_{size}" for name in ("annotated", "predicted", *KINDS) for size in range(len(objects.SIZES))),
)
OUTLINES = ("outline_offset", "nsd", "hd95")
WRONG_PIXELS = (*pixels.RIGHT, *pixels.FALSE_FOREGROUND, *pixels.FALSE_BACKGROUND)


def _tiles_lost(table: Table, run: Run, fields: Iterable[str]) -> str | None:
    if set(table["field"]) != set(fields):
        return "is not of the test fields"
    counted = {name: sum(int(float(count)) for count in table[name]) for name in COUNTS}
    return None if all(run.metrics.get(name, count) == count for name, count in counted.items()) else OTHER


def _fields_lost(table: Table, run: Run, fields: Iterable[str]) -> str | None:
    return _tiles_lost(table, run, fields) or ("names a field twice" if len(set(table["field"])) < len(table["field"]) else None)


def _protocols_lost(table: Table, *_: Any) -> str | None:
    expected = 2 * len(metrics.EROSIONS) * len(metrics.SMALLEST)
    found = len(set(zip(table["unit"], table["erosion"], table["smallest"], strict=True)))
    return None if len(table["unit"]) == found == expected else f"has {len(table['unit'])} lines instead of {expected}"


def _epochs_lost(table: Table, *_: Any) -> str | None:
    return None if [int(float(each)) for each in table["epoch"]] == [*range(1, len(table["epoch"]) + 1)] else "lacks an epoch"


class Form(NamedTuple):
    """What a stored table has to look like.

    Attributes
    ----------
    words, numbers : tuple of str
        Columns: of words, with which it begins, and some of those of numbers, which follow.
    lacks : callable
        What is wrong with it as a whole, such as a line that was lost.
    together : tuple of tuple of str
        Columns of which a later harness stores all; the ones before come with each of them.
    """

    words: tuple[str, ...]
    numbers: tuple[str, ...]
    lacks: Callable[[Table, Run, Iterable[str]], str | None]
    together: tuple[tuple[str, ...], ...] = ()


FORMS = {
    "per_tile.csv": Form(("field",), ("tile", *DICE, *COUNTS), _tiles_lost),
    "per_field.csv": Form(("field",), SCORES, _fields_lost, (OBJECTS, OUTLINES, WRONG_PIXELS)),
    "sensitivity.csv": Form(("unit", "erosion"), ("smallest", *metrics.Counts._fields), _protocols_lost),
}
HISTORY = {"history.csv": Form((), ("epoch", "loss", "val_loss"), _epochs_lost)}
OTHER = "does not come to what MLflow holds"
COMPARED = ("per_tile.csv", "per_field.csv")


def set_aside(results: dict[str, RowResults], dataset: DataSet, tables: bool, first: bool) -> dict[str, RowResults]:
    """The results without the runs whose stored files are damaged; these are left out, with the fault and what mends it.

    Parameters
    ----------
    results : dict of str to RowResults
    dataset : harness.datasets.DataSet
    tables : bool
        Whether the scores are read from the stored tables, which are looked at then; else the predictions are.
    first : bool
        Whether the predictions of each row's first run are looked at besides, since pictures are made of them.
    """
    check = partial(_of_tables, dataset) if tables else partial(_of_predictions, dataset)
    kept = {
        name: _without(result, {run.run_id: check(run, result.row) for run in result.runs}) for name, result in results.items()
    }
    return {name: _with_good_first(result, dataset) for name, result in kept.items()} if tables and first else kept


def _without(result: RowResults, faults: dict[str, str | None]) -> RowResults:
    """A row without the runs, by id, that something is wrong with."""
    damaged = [(_named(run, fault), "damaged") for run in result.runs if (fault := faults.get(run.run_id))]
    return result._replace(runs=[run for run in result.runs if not faults.get(run.run_id)], left_out=[*damaged, *result.left_out])


def _named(run: Run, fault: str) -> Run:
    return run._replace(state="damaged", tags=run.tags | {f"{tracking.TAG}failure": fault})


def _with_good_first(result: RowResults, dataset: DataSet) -> RowResults:
    """Without the runs before the first whose predictions are whole: pictures are of a row's first run."""
    while result.runs and (wrong := _of_predictions(dataset, result.runs[0], result.row)):
        result = _without(result, {result.runs[0].run_id: wrong})
    return result


def _of_predictions(dataset: DataSet, run: Run, row: Row) -> str | None:
    shapes = {name: dataset.annotation(name).shape for name in dataset.splits["test"]}  # what is wrong with these is no damage
    try:
        folder = rescoring.predictions_of(run)
        for name, shape in shapes.items():
            rescoring.read_prediction(folder, row.method, rescoring.side_of(run), name, shape)
    except HarnessError as error:
        return f"{error}; {made_again(run)}"
    return None


def refuse(results: dict[str, RowResults], dataset: DataSet) -> None:
    """Refuse rows of which a stored table that rows are compared by is damaged; scoring predictions again does not store them.

    Raises
    ------
    HarnessError
        It names each run, the first with its fault and what mends it.
    """
    forms = {name: FORMS[name] for name in COMPARED}
    wrong = [(run, fault) for run in runs_of(results) if (fault := _fault(dataset, run, forms))]
    if wrong:
        run, fault = wrong[0]
        others = ", ".join(f"{run.row} (seed {run.seed}, run {run.run_id})" for run, _ in wrong[1:])
        likewise = f"; likewise {others}" if others else ""
        raise HarnessError(f"{run.row} (seed {run.seed}): its {fault[0]} {fault[1]}; {made_again(run)}{likewise}")


def _of_tables(dataset: DataSet, run: Run, row: Row) -> str | None:
    trained = row.method == "network" and not row.refine_prediction
    fault = _fault(dataset, run, FORMS | (HISTORY if trained else {}))
    if not fault:
        return None
    again = fault[0] not in HISTORY and tracking.artifact(run, "predictions")
    rescored = f"harness report --recompute{asked_for(run)} scores its predictions again"
    return f"{' '.join(fault)}; {rescored if again else made_again(run)}"


def _fault(dataset: DataSet, run: Run, forms: dict[str, Form]) -> tuple[str, str] | None:
    """The first stored table that is not of its form, and what is wrong with it."""
    fields = dataset.splits["test"]
    found = ((name, _wrong_with(tracking.artifact(run, name), form, run, fields)) for name, form in forms.items())
    return next(((name, wrong) for name, wrong in found if wrong), None)


def _wrong_with(path: Path | None, form: Form, run: Run, fields: Iterable[str]) -> str | None:
    if path is None:
        return "is not there"
    try:
        head, body = (path.read_text(encoding="utf-8").replace("\r\n", "\n").rstrip("\n") + "\n").split("\n", 1)
    except (OSError, ValueError):
        return "cannot be read as a table"
    if not body:
        return "is empty"
    columns = head.split(",")
    missing = [name for name in (*form.words, *form.numbers) if name not in columns] or _torn(columns, form.together)
    if missing:
        return f"has no column {missing[0]}"
    line = ",".join([WORD] * len(form.words) + [NUMBER] * (len(columns) - len(form.words)))
    if not re.fullmatch(f"(?:{line}\n)+", body):
        return "holds lines that are no values of its columns"
    return form.lacks(dict(zip(columns, zip(*csv.reader(StringIO(body)), strict=True), strict=False)), run, fields)


def _torn(columns: list[str], groups: tuple[tuple[str, ...], ...]) -> list[str]:
    """Columns that are not there although others are that are stored with or after them."""
    there = [bool(set(group) & set(columns)) for group in groups]
    last = max((at for at, some in enumerate(there) if some), default=-1)
    return [name for group in groups[: last + 1] for name in group if name not in columns]
