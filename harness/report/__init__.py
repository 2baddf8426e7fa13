"""The report: the tables, claims and pictures that finished runs come to, as one folder."""

import json
import math
import shutil
import tempfile
from functools import partial
from pathlib import Path

import pandas as pd

from harness.core.errors import HarnessError
from harness.experiment import tracking
from harness.experiment.registry import unavailable
from harness.experiment.results import METRICS, collect, read_all, runs_of, same_hash, stack
from harness.report import claims, html, markdown, tables
from harness.report.rescoring import rescore_all, same_prediction
from harness.scoring import objects

__all__ = ["write"]

OWN_TABLES = ("effect", "claims", "sensitivity", "quality", "errors", "timings")


def write(registry, resolve, dataset, profile, runs, out, figures=True, recompute=False, predictions=False):
    """Write the report of one data set and profile.

    Parameters
    ----------
    registry : harness.experiment.registry.Registry
    resolve : callable
        (row, seed) to the current Spec; a finished run with another spec hash is stale and enters no number.
    dataset : harness.datasets.DataSet
    profile : str
    runs : list of harness.experiment.tracking.Run
        Of this data set and profile, the newest first.
    out : path-like
        Folder to write: report.md, report.html, results.json, tables/*.csv, per_image.csv, figures/*.png. It appears
        whole or not at all; an earlier report there is replaced.
    figures : bool
        Whether to draw pictures.
    recompute : bool
        Whether to score the stored predictions again rather than to read the scores. A run whose code of scoring alone
        has changed is then not stale.
    predictions : bool
        Whether to copy what the first run of each network row predicted: predictions/<row>/nuclei/<field>.png, label
        images, and predictions/<row>/tiles/<field>.png, the class maps of the field's tiles side by side.

    Returns
    -------
    dict
        What results.json holds.

    Raises
    ------
    HarnessError
        `out` holds something else than a report, or cannot be written.
    """
    out = Path(out)
    _check_replaceable(out)
    _check_names(registry.tables)
    content = gather(registry, resolve, dataset, profile, runs, recompute)
    results = as_json(content)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as beside:
            new = Path(beside) / "new"
            _write_folder(new, content, results, dataset, figures)
            if predictions:
                _copy_predictions(new / "predictions", content["results"])
            if out.exists():
                out.replace(Path(beside) / "old")
            new.replace(out)
    except OSError as error:
        raise HarnessError(f"{out}: the report cannot be written ({error.strerror}); give another folder") from error
    return results


def _check_replaceable(out):
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "results.json").exists())):
        raise HarnessError(f"{out}: is there and is no report; give a new or empty folder, or an earlier report's")


def _check_names(names):
    for name in names:
        if name in OWN_TABLES or not name.strip(".") or set(name) & set("/\\:"):
            raise HarnessError(
                f"table '{name}': its file in the report cannot have this name; call it something else "
                f"than {', '.join(OWN_TABLES)}, without slashes"
            )


def gather(registry, resolve, dataset, profile, runs, recompute=False):
    """Everything a report says, as DataFrames, by name; nothing is drawn or written yet."""
    results = collect(registry, resolve, runs, unavailable(registry, dataset), same_prediction if recompute else same_hash)
    results, tables_of = _sources(results, dataset, recompute)
    stored = {name: tables_of(name, results) for name in ("per_field", "sensitivity")}
    of_objects = _with_objects(stored["per_field"])
    boot = tables.resampled(results, partial(tables_of, "per_tile"))
    scores = tables.scores(registry, dataset.name, results, boot)
    published = {(cell.row, cell.metric): cell.published for cell in scores.itertuples()}
    fields = _mean_over_seeds(stored["per_field"])
    sensitivity = _or_empty(tables.sensitivity, stored["sensitivity"])
    return {
        "registry": registry,
        "results": results,
        "dataset": dataset.name,
        "digest": dataset.digest,
        "profile": profile,
        "recomputed": recompute,
        "fields": dataset.splits["test"],
        "titles": {name: row.title for name, row in registry.rows.items()},
        "boot": boot,
        "scores": scores,
        "per_field": stored["per_field"],
        "field_scores": fields,
        "effect": tables.protocol_effect(results, boot, sensitivity),
        "claims": claims.check(claims.Evidence(results, boot, fields, published)),
        "sensitivity": sensitivity,
        "quality": _or_empty(objects.quality, of_objects),
        "errors": _or_empty(objects.errors, of_objects),
        "timings": tables.timings(results, _count_tiles(results, tables_of)),
        "run_details": tables.run_details(results),
        "figures": [],
    }


