"""What the commands do with rows: a registry, a data set, a profile and a tracking store, checked before anything is run."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.datasets import DataSet, is_data_folder, keep_splits, open_dataset
from harness.experiment.registry import EXTERNAL, Registry, check_profile, external, load_registry, resolve, unavailable
from harness.experiment.spec import DIGEST, Spec

if TYPE_CHECKING:
    from harness.experiment import results, runner, tracking


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
        self, rows: list[str], seeds: list[int], say: Callable, workers: int = 1, scheduler: str | None = None
    ) -> Iterator["runner.Outcome"]:
        """Run rows x seeds, going on where one fails; see `harness.experiment.runner.run_all`."""
        from harness.experiment import runner

        specs = self.specs(rows, seeds)
        self._keep_splits()
        yield from runner.run_all(specs, self.dataset, say, workers, scheduler)

    def score(self, name: str, predictions: Path) -> "tracking.Run":
        """Score a folder of label images as the external row `name`."""
        from harness.experiment import runner, tracking

        spec = add_external(self, name, f"folder:{predictions}").spec(name, 0)
        self._keep_splits()
        parent = tracking.row_run(spec)
        try:
            run_id = runner.run(spec, self.dataset, lambda *_, **__: None, parent)
        except BaseException:
            with suppress(Exception):  # what has failed is to be heard
                tracking.summarise(parent)
            raise
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
        if row and row.method != EXTERNAL:
            continue  # a row of the file has taken its name since
        session = add_external(session, run.row, run.tags["harness.labels"], run.params[f"settings.{DIGEST}"])
    return session


def add_external(session: Session, name: str, labels: str, digest: str | None = None) -> Session:
    """The session with one more row, see `harness.experiment.registry.external`."""
    registry = external(session.registry, name, labels, digest)
    return Session(registry, session.dataset, session.profile, session.folder)


def _runs_on(dataset: DataSet, profile: str) -> list["tracking.Run"]:
    """A folder's runs are known by its content, and by its name where the content has changed since."""
    from harness.experiment import tracking

    here = {("harness.digest", dataset.digest), ("harness.dataset", dataset.name)}
    return [run for run in tracking.runs_of_profile(profile) if here & run.tags.items()]
