"""A run, from its spec to its results: labels, training, prediction, scores, all of it recorded."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from harness.core import clock, parallel
from harness.core.errors import HarnessError
from harness.core.files import claimed
from harness.core.label_images import write_label_image
from harness.core.parallel import over_fields
from harness.datasets import DataSet
from harness.datasets.stored import described
from harness.experiment import fields, generations, tracking
from harness.experiment.registry import not_available
from harness.experiment.results import made_again
from harness.experiment.spec import Profile, Spec
from harness.network.start import load_backend
from harness.scoring import evaluation
from harness.sources import LabelSource
from harness.sources.predicted import Predicted
from harness.sources.refinements import open_steps

if TYPE_CHECKING:
    from harness.network.training import TileSet

STATES = Path("runs")
CLAIMS = Path("/tmp") / f"harness-{os.getuid()}"  # noqa: S108  the same for all jobs of a user; TMPDIR may be another one in each


class Outcome(NamedTuple):
    """How a run ended.

    Attributes
    ----------
    spec : harness.experiment.registry.Spec
    failure : str
        In words; empty where all went well.
    refused : bool
        The data set lacks what the row needs, or a file of it is bad.
    """

    spec: Spec
    failure: str = ""
    refused: bool = False


def run_all(
    specs: list[Spec],
    dataset: DataSet,
    say: Callable[..., None],
    workers: int = 1,
    scheduler: str | None = None,
    published: Callable[[str], Mapping[str, float]] = lambda _: {},
) -> Iterator[Outcome]:
    """Run specs, one after the other in this process or side by side in others; none stops those that do not need it.

    Generations follow each other: what needs the network of another spec begins when all of that generation have ended.

    Parameters
    ----------
    specs : list of harness.experiment.registry.Spec
    dataset : harness.datasets.DataSet
    say : callable
        Takes a run's name and what `run` says.
    workers : int
        Runs at a time on this machine.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the runs.
    published : callable
        From a row to its published values by metric.

    Yields
    ------
    Outcome
        Of each spec, as they end.
    """
    if scheduler:
        parallel.connect(scheduler)  # or refused before anything is recorded
    parents = {spec.row: tracking.row_run(spec) for spec in specs}
    titles = {spec.row: spec.title for spec in specs}

    def summarise(row):
        tracking.summarise(parents[row], titles[row], published(row))

    some = (
        partial(_one_by_one, dataset=dataset, say=say, parents=parents)
        if workers == 1 and not scheduler
        else partial(_side_by_side, dataset=dataset, say=say, parents=parents, workers=workers, scheduler=scheduler)
    )
    try:
        for outcome in _by_generations(specs, some):
            with suppress(Exception):  # a store that is lost has failed the run already, and may come back
                summarise(outcome.spec.row)
            yield outcome
    except BaseException:
        for row in parents:
            with suppress(Exception):  # what has failed, or who has stopped it, is to be heard
                summarise(row)
        raise


def _by_generations(specs, some):
    """`some` runs specs that need nothing of each other; one whose parent has not been finished before it is not tried."""
    ended: dict[str, Outcome] = {}
    for generation in range(1 + max((len(spec.lineage) for spec in specs), default=0)):
        ready = []
        for spec in (spec for spec in specs if len(spec.lineage) == generation):
            before = ended.get(spec.parent.hash) if spec.parent else None
            if before and before.failure:
                ended[spec.hash] = _not_tried(spec, before)
                yield ended[spec.hash]
            else:
                ready.append(spec)
        for outcome in some(ready):
            ended[outcome.spec.hash] = outcome
            yield outcome


def _not_tried(spec, before):
    return Outcome(spec, f"not run, since it needs the network of {spec.parent.name}, which was not finished", before.refused)


def _one_by_one(specs, dataset, say, parents):
    for spec in specs:
        yield _outcome(spec, dataset, partial(say, spec.name), parents[spec.row])


def _side_by_side(specs, dataset, say, parents, workers, scheduler):
    with parallel.listening(say, scheduler) as lines:
        for method in ("classical", "network"):
            tasks = [(spec, dataset, tracking.uri(), parents[spec.row], lines) for spec in specs if spec.method == method]
            yield from parallel.as_they_end(_in_worker, tasks, _lost, workers, scheduler, gpu=method == "network")


def _in_worker(spec, dataset, uri, parent, lines):
    tracking.connect(uri)
    return _outcome(spec, dataset, lambda line, passing=False: lines.put((spec.name, line, passing)), parent)


def _outcome(spec, dataset, say, parent):
    """In words, since not every library's errors can be sent from one process to another."""
    try:
        run(spec, dataset, say, parent)
    except HarnessError as error:
        words = str(error).removeprefix(f"{spec.name}: ").removeprefix(f"{spec.called}: ")  # the outcome names the run
        return Outcome(spec, words, refused=True)
    except Exception as error:  # noqa: BLE001  one run's fault must not end the others
        return Outcome(spec, tracking.without_password(f"failed: {type(error).__name__}: {error}"))
    return Outcome(spec)


