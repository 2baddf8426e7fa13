"""What results.json holds: every cell with the runs behind it, and every run with its metrics."""

import math
from typing import Any

from harness.experiment.results import runs_of
from harness.report import tables
from harness.report.content import OWN_TABLES, Content


def as_json(content: Content) -> dict[str, Any]:
    """Numbers, texts, lists and dicts alone; None stands for a number that is not there."""
    scores = content.scores
    cells = {
        name: [_cell(cell, content.results[cell["row"]]) for cell in _records(scores[scores["table"] == name])]
        for name in content.registry.tables
    }
    return plain(
        {
            "dataset": content.dataset.name,
            "digest": content.dataset.digest,
            "profile": content.profile,
            "recomputed": content.recomputed,
            "runs": _runs(content.results),
            "left_out": _left_out(content.results),
            "tables": {
                name: {"title": table.title, "metrics": table.metrics, "cells": cells[name]}
                for name, table in content.registry.tables.items()
            },
            **{name: _records(getattr(content, name)) for name in (*OWN_TABLES, "run_details")},
        }
    )


def _runs(results):
    keys = ("row", "seed", "run_id", "profile", "dataset", "spec_hash", "metrics")
    return [{key: getattr(run, key) for key in keys} for run in runs_of(results)]


def _left_out(results):
    return [
        {"row": run.row, "seed": run.seed, "run_id": run.run_id, "state": why}
        for result in results.values()
        for run, why in result.left_out
    ]


def _cell(cell, result):
    values = tables.metric_values(result, cell["metric"])
    return cell | {"runs": [{"run_id": run_id, "value": value} for run_id, value in values.items()]}


def _records(frame):
    return frame.to_dict("records")


def plain(value):
    """Ready for JSON, which has no NaN."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
