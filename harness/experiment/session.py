"""What the commands do with rows: a registry, a data set, a profile and a tracking store, checked before anything is run."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.datasets import DataSet, contamination, is_at_hand, is_data_folder, keep_splits, open_dataset
from harness.datasets.stored import not_at_hand
from harness.experiment.registry import (
    CONTROL,
    EXTERNAL,
    SCORED,
    Registry,
    Row,
    check_profile,
    default_profile,
    external,
    fitted,
    load_registry,
    resolve,
    tile_of,
    unavailable,
    with_controls,
)
from harness.experiment.spec import DIGEST, Spec
from harness.method import tiles
from harness.sources import AUTO

if TYPE_CHECKING:
    from harness.experiment import results, runner, tracking


CONTAMINATED = "contaminated"  # the mark of runs whose test split is


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
        """Rows x seeds, each once and after those whose networks it needs; of a classical row one seed says it all."""
        specs = []
        for row in dict.fromkeys(rows):
            first = self.spec(row, seeds[0])
            specs += [first, *(self.spec(row, seed) for seed in dict.fromkeys(seeds[1:]) if first.network)]
        needed = [each for spec in specs for each in (*spec.lineage, spec)]
        return list({(spec.row, spec.seed): spec for spec in needed}.values())

    def run(
        self,
        rows: list[str],
        seeds: list[int],
        say: Callable,
        workers: int = 1,
        scheduler: str | None = None,
        learned_on: "Session | None" = None,
        contaminated: bool = False,
    ) -> Iterator["runner.Outcome"]:
        """Run rows x seeds, going on where one fails; see `harness.experiment.runner.run_all`.

        With another session as `learned_on`, the networks of its data set are scored on this one's test fields; those that are
        not there yet are trained first. A contaminated test split is refused, or, where `contaminated` allows it, marked on
        the runs.
        """
        from harness.experiment import runner, tracking

        specs = self._transferred(learned_on, rows, seeds) if learned_on else self.specs(rows, seeds)
        found = self._contamination(say, learned_on)
        contamination.check(self.dataset, found, contaminated)
        if learned_on:
            yield from learned_on.run(rows, seeds, say, workers, scheduler, contaminated=contaminated)
        self._keep_splits()
        published = partial(self.registry.published, dataset=self.dataset.name)
        for outcome in runner.run_all(specs, self.dataset, say, workers, scheduler, published):
            if found:
                tracking.mark(outcome.spec, CONTAMINATED, contamination.said(found))
            yield outcome

    def _transferred(self, learned_on: "Session", rows: list[str], seeds: list[int]) -> list[Spec]:
        if learned_on.dataset.digest == self.dataset.digest:
            raise HarnessError(f"{self.dataset.name}: is both learned and scored on; leave out --learned-on")
        specs = learned_on.specs(rows, seeds)
        for spec in specs:
            if spec.method != "network" or spec.refine_prediction:
                raise HarnessError(f"{spec.row}: trains no network; run it without --learned-on")
        return [spec.scored_on(self.dataset, tile_of(self.registry, self.dataset)) for spec in specs]

    def _contamination(self, say: Callable, learned_on: "Session | None") -> list[contamination.Shared]:
        """The pairs that contaminate the test split; those and all others that should be known are said."""
        elsewhere = contamination.learned(self.dataset, learned_on.dataset) if learned_on else []
        found = [*contamination.within(self.dataset), *elsewhere]
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
        except BaseException:
            with suppress(Exception):  # what has failed is to be heard
                tracking.summarise(parent, spec.title, {})
            raise
        tracking.summarise(parent, spec.title, {})
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
    registry, profile = load_registry(file), _profile(profile, dataset)
    opened = open_dataset(dataset, data_dir)
    return Session(fitted(registry, opened), opened, profile, Path(dataset) if is_data_folder(dataset) else None)


def _profile(profile: str | None, dataset: str) -> str:
    return check_profile(profile or default_profile(dataset))


def read(
    dataset: str,
    data_dir: Path | None = None,
    profile: str | None = None,
    file: Path | None = None,
    tracking_uri: str | None = None,
) -> Session:
    """A session for what only reads a store: a data set that is not at hand is taken from there, and never downloaded.

    Parameters are those of `prepare` and `connect`.

    Raises
    ------
    HarnessError
        As in `prepare` and `connect`; or the data set is neither at hand nor known to the store.
    """
    from harness.experiment import tracking

    if is_at_hand(dataset, data_dir):
        return connect(prepare(dataset, data_dir, profile, file), tracking_uri)
    registry, profile = load_registry(file), _profile(profile, dataset)
    tracking.connect(tracking_uri)
    newest = _newest(dataset, profile)
    registry = registry.model_copy(update={"tile": registry.tile or int(newest.params.get("tile", tiles.SIZE))})
    session = Session(registry, _stored(newest), profile, None)
    return connect(_with_stored_labels(session), tracking_uri)


def _newest(dataset: str, profile: str) -> "tracking.Run":
    """The newest finished run on a data set of this name."""
    from harness.experiment import tracking

    name = Path(dataset).name
    of_profile = (run for each in (profile, EXTERNAL) for run in tracking.runs_of_profile(each, tracking.called(name)))
    newest = next((run for run in of_profile if run.state == "finished" and run.dataset == name), None)
    if not newest:
        raise HarnessError(
            f"no data set '{dataset}': neither at hand nor in a finished run of profile {profile} in {tracking.shown_uri()}; "
            "give the folder, or look at bbbc039 with harness data --dataset bbbc039"
        )
    return newest


def _stored(newest: "tracking.Run") -> DataSet:
    """What a run kept of its data set; of an earlier harness, the fields it scored."""
    import pandas as pd

    from harness.experiment import tracking

    kept, scored = (tracking.artifact(newest, path) for path in (tracking.DATA, "per_field.csv"))
    try:
        if kept:
            return not_at_hand(json.loads(kept.read_text(encoding="utf-8")))
        splits = {"test": pd.read_csv(scored)["field"].astype(str) if scored else ()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:  # cut, or of another form
        raise HarnessError(
            f"run {newest.run_id} of {newest.row}: its {tracking.DATA if kept else 'per_field.csv'} is damaged, so that nobody "
            f"knows the data set {newest.dataset}; give the data set itself, with --dataset FOLDER or --data-dir, or "
            f"mlflow runs delete --run-id {newest.run_id}, and an older run is asked"
        ) from error
    return not_at_hand({"name": newest.dataset, "digest": newest.tags["harness.digest"], "splits": splits, "unannotated": ()})


def _with_stored_labels(session: Session) -> Session:
    """Where the data set is not at hand, label folders need not be, either: digests and told settings are the newest run's."""
    finished = [run for run in _runs_on(session.dataset, session.profile) if run.state == "finished"]
    params = {run.row: run.params for run in reversed(finished)}
    rows = {
        name: row.model_copy(update={"settings": row.settings | _stored_settings(row, params.get(name, {}))})
        for name, row in session.registry.rows.items()
    }
    return replace(session, registry=session.registry.model_copy(update={"rows": rows}))


def _stored_settings(row: Row, params: dict[str, str]) -> dict[str, str | int]:
    stored = {name: params[key] for name in (DIGEST, *row.settings) if (key := f"settings.{name}") in params}
    told = {name: int(value) for name, value in stored.items() if row.settings.get(name) == AUTO}
    return told | ({DIGEST: stored[DIGEST]} if DIGEST in stored else {})


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
    """A folder's runs are known by its content, and by its name where the content has changed since.

    Runs of networks that learned on another data set are no runs of its rows, see `harness.report.transfer`.
    """
    from harness.experiment import tracking

    runs = tracking.runs_on(dataset.name, dataset.digest, profile)
    return [run for run in runs if tracking.LEARNED_ON not in run.tags]