def _lost(spec, *_):
    return Outcome(spec, "failed: its process was killed again and again; the same command goes on from the last epoch")


def run(spec: Spec, dataset: DataSet, say: Callable[..., None], parent: str) -> str:
    """Do what a spec says, unless a finished run of the same spec is already there.

    Parameters
    ----------
    spec : harness.experiment.registry.Spec
    dataset : harness.datasets.DataSet
    say : callable
        Takes a line about the progress, `passing=True` where the next one replaces it.
    parent : str
        Id of the row's run, see `tracking.row_run`.

    Returns
    -------
    str
        Id of the MLflow run.

    Raises
    ------
    HarnessError
        The data set lacks what the row needs, or a file of it is bad.
    """
    with claimed(_claim(spec), f"{spec.name}: another process on this machine is running it; wait for it or stop it"):
        finished = tracking.find(spec)
        if finished:
            say(f"done before, run {finished.run_id[:8]}")
            return finished.run_id
        missing = not_available(spec, dataset)
        if missing:
            raise HarnessError(f"{spec.called}: not available, {missing}")
        given = generations.parents_run(spec) if spec.parent and not spec.learned_on else None
        with tracking.record(spec, parent, given) as active:
            timings: dict[str, float] = {}
            if spec.refine_prediction:
                predictions = _refine(spec, dataset, given, say)
            else:
                predict = _transfer if spec.learned_on else _learn if spec.method == "network" else _identify
                predictions = predict(spec, dataset, timings, say)
            _score(spec, dataset, predictions, timings, say)
            return active.info.run_id


def _claim(spec: Spec) -> Path:
    """The lock of a spec in a store: whoever does not hold it must not touch the run that MLflow has of it."""
    CLAIMS.mkdir(mode=0o700, exist_ok=True)
    if CLAIMS.lstat().st_uid != os.getuid():
        raise HarnessError(f"{CLAIMS}: belongs to another user, and claims of runs must lie there; have it removed")
    store = hashlib.sha256(f"{tracking.uri()} {spec.hash}".encode()).hexdigest()[:16]
    return CLAIMS / f"{store}.lock"


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    started = clock.read()
    yield
    timings |= dict(zip((stage, f"{stage}_cpu", f"{stage}_others"), clock.since(started), strict=True))


# Classical rows: the label images are the prediction.


def _identify(spec, dataset, timings, say):
    names = dataset.splits["test"]
    say(f"{spec.labels}: {len(names)} fields")
    with _timed(timings, "labels"):
        labels = list(over_fields(partial(clock.timed, fields.labels_of, dataset, spec.source), names))
    timings["label_field"] = _median(seconds for _, seconds in labels)
    return [partial(evaluation.from_labels, labelled, spec.tile) for (labelled, _), _ in labels]


# Network rows: the label images are what the network learns from.


def _learn(spec, dataset, timings, say):
    say(f"{spec.labels}: labels of the training and validation fields")
    load_backend(spec.schedule.threads)
    say(f"computing on the {_device()} ({spec.backend}, {spec.schedule.precision}, {spec.schedule.threads} threads)")
    with _timed(timings, "labels"):
        source = generations.labels_of(spec, dataset, STATES, say)
        training, validation = (labelled_tiles(dataset, split, source, spec.tile) for split in ("training", "validation"))
    model, history, best = _train(spec, training, validation, say)
    timings |= _training_times(history, spec.schedule.steps_per_epoch)
    if devices := dict.fromkeys(epoch["device"] for epoch in history if "device" in epoch):
        tracking.mark(spec, "trained_on", ", ".join(devices))
    tracking.log_model(model, spec, dataset.read_image(dataset.splits["test"][0]), best["val_loss"])
    say(f"best epoch {best['epoch']}; predicting the test fields")
    return _predict_all(model, dataset, timings)


def _transfer(spec, dataset, timings, say):
    """The network of the same row on another data set, which `Session.run` has trained."""
    trained = tracking.find(spec.learned_on)
    if not trained:
        raise HarnessError(f"{spec.name}: there is no finished run of {spec.learned_on.name} on {spec.learned_on.dataset}")
    load_backend(spec.schedule.threads)
    model = _with_tiles_of(spec, tracking.load_network(trained.run_id))
    say(f"the network of run {trained.run_id[:8]}; predicting the test fields of {dataset.name}")
    return _predict_all(model, dataset, timings)


def _with_tiles_of(spec, model):
    """A network of the same weights whose tiles are those of the data set that it is scored on."""
    from harness.network.inference import side_of
    from harness.network.unet import unet

    if side_of(model) == spec.tile:
        return model
    other = unet(**spec.network.model_dump(), size=spec.tile, precision=spec.schedule.precision)
    other.set_weights(model.get_weights())
    return other


def _predict_all(model, dataset, timings):
    with _timed(timings, "prediction"):
        predicted = [_predict(model, dataset.read_image(name)) for name in dataset.splits["test"]]
    timings["tile"] = _median(seconds for _, seconds in predicted)
    return [prediction for prediction, _ in predicted]


