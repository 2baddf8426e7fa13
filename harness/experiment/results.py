"""What a report is made of: the runs that count for each row, and the scores they stored."""

import shlex
from collections.abc import Callable, Iterator
from io import StringIO
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.core.errors import HarnessError
from harness.experiment import tracking
from harness.experiment.registry import CEILING, CONTROL, EXTERNAL, SCORED, Registry, Row, default_profile
from harness.experiment.spec import Spec

TOGETHER = 50


class RowResults(NamedTuple):
    """A row of the registry and the runs that count for it.

    Attributes
    ----------
    name : str
    row : harness.experiment.registry.Row
    runs : list of harness.experiment.tracking.Run
        The newest finished run of each seed whose spec is the current one, by seed.
    left_out : list of (Run, str)
        The newest run of every other seed, and why it does not count: its state, or "stale".
    missing : str or None
        What the data set lacks that the row needs, where no run counts.
    """

    name: str
    row: Row
    runs: list
    left_out: list
    missing: str | None = None

    @property
    def seeds(self) -> frozenset[int]:
        """Those of the runs that count."""
        return frozenset(run.seed for run in self.runs)

    @property
    def state(self) -> str:
        """One word: done, or why there is no number."""
        if self.runs:
            return "done"
        return self.left_out[0][1] if self.left_out else "not available" if self.missing else "not run"


def same_hash(run: tracking.Run, spec: Spec) -> bool:
    """Whether a run did exactly what a spec says."""
    return run.spec_hash in spec.hashes()


def collect(
    registry: Registry,
    resolve: Callable[[str, int], Spec],
    runs: list[tracking.Run],
    missing: dict[str, str],
    same: Callable[[tracking.Run, Spec], bool] = same_hash,
) -> dict[str, RowResults]:
    """Choose the runs that count.

    Parameters
    ----------
    registry : harness.experiment.registry.Registry
    resolve : callable
        (row, seed) to the current Spec.
    runs : list of harness.experiment.tracking.Run
        Of one data set and profile, the newest first.
    missing : dict of str to str
        Rows that are not available, see `harness.experiment.registry.unavailable`.
    same : callable
        (run, current Spec) to whether the run is still what the spec says.

    Returns
    -------
    dict of str to RowResults
        In the order of the registry. A classical row does not depend on the seed, so only its newest run counts.
    """
    newest: dict[str, dict[int, list[tracking.Run]]] = {name: {} for name in registry.rows}
    for run in runs:
        if run.row in newest:
            key = run.seed if registry.rows[run.row].method == "network" else 0
            newest[run.row].setdefault(key, []).append(run)
    return {name: _choose(name, registry.rows[name], seeds, resolve, same, missing.get(name)) for name, seeds in newest.items()}


def _choose(name, row, seeds, resolve, same, missing):
    counted, left_out = [], []
    for _, candidates in sorted(seeds.items()):
        specs = {seed: resolve(name, seed) for seed in {run.seed for run in candidates}}
        good = [run for run in candidates if run.state == "finished" and same(run, specs[run.seed])]
        if good:
            counted.append(good[0])
        else:
            last = candidates[0]
            left_out.append((last, "stale" if last.state == "finished" else last.state))
    return RowResults(name, row, counted, left_out, None if counted else missing)


def stack(results: dict[str, RowResults], table_of: Callable[[tracking.Run], pd.DataFrame]) -> pd.DataFrame:
    """The tables that `table_of` gives for each run, as one DataFrame that begins with row, seed and run_id."""
    tables = [_keyed([run], [len(table)], table) for run, table in ((run, table_of(run)) for run in runs_of(results))]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def read_all(results: dict[str, RowResults], path: str) -> pd.DataFrame:
    """A table that each run stored, as one DataFrame that begins with row, seed and run_id.

    Files of the same columns are parsed together, some at a time: a thousand parsed one by one take seconds, and at
    once a hundred MB.

    Raises
    ------
    HarnessError
        One of them is damaged.
    """
    runs = runs_of(results)
    try:
        return _read_in_parts(runs, path)
    except (OSError, ValueError) as error:  # of pandas, too
        raise HarnessError(f"a stored {path} cannot be read; harness report names the run, and what mends it") from error


def _read_in_parts(runs, path):
    tables = [table for at in range(0, len(runs), TOGETHER) for table in _read_together(runs[at : at + TOGETHER], path)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _read_together(runs: list[tracking.Run], path: str) -> Iterator[pd.DataFrame]:
    groups: dict[str, list[tuple[tracking.Run, str]]] = {}
    for run in runs:
        local = tracking.artifact(run, path)
        if local is not None:
            head, body = (local.read_text(encoding="utf-8").rstrip("\n") + "\n").split("\n", 1)
            groups.setdefault(head, []).append((run, body))
    for head, files in groups.items():
        yield _keyed(
            [run for run, _ in files],
            [body.count("\n") for _, body in files],
            pd.read_csv(StringIO("".join([head, "\n", *(body for _, body in files)]))),
        )


def made_again(run: tracking.Run) -> str:
    """What mends a run that lost what it cannot be scored from: commands to copy, but for a folder or a registry of one's own."""
    return f"mlflow runs delete --run-id {run.run_id}, then {_command(run)}, makes it again"


def _command(run: tracking.Run) -> str:
    method = run.tags.get(f"{tracking.TAG}method")
    if method == CONTROL:
        return f"harness report --controls{asked_for(run)}"
    if method in SCORED:
        folder = run.tags[f"{tracking.TAG}labels"].partition(":")[2]
        ceiling = " --ceiling" if method == CEILING else ""
        return f"harness score {run.row} {shlex.quote(folder)}{ceiling}{asked_for(run)}"
    return f"harness run {run.row}{f' --seed {run.seed}' if run.seed else ''}{asked_for(run)}"


def asked_for(run: tracking.Run) -> str:
    """The options of a command about a run: its data set and profile, where others would be taken."""
    dataset = "" if run.dataset == "synthetic" else f" --dataset {shlex.quote(run.dataset)}"
    usual = run.profile in (EXTERNAL, default_profile(run.dataset))
    return dataset if usual else f"{dataset} --profile {run.profile}"


def runs_of(results: dict[str, RowResults]) -> list[tracking.Run]:
    """Every run that counts, by row and seed."""
    return [run for result in results.values() for run in result.runs]


def _keyed(runs: list[tracking.Run], lengths: list[int], table: pd.DataFrame) -> pd.DataFrame:
    """`table` with the row, seed and id of the runs whose lines it holds one after another."""
    keys = pd.DataFrame([(run.row, run.seed, run.run_id) for run in runs], columns=["row", "seed", "run_id"])
    repeated = keys.iloc[np.repeat(np.arange(len(runs)), lengths)]
    return pd.concat([repeated.set_index(table.index), table], axis=1)
