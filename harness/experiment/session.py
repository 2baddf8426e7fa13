"""What the commands do with rows: a registry, a data set, a profile and a tracking store, checked before anything is run."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.datasets import DataSet, is_data_folder, keep_splits, open_dataset
from harness.experiment.registry import (
    EXTERNAL,
    Registry,
    check_profile,
    external,
    fitted,
    load_registry,
    resolve,
    tile_of,
    unavailable,
)
from harness.experiment.spec import DIGEST, Spec

if TYPE_CHECKING:
    from harness.experiment import results, runner, tracking


@dataclass(frozen=True)
class Session:
    """Rows of a registry on a data set under a profile.

    Attributes
    ----------
    registry : Registry
        Fitted to the data set; of `connect`, also with the external rows of the store.
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
        learned_on: "Session | None" = None,
    ) -> Iterator["runner.Outcome"]:
        """Run rows x seeds, going on where one fails; see `harness.experiment.runner.run_all`.

        With another session as `learned_on`, the networks of its data set are scored on this one's test fields; those that are
        not there yet are trained first.
        """
        from harness.experiment import runner

        specs = self._transferred(learned_on, rows, seeds) if learned_on else self.specs(rows, seeds)
        if learned_on:
            yield from learned_on.run(rows, seeds, say, workers, scheduler)
        self._keep_splits()
        yield from runner.run_all(specs, self.dataset, say, workers, scheduler)

    def _transferred(self, learned_on: "Session", rows: list[str], seeds: list[int]) -> list[Spec]:
        if learned_on.dataset.digest == self.dataset.digest:
            raise HarnessError(f"{self.dataset.name}: is both learned and scored on; leave out --learned-on")
        specs = learned_on.specs(rows, seeds)
        for spec in specs:
            if spec.method != "network":
                raise HarnessError(f"{spec.row}: learns from no data set; run it without --learned-on")
        return [spec.scored_on(self.dataset, tile_of(self.registry, self.dataset)) for spec in specs]

    def score(self, name: str, predictions: Path) -> "tracking.Run":
        """Score a folder of label images as the external row `name`."""
        from harness.experiment import runner, tracking

        spec = add_external(self, name, f"folder:{predictions}").spec(name, 0)
        self._keep_splits()
        parent = tracking.row_run(spec)
        try:
            run_id = runner.run(spec, self.dataset, lambda *_, **__: None, parent)
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
    opened = open_dataset(dataset, data_dir)
    return Session(fitted(registry, opened), opened, profile, Path(dataset) if is_data_folder(dataset) else None)


def connect(session: Session, tracking_uri: str | None = None) -> Session:
    """The session with a tracking store in use and the external rows in it, as they were scored last."""
    from harness.experiment import tracking

    tracking.connect(tracking_uri)
    scored = [run for run in _runs_on(session.dataset, EXTERNAL) if run.state == "finished"]
    for run in reversed(scored):
        row = session.registry.rows.get(run.row)
        if row and row.method != EXTERNAL:
            continue  # a row of the file has taken its name since
        session = add_external(session, run.row, run.tags["harness.labels"], run.params[f"settings.{DIGEST}"])
    return session


def add_external(session: Session, name: str, labels: str, digest: str | None = None) -> Session:
    """The session with one more row, see `harness.experiment.registry.external`."""
    registry = external(session.registry, name, labels, digest)
    return Session(registry, session.dataset, session.profile, session.folder)


def _runs_on(dataset: DataSet, profile: str) -> list["tracking.Run"]:
    """A folder's runs are known by its content, and by its name where the content has changed since.

    Runs of networks that learned on another data set are no runs of its rows, see `harness.report.transfer`.
    """
    from harness.experiment import tracking

    here = {("harness.digest", dataset.digest), ("harness.dataset", dataset.name)}
    runs = [run for run in tracking.runs_of_profile(profile) if tracking.LEARNED_ON not in run.tags]
    return [run for run in runs if here & run.tags.items()]
