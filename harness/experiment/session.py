"""What the commands do with rows: a registry, a data set, a profile and a tracking store, checked before anything is run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.datasets import DataSet, contamination, is_data_folder, keep_splits, open_dataset
from harness.experiment.registry import (
    CONTROL,
    EXTERNAL,
    SCORED,
    Registry,
    check_profile,
    external,
    load_registry,
    resolve,
    unavailable,
    with_controls,
)
from harness.experiment.spec import DIGEST, Spec

if TYPE_CHECKING:
    from harness.experiment import results, runner, tracking


CONTAMINATED = "contaminated"  # the mark of runs whose test split is


@dataclass(frozen=True)
class Session:
    """Rows of a registry on a data set under a profile.

    Attributes
    ----------
    registry : Registry
        Of `connect`, also with the external rows of the store.
    dataset : DataSet
    profile : str
    folder : Path or None
        Of a data set that is a folder.
    """

    registry: Registry
    dataset: DataSet
    profile: str
    folder: Path | None

    def spec(self, row: str, seed: int) -> Spec:
        """Everything that defines a run."""
        return resolve(self.registry, row, self.profile, self.dataset, seed)

    def specs(self, rows: list[str], seeds: list[int]) -> list[Spec]:
        """Rows x seeds, each once; a classical row has nothing random in it, so one seed says it all."""
        specs = []
        for row in dict.fromkeys(rows):
            first = self.spec(row, seeds[0])
            specs += [first, *(self.spec(row, seed) for seed in dict.fromkeys(seeds[1:]) if first.network)]
        return list({(spec.row, spec.seed): spec for spec in specs}.values())

    def run(
        self,
        rows: list[str],
        seeds: list[int],
        say: Callable,
        workers: int = 1,
        scheduler: str | None = None,
        contaminated: bool = False,
    ) -> Iterator["runner.Outcome"]:
        """Run rows x seeds, going on where one fails; see `harness.experiment.runner.run_all`.

        A contaminated test split is refused, or, where `contaminated` allows it, marked on the runs.
        """
        from harness.experiment import runner, tracking

        specs, found = self.specs(rows, seeds), self._contamination(say)
        contamination.check(self.dataset, found, contaminated)
        self._keep_splits()
        for outcome in runner.run_all(specs, self.dataset, say, workers, scheduler):
            if found:
                tracking.mark(outcome.spec, CONTAMINATED, contamination.said(found))
            yield outcome

    def _contamination(self, say: Callable) -> list[contamination.Shared]:
        """The pairs that contaminate the test split; those and all others that should be known are said."""
        found = contamination.within(self.dataset)
        for each in (*found, *contamination.known(self.dataset)):
            say(self.dataset.name, f"{each} show the same place")
        return contamination.of_test(found)

    def score(self, name: str, predictions: Path, method: str = EXTERNAL) -> "tracking.Run":
        """Score a folder of label images as the external row `name`."""
        return add_external(self, name, f"folder:{predictions}", method=method).score_row(name)

    def with_controls(self, say: Callable) -> "Session":
        """The session with the rows of the controls, scored where they are not in the store yet."""
        session = replace(self, registry=with_controls(self.registry))
        for name, row in session.registry.rows.items():
            if row.method == CONTROL:
                session.score_row(name, partial(say, name))
        return session

    def score_row(self, name: str, say: Callable = lambda *_, **__: None) -> "tracking.Run":
        """Score a row that is not run, unless that is done."""
        from harness.experiment import runner, tracking

        spec = self.spec(name, 0)
        self._keep_splits()
        parent = tracking.row_run(spec)
        try:
            run_id = runner.run(spec, self.dataset, say, parent)
        finally:
            tracking.summarise(parent)
        return tracking.get(run_id)

    def _keep_splits(self) -> None:
        if self.folder:
            keep_splits(self.dataset, self.folder)

    def runs(self) -> list["tracking.Run"]:
        """The runs of the profile and the external ones on this data set, the newest first within each."""
        return [*_runs_on(self.dataset, self.profile), *_runs_on(self.dataset, EXTERNAL)]

    def results(self) -> dict[str, "results.RowResults"]:
        """Every row with its runs, as the report would judge them."""
        from harness.experiment import results

        return results.collect(self.registry, self.spec, self.runs(), unavailable(self.registry, self.dataset))


def prepare(dataset: str, data_dir: Path | None = None, profile: str | None = None, file: Path | None = None) -> Session:
    """A session without a store: what is asked for is checked, nothing is read or run.

    Parameters
    ----------
    dataset : str
        See `harness.datasets.open_dataset`.
    data_dir : Path, optional
    profile : str, optional
        quick on synthetic fields and cpu on others when left out.
    file : Path, optional
        A registry of one's own.

    Raises
    ------
    HarnessError
        No such data set, profile or registry.
    """
    registry = load_registry(file)
    profile = check_profile(profile or ("quick" if dataset == "synthetic" else "cpu"))
    return Session(registry, open_dataset(dataset, data_dir), profile, Path(dataset) if is_data_folder(dataset) else None)


def connect(session: Session, tracking_uri: str | None = None) -> Session:
    """The session with a tracking store in use and the external rows in it, as they were scored last."""
    from harness.experiment import tracking

    tracking.connect(tracking_uri)
    scored = [run for run in _runs_on(session.dataset, EXTERNAL) if run.state == "finished"]
    for run in reversed(scored):
        row = session.registry.rows.get(run.row)
        method = run.tags["harness.method"]
        if method == CONTROL or (row and row.method not in SCORED):
            continue  # shown on request alone; a row of the file has taken its name since
        session = add_external(session, run.row, run.tags["harness.labels"], run.params[f"settings.{DIGEST}"], method)
    return session


def add_external(session: Session, name: str, labels: str, digest: str | None = None, method: str = EXTERNAL) -> Session:
    """The session with one more row, see `harness.experiment.registry.external`."""
    return replace(session, registry=external(session.registry, name, labels, digest, method))


def _runs_on(dataset: DataSet, profile: str) -> list["tracking.Run"]:
    """A folder's runs are known by its content, and by its name where the content has changed since."""
    from harness.experiment import tracking

    here = {("harness.digest", dataset.digest), ("harness.dataset", dataset.name)}
    return [run for run in tracking.runs_of_profile(profile) if here & run.tags.items()]
