"""Networks scored on data sets that they did not learn on, beside those that did."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from harness.experiment import stages, tracking
from harness.experiment.registry import Registry
from harness.experiment.tracking import LEARNED_ON, Run
from harness.scoring.names import TABLES
from harness.sources.refinements import described


def pairs(registry: Registry, profile: str) -> pd.DataFrame:
    """Every pair of data sets that a row learned on and was scored on; of rows that were scored on another one at all.

    Of each row, pair and seed the newest finished run counts, if the row's labels and network and all stages are as they are now.

    Parameters
    ----------
    registry : Registry
    profile : str

    Returns
    -------
    DataFrame
        row, learned_on, scored_on (names of data sets), seeds (their number), and the means of `TABLES` over the seeds.
    """
    rows = {run.row for run in _current(registry, profile, f"tags.`{LEARNED_ON}` != ''")}
    of_rows = [run for row in rows for run in _current(registry, profile, f"tags.`{tracking.TAG}row` = '{row}'")]
    newest = {(run.row, *_pair(run), run.seed): run for run in reversed(of_rows)}
    among = {name for run in newest.values() if LEARNED_ON in run.tags for name in _pair(run)}
    lines = pd.DataFrame([line for line in map(_line, newest.values()) if line["scored_on"] in among])
    if lines.empty:
        return lines
    keys = ["row", "learned_on", "scored_on"]
    table = lines.groupby(keys).agg(seeds=("seed", "nunique"), **{metric: (metric, "mean") for metric in TABLES}).reset_index()
    order = {row: at for at, row in enumerate(registry.rows)}
    return table.sort_values(keys, key=lambda each: each.map(order) if each.name == "row" else each, ignore_index=True)


def _pair(run: Run) -> tuple[str, str]:
    return run.tags.get(LEARNED_ON, run.dataset), run.dataset


def _line(run: Run) -> dict[str, object]:
    learned_on, scored_on = _pair(run)
    metrics = {metric: run.metrics.get(metric, np.nan) for metric in TABLES}
    return {"row": run.row, "learned_on": learned_on, "scored_on": scored_on, "seed": run.seed} | metrics


def _current(registry: Registry, profile: str, condition: str) -> list[Run]:
    runs = tracking.runs_of_profile(profile, condition)
    return [run for run in runs if run.state == "finished" and _is_current(run, registry)]


def _is_current(run: Run, registry: Registry) -> bool:
    if run.row not in registry.rows or registry.rows[run.row].method != "network":
        return False
    return dict(_expected(run, registry)).items() <= run.params.items()


def _expected(run: Run, registry: Registry) -> Iterator[tuple[str, str]]:
    row = registry.rows[run.row]
    network = row.network or registry.network
    yield from {"labels": row.source.name, "refine": str(described(row.source)), "loss": row.loss}.items()
    yield from {f"network.{name}": str(width) for name, width in network.model_dump().items()}.items()
    for name in (name for name in run.params if name.startswith("versions.")):
        yield name, str(stages.VERSIONS.get(name.removeprefix("versions.")))