def _sources(results, dataset, recompute):
    """The runs that count, and a function that gives a table of them by name: as stored, or scored today."""
    if not recompute:
        return results, lambda name, of: read_all(of, f"{name}.csv")
    results, again = rescore_all(results, dataset)
    return results, lambda name, of: stack(of, lambda run: again[run.run_id][name])


def _count_tiles(results, tables_of):
    done = [result._replace(runs=result.runs[:1]) for result in results.values() if result.runs]
    return len(tables_of("per_tile", {done[0].name: done[0]})) if done else 0


def _mean_over_seeds(per_field):
    return per_field.groupby(["row", "field"], sort=False)[list(METRICS)].mean() if len(per_field) else per_field


def _with_objects(per_field):
    """Without the runs of an earlier harness, which stored nothing of objects."""
    return per_field.dropna(subset="iou_sum") if "iou_sum" in per_field else pd.DataFrame()


def _or_empty(make, stored):
    return make(stored) if len(stored) else stored


def as_json(content):
    """What results.json holds: every cell with the runs behind it, and every run with its metrics."""
    results, scores = content["results"], content["scores"]
    runs = [
        {
            **{key: getattr(run, key) for key in ("row", "seed", "run_id", "profile", "dataset", "spec_hash")},
            "metrics": run.metrics,
        }
        for run in runs_of(results)
    ]
    left_out = [
        {"row": run.row, "seed": run.seed, "run_id": run.run_id, "state": why}
        for result in results.values()
        for run, why in result.left_out
    ]
    cells = {
        name: [_cell_json(cell, results[cell["row"]]) for cell in _records(scores[scores["table"] == name])]
        for name in content["registry"].tables
    }
    return _plain(
        {
            "dataset": content["dataset"],
            "digest": content["digest"],
            "profile": content["profile"],
            "recomputed": content["recomputed"],
            "runs": runs,
            "left_out": left_out,
            "tables": {
                name: {"title": table.title, "metrics": table.metrics, "cells": cells[name]}
                for name, table in content["registry"].tables.items()
            },
            **{name: _records(content[name]) for name in (*OWN_TABLES, "run_details")},
        }
    )


def _cell_json(cell, result):
    values = tables.metric_values(result, cell["metric"])
    return cell | {"runs": [{"run_id": run_id, "value": value} for run_id, value in values.items()]}


def _records(frame):
    return frame.to_dict("records")


def _plain(value):
    """JSON has no NaN: null stands for a number that is not there."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_folder(folder, content, results, dataset, figures):
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    for name, table in content["scores"].groupby("table", sort=False):
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    for name in OWN_TABLES:
        content[name].to_csv(folder / "tables" / f"{name}.csv", index=False)
    content["per_field"].to_csv(folder / "per_image.csv", index=False)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")
    if figures:
        from harness.report.figures import draw_all

        content = content | {"figures": draw_all(content, dataset, folder / "figures")}
    text = markdown.document(content)
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(html.page(text, folder), encoding="utf-8")


def _copy_predictions(folder, results):
    """Of network rows alone: classical label images are made again in seconds."""
    for name, result in results.items():
        if result.row.method == "network" and result.runs:
            first = min(result.runs, key=lambda run: run.seed)
            shutil.copytree(tracking.artifact(first, "predictions"), folder / name)