def _training_times(history, steps):
    """An epoch that an earlier version trained has the time of all of it alone."""
    names = {"training": "seconds", "training_cpu": "cpu_seconds", "training_others": "other_seconds"}
    times = {name: sum(epoch[key] for epoch in history) for name, key in names.items() if all(key in epoch for epoch in history)}
    trained = [epoch["train_seconds"] / steps for epoch in history if "train_seconds" in epoch]
    return times | ({"train_step": _median(trained)} if trained else {})


def _median(seconds):
    return float(np.median(list(seconds)))


def _device() -> str:
    from harness.network.backend import device

    return device()


def labelled_tiles(dataset: DataSet, split: str, source: LabelSource, side: int) -> "TileSet":
    """Tiles of a split with the class maps that a label source gives them; a `TileSet`."""
    from harness.network.training import TileSet

    make = partial(fields.tiles_of, dataset, source, side)
    images, class_maps = zip(*over_fields(make, dataset.splits[split]), strict=True)
    return TileSet(np.concatenate(images), np.concatenate(class_maps))


def _train(spec: Spec, training: "TileSet", validation: "TileSet", say: Callable[..., None]):
    from harness.network import states
    from harness.network.training import Schedule, train

    assert spec.schedule  # noqa: S101  as every network row
    assert spec.loss  # noqa: S101
    curves = tracking.curves()
    model, history = train(
        training,
        validation,
        Schedule(**spec.schedule.model_dump()),
        spec.network.model_dump() if spec.network else {},
        spec.seed,
        _states(spec),
        spec.loss,
        partial(_on_epoch, spec.schedule, curves, say),
        partial(_on_step, spec.schedule, say),
        say,
    )
    for epoch in history:
        curves(epoch)
    best = states.best(history)
    tracking.log_results(
        {"best_epoch": best["epoch"], "best_val_loss": best["val_loss"]},
        {},
        lambda folder: pd.DataFrame(history).drop(columns="device", errors="ignore").to_csv(folder / "history.csv", index=False),
    )
    return model, history, best


def _on_epoch(schedule: Profile, curves: Callable[[dict], None], say: Callable[..., None], epoch: dict) -> None:
    curves(epoch)
    say(
        f"epoch {epoch['epoch']}/{schedule.epochs}: loss {epoch['loss']:.4f}, "
        f"validation {epoch['val_loss']:.4f}, {epoch['seconds']:.0f} s"
    )


def _on_step(schedule: Profile, say: Callable[..., None], moment) -> None:
    say(
        f"epoch {moment.epoch}/{schedule.epochs}, step {moment.step}/{schedule.steps_per_epoch}: "
        f"loss {moment.loss:.4f}, {moment.tiles_per_second:.1f} tiles/s, "
        f"{timedelta(seconds=round(moment.seconds_left))} left",
        passing=True,
    )


def _states(spec: Spec) -> Path:
    """The folder of a training's states, also where an earlier version named it."""
    folders = [STATES / name for name in spec.training_hashes()]
    return next((folder for folder in folders if folder.exists()), folders[0])


def _predict(model, image):
    from harness.network.inference import predict_field

    started = time.perf_counter()
    tile_maps, field_map = predict_field(model, image)
    return partial(evaluation.from_class_maps, tile_maps, field_map), (time.perf_counter() - started) / len(tile_maps)


# Rows that refine a prediction: it is there, in the run of the row whose network made it.


def _refine(spec, dataset, given, say):
    say(f"refining the prediction of {spec.parent.name}, run {given.run_id[:8]}")
    folder = tracking.artifact(given, "predictions/nuclei")
    if folder is None:
        raise HarnessError(f"run {given.run_id} of {given.row}: has no stored predictions; {made_again(given)}")
    steps = open_steps(spec.refine_prediction, Predicted())
    return [partial(fields.refined, dataset, name, steps, folder, spec.tile) for name in dataset.splits["test"]]


# All: score, and keep what was scored.


def _score(spec, dataset, predictions, timings, say):
    names = dataset.splits["test"]
    say(f"scoring {len(names)} fields")
    with _timed(timings, "scoring"):
        scored = list(over_fields(partial(fields.score, dataset), names, predictions))
    finished, scores, seconds = (dict(zip(names, column, strict=True)) for column in zip(*scored, strict=True))
    timings["postprocess_field"] = _median(seconds.values())
    tables = evaluation.tables(scores)

    def write_files(folder):
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
        write_predictions(folder, finished)
        (folder / tracking.DATA).write_text(json.dumps(described(dataset), indent=1), encoding="utf-8")

    tracking.log_results(evaluation.totals(tables), timings, write_files, spec)


def write_predictions(folder: Path, predictions: dict[str, evaluation.Prediction]) -> None:
    """Write `predictions/<kind>/<field>.png` for what a `Prediction` keeps, by the names of the fields."""
    for name, prediction in predictions.items():
        for path, array in {"nuclei/{}": prediction.nuclei, **prediction.kept}.items():
            write_label_image(folder / "predictions" / f"{path.replace('{}', name)}.png", array)
