"""Everything MLflow: where runs are kept, how one is written, and how runs are found again."""

import json
import logging
import math
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any, NamedTuple

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from harness import __version__
from harness.core.errors import HarnessError
from harness.core.machine import machine
from harness.core.markdown import escape
from harness.experiment import descriptions
from harness.experiment.spec import Spec

if TYPE_CHECKING:
    import keras
    import numpy as np

DEFAULT_URI = "sqlite:///mlflow.db"
FILE = "sqlite:///"
SERVERS = ("http://", "https://")
DATABASES = ("postgresql", "mysql", "mssql")
# Passwords in addresses; one of a user goes up to the last @, since people do not always write / and @ as %2F and %40.
OF_USERS = r"(://[^/\s:@]*:)(\S*)@"
OF_QUERIES = r"(?i)([?&][\w.-]*(?:password|passwd|pwd|token|secret)=)[^&\s]+"
TAG = "harness."
OF_SEEDS = f"tags.`{TAG}spec_hash` != ''"  # in MLflow's search: the runs of seeds, not those of rows
LEARNED_ON = f"{TAG}learned_on"  # of a run whose network was trained on another data set: its name
PARENT = "mlflow.parentRunId"
DESCRIPTION = "mlflow.note.content"
KIND = {"mlflow.experimentKind": "custom_model_development"}  # else MLflow's pages guess
RESUMABLE = ("running", "failed", "killed", "scheduled")
DATA = "data.json"  # artefact of a run: its data set without the pixels, see `harness.datasets.stored`
CURVES = ("loss", "val_loss", "learning_rate")
RETRIES = "4"  # half a minute; MLflow itself would ask a lost server for more than four
ALIKE = ("row_hash",)  # the same in versions of a model whose validation losses can be compared: the seeds of a spec
DIGEST_LENGTH = 36  # characters; MLflow refuses a longer digest of a data set


class Run(NamedTuple):
    """A run as the report and the resuming of work see it.

    Attributes
    ----------
    row, profile, dataset, spec_hash, run_id : str
    seed : int
    state : str
        "finished", "failed", "running" or "killed"; the report sets "stale" where the spec has changed since.
    metrics : dict of str to float
    tags, params : dict of str to str
    artifacts : str
        Address of the run's artefacts; see `artifact`.
    ended : int or None
        Milliseconds since 1970, as MLflow has it.
    """

    row: str
    seed: int
    run_id: str
    profile: str
    dataset: str
    spec_hash: str
    state: str
    metrics: dict
    tags: dict
    params: dict
    artifacts: str
    ended: int | None = None


def connect(uri: str | None = None) -> str:
    """Use a tracking store, making its database where there is none yet.

    Parameters
    ----------
    uri : str, optional
        MLflow tracking URI; the variable MLFLOW_TRACKING_URI or `DEFAULT_URI` when left out.

    Raises
    ------
    HarnessError
        The store cannot be reached or written.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", RETRIES)
    uri = _absolute(uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)
    if uri.startswith(FILE) and "?" in uri:
        raise HarnessError(without_password(f"tracking store {uri}: a file takes no settings; leave out what begins with ?"))
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        _ask(uri)
        if uri.startswith(FILE):
            _make_store(Path(uri.removeprefix(FILE)))
        mlflow.set_tracking_uri(uri)
        mlflow.search_experiments(max_results=1)
    except Exception as error:  # every kind of store fails in its own way, and all of them mean the same to people
        raise HarnessError(
            without_password(
                f"tracking store {uri} cannot be reached ({_reason(error, uri)}); "
                "check the address or give another one with --tracking-uri"
            )
        ) from error
    return uri


def _make_store(database: Path) -> None:
    """Make a new store beside its place: one that was half made when the disk filled could never be opened again."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    if database.exists():
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as there:
            there.execute("PRAGMA schema_version")  # MLflow itself asks what is no database again for 90 s
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent, prefix=f".{database.name}-") as beside:
        new = Path(beside) / database.name
        SqlAlchemyStore(f"{FILE}{new}", str(database.parent / "mlruns")).engine.dispose()
        with suppress(FileExistsError):  # another process was faster
            os.link(new, database)


def uri() -> str:
    """The store in use, for another process to `connect` to."""
    return mlflow.get_tracking_uri()


def shown_uri() -> str:
    """The store in use, as people may read it."""
    return without_password(uri())


def _absolute(uri: str) -> str:
    """MLflow keeps a store open under its address, so the address must not depend on the working folder."""
    path = uri.removeprefix(FILE)
    return uri if path == uri else f"{FILE}{Path(path).resolve()}"


def without_password(text: str) -> str:
    """A text with the passwords and tokens of addresses in it starred out.

    Examples
    --------
    >>> without_password("postgresql://me:se/cr@t@host/x?sslpassword=abc&a=1")
    'postgresql://me:***@host/x?sslpassword=***&a=1'
    """
    return re.sub(OF_QUERIES, r"\1***", re.sub(OF_USERS, r"\1***@", text))


def _reason(error: Exception, uri: str) -> str:
    """Why a store cannot be reached; libraries quote what they took for a host, which may be the rest of a password."""
    password = re.search(OF_USERS, uri)
    if password and re.search("[/@?#]", password[2]):
        return f"{type(error).__name__}; in a password / @ ? and # are written %2F, %40, %3F and %23"
    return getattr(error, "strerror", None) or (str(error).strip() or type(error).__name__).splitlines()[0]


def _ask(uri: str) -> None:
    """MLflow itself asks a dead server or database again for minutes."""
    if uri.startswith(SERVERS):
        import requests

        requests.get(uri.rstrip("/") + "/health", timeout=5).raise_for_status()
    elif uri.startswith(DATABASES):
        from sqlalchemy import create_engine

        create_engine(uri).connect().close()


def suite(name: str) -> AbstractContextManager:
    """The run that `mlflow run` made when it started this program, open meanwhile; nothing otherwise.

    It stands folded over all others in MLflow's list, so it is called `name` where MLflow made a name up.
    """
    adopted = os.environ.pop("MLFLOW_RUN_ID", None)  # left there, it would be taken for every row's run, too
    if not adopted:
        return nullcontext()
    try:
        run = mlflow.start_run(run_id=adopted)
    except MlflowException as error:
        raise HarnessError(
            without_password(f"MLFLOW_RUN_ID={adopted}: names no run of {uri()} to go on with ({error}); ")
            + "unset it, or give the store of that run with --tracking-uri"
        ) from error
    if _is_made_up(run.info.run_name or ""):
        mlflow.set_tag("mlflow.runName", name)
    return run


def _is_made_up(name: str) -> bool:
    """Whether MLflow named a run, `amazing-fox-12`, since nobody else did."""
    from mlflow.utils.name_utils import _GENERATOR_NOUNS, _GENERATOR_PREDICATES

    words = name.split("-")
    return len(words) == 3 and words[0] in _GENERATOR_PREDICATES and words[1] in _GENERATOR_NOUNS


def _experiment(name: str) -> str:
    known = mlflow.get_experiment_by_name(name)
    if known:
        return known.experiment_id
    try:
        return mlflow.create_experiment(name, _artifact_location(mlflow.get_tracking_uri(), name), KIND)
    except MlflowException:  # another process made it in between
        known = mlflow.get_experiment_by_name(name)
        if not known:
            raise
        return known.experiment_id


def _artifact_location(uri: str, name: str) -> str | None:
    """A server knows where artefacts go. Those of a file stand beside it, those of a database in the working folder."""
    if uri.startswith(SERVERS):
        return None
    beside = Path(uri.removeprefix(FILE)).parent if uri.startswith(FILE) else Path.cwd()
    return (beside / "mlartifacts" / name).as_uri()


def row_run(spec: Spec) -> str:
    """The run of a row, under which the runs of its seeds stand; made where there is none.

    For the process that hands out the work: two that ask at the same time would make two.

    Parameters
    ----------
    spec : harness.experiment.spec.Spec
        Of any seed.

    Returns
    -------
    str
        Run id, for `record` and `summarise`.
    """
    client = mlflow.MlflowClient()
    found = next(_tagged("row_hash", spec.hashes("seed")), None)
    run_id = found.info.run_id if found else _new_row_run(spec)
    client.update_run(run_id, status="RUNNING")
    known = find(spec)
    if known and PARENT not in known.tags:  # of a harness that had no runs of rows
        client.set_tag(known.run_id, PARENT, run_id)
    return run_id


def _new_row_run(spec: Spec) -> str:
    started_by = mlflow.active_run()
    experiment = started_by.info.experiment_id if started_by else _experiment(f"{spec.dataset}-{spec.profile}")
    tags = _tags(spec, ("row", "profile", "dataset", "labels", "method", "digest", "row_hash"))
    with mlflow.start_run(experiment_id=experiment, run_name=spec.called, nested=True, tags=tags) as run:
        mlflow.log_params({key: value for key, value in _flat(spec).items() if key != "seed"})
        _log_data(spec)
        return run.info.run_id


def summarise(row_run_id: str, title: str, published: Mapping[str, float]) -> None:
    """Log what the finished seeds come to on a row's run, which ends finished when all of them are.

    Its description becomes the row's table, with the published values. Of each metric the mean is logged under its own name,
    and below it, as `NAME/sd`, `/n`, `/low` and `/high`, the sample standard deviation, the number of seeds and, from two seeds
    on, Student's 95 % interval of the mean over seeds.
    """
    seeds = runs(f"{OF_SEEDS} and tags.`{PARENT}` = '{row_run_id}'")
    finished, states = [run.metrics for run in seeds if run.state == "finished"], {run.state for run in seeds}
    names = {name for metrics in finished for name in metrics if name not in CURVES}
    told = {"seeds": float(len(finished))}
    for name in names:
        told |= _over_seeds(name, [metrics[name] for metrics in finished if name in metrics])
    mlflow.log_metrics(told, run_id=row_run_id)
    mlflow.MlflowClient().set_tag(row_run_id, DESCRIPTION, descriptions.of_row(title, told, published))
    status = "FINISHED" if states == {"finished"} else "RUNNING" if "running" in states else "FAILED"
    ended = max((run.ended for run in seeds if run.ended), default=None)  # not now, where all was done before
    mlflow.MlflowClient().set_terminated(row_run_id, status, ended)
    _end_twins(row_run_id)


def _end_twins(row_run_id: str) -> None:
    """Of the same row, and nothing below them: a server may make a run for a process that was killed while it asked."""
    row_hash = mlflow.get_run(row_run_id).data.tags[f"{TAG}row_hash"]
    for twin in _search(f"tags.`{TAG}row_hash` = '{row_hash}' and attributes.status = 'RUNNING'"):
        twin_id = twin.info.run_id
        if twin_id != row_run_id and not runs(f"{OF_SEEDS} and tags.`{PARENT}` = '{twin_id}'"):
            mlflow.MlflowClient().set_terminated(twin_id, "KILLED")


def _over_seeds(name: str, values: list[float]) -> dict[str, float]:
    from scipy.stats import t

    mean, n = fmean(values), len(values)
    told = {name: mean, f"{name}/n": float(n)}
    if n == 1:
        return told
    sd = stdev(values)
    half = float(t.ppf(0.975, n - 1)) * sd / math.sqrt(n)
    return told | {f"{name}/sd": sd, f"{name}/low": mean - half, f"{name}/high": mean + half}


@contextmanager
def record(spec: Spec, parent: str, given: Run | None = None) -> Iterator[mlflow.ActiveRun]:
    """Open the run of a spec, the one that was interrupted if there is one; it ends finished or failed.

    Parameters
    ----------
    spec : harness.experiment.spec.Spec
    parent : str
        Id of the row's run, see `row_run`.
    given : Run, optional
        Of another row: the one whose network this one takes.

    Yields
    ------
    mlflow.ActiveRun
    """
    interrupted = find(spec, RESUMABLE)
    tags = _tags(spec, ("row", "seed", "profile", "dataset", "labels", "method", "digest"))
    tags |= {f"{TAG}spec_hash": spec.hash, PARENT: parent}
    tags |= {f"{TAG}network_run": given.run_id} if given else {}
    tags |= {f"{TAG}{key}": value for key, value in machine().items()}
    where: dict[str, Any] = (
        {"run_id": interrupted.run_id} if interrupted else {"experiment_id": mlflow.get_run(parent).info.experiment_id}
    )  # the pages of MLflow nest within an experiment
    name = f"{spec.called} · seed {spec.seed}"
    # Tags come with the run: one that is killed before it has any would never be found.
    with mlflow.start_run(**where, run_name=name, tags=tags, nested=True, log_system_metrics=True) as run:
        mlflow.set_tag(PARENT, parent)  # MLflow has put it below the run that `mlflow run` made
        known = mlflow.get_run(run.info.run_id).data.params  # MLflow refuses other values, of a folder that was moved
        mlflow.log_params({name: value for name, value in _flat(spec).items() if name not in known})
        _log_data(spec)
        mlflow.log_dict(spec.model_dump(), "spec.json")
        try:
            yield run
            if f"{TAG}failure" in mlflow.get_run(run.info.run_id).data.tags:  # of an earlier try
                mlflow.delete_tag(f"{TAG}failure")
        except BaseException as error:
            with suppress(MlflowException):  # the store may be what has failed
                mlflow.set_tag(f"{TAG}failure", without_password(f"{type(error).__name__}: {error}")[:500])
            raise


def _tags(spec: Spec, names: tuple[str, ...]) -> dict[str, str]:
    """A title is what MLflow shows as a run's description, in Markdown."""
    learned = {LEARNED_ON: spec.learned_on.dataset} if spec.learned_on else {}
    said = {f"{TAG}version": __version__, f"{TAG}title": spec.title, DESCRIPTION: escape(spec.title)}
    return {f"{TAG}{name}": str(getattr(spec, name)) for name in names} | said | learned


def _flat(spec: Spec) -> dict:
    """Without what a row does not have: a classical one has no network and no schedule."""
    values: dict[str, object] = {}
    learned = {"learned_on": spec.learned_on.digest} if spec.learned_on else {}
    for key, value in (spec.model_dump(exclude_none=True, exclude={"title", "parent", "learned_on"}) | learned).items():
        values |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
    if spec.parent:
        values["parent"] = spec.parent.row
    return values


def _log_data(spec: Spec) -> None:
    """MLflow's own digest of arrays is of their first 10,000 numbers; this one is of every file."""
    data = _data(spec)
    context = "training, validation, test" if spec.method == "network" and not spec.learned_on else "test"
    try:
        mlflow.log_input(data, context=context)
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        mlflow.log_input(data, context=context)  # another process made its entry in between, which is now found


def _data(spec: Spec) -> MetaDataset:
    source = CodeDatasetSource({"mlflow.source.name": f"harness data --dataset {spec.dataset}"})
    return MetaDataset(  # type: ignore[abstract]  # MLflow itself makes them so
        source, name=spec.dataset, digest=spec.digest[:DIGEST_LENGTH]
    )


def _active() -> mlflow.ActiveRun:
    run = mlflow.active_run()
    assert run, "called within `record`"  # noqa: S101
    return run


def curves() -> Callable[[dict], None]:
    """A function that logs an epoch's history record to the active run, unless that epoch is there already."""
    run_id = _active().info.run_id
    logged = {point.step for point in mlflow.MlflowClient().get_metric_history(run_id, "val_loss")}

    def log(record):
        if record["epoch"] not in logged:
            logged.add(record["epoch"])
            mlflow.log_metrics({key: record[key] for key in CURVES}, step=record["epoch"])

    return log


def log_results(
    metrics: dict[str, float], timings: dict[str, float], write_files: Callable[[Path], object], scored_on: Spec | None = None
) -> None:
    """Log what a run came to.

    Parameters
    ----------
    metrics : dict of str to float
        Undefined ones (NaN: a class that no field holds) are left out.
    timings : dict of str to float
        Seconds per stage.
    write_files : callable
        Writes the artefacts into the folder it is given.
    scored_on : harness.experiment.spec.Spec, optional
        Whose data set the metrics are of: MLflow then links them with it, and with the run's network if it has one.
    """
    defined = {name: value for name, value in metrics.items() if not math.isnan(value)}
    if scored_on:
        outputs = mlflow.get_run(_active().info.run_id).outputs
        models = [model.model_id for model in outputs.model_outputs] if outputs else []
        mlflow.log_metrics(defined, dataset=_data(scored_on), model_id=models[-1] if models else None)
    else:
        mlflow.log_metrics(defined)
    mlflow.log_metrics({f"seconds_{name}": value for name, value in timings.items()})
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        (Path(folder) / "timings.json").write_text(json.dumps(timings, indent=1))
        mlflow.log_artifacts(folder)


def add_metrics(run: Run, metrics: dict[str, float]) -> None:
    """Log what was found later on the run of the row that a run belongs to."""
    now = int(time.time() * 1000)
    logged = [mlflow.entities.Metric(name, value, now, 0) for name, value in metrics.items()]
    mlflow.MlflowClient().log_batch(run.tags.get(PARENT, run.run_id), metrics=logged)


def add_files(run: Run, folder: Path, path: str) -> None:
    """Keep what was worked out later, the files of a folder, with a run under `path`."""
    mlflow.MlflowClient().log_artifacts(run.run_id, str(folder), path)
    _fetched.cache_clear()  # what was fetched before may be what this replaces


def mark(spec: Spec, name: str, text: str) -> None:
    """Tag the runs of a spec, whenever they were made."""
    for run in list(_tagged("spec_hash", spec.hashes())):
        mlflow.MlflowClient().set_tag(run.info.run_id, f"{TAG}{name}", text)


def log_model(model: "keras.Model", spec: Spec, image: "np.ndarray", val_loss: float) -> None:
    """Log a trained network so that `mlflow.pyfunc.load_model` gives a function of images, and register it by its row.

    Parameters
    ----------
    model : keras.Model
        From normalised tiles to class probabilities.
    spec : harness.experiment.spec.Spec
    image : (H, W) ndarray
        A field, of which a corner is kept as the example of an input.
    val_loss : float
        Of these weights; by it, never by scores on the test fields, the alias `best` is given.
    """
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    # MLflow refuses every dtype but the signature's; objects of no shape are its way to let any array through.
    signature = ModelSignature(Schema([TensorSpec(np.dtype(object), (-1,))]), Schema([TensorSpec(np.dtype(np.int32), (-1, -1))]))
    packages = ("keras", "tensorflow", "numpy", "numba", "scipy")
    about = {key: str(getattr(spec, key)) for key in ("dataset", "profile", "seed", "labels", *ALIKE)} | {
        "val_loss": repr(val_loss)
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        model.save(path)
        logged = mlflow.pyfunc.log_model(
            name="model",
            loader_module="harness.network.segmenter",
            data_path=str(path),
            code_paths=[str(Path(__file__).parents[1])],
            signature=signature,
            input_example=image[:128, :128],
            pip_requirements=[f"{name}=={version(name)}" for name in packages],
            tags=about,
        )
    _register(logged, spec, about)


def _register(logged, spec: Spec, about: dict[str, str]) -> None:
    """By the client: `mlflow.register_model` prints. The newest version is `models:/NAME/latest` anyway."""
    client = mlflow.MlflowClient()
    try:
        client.create_registered_model(spec.row, description=escape(spec.title))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(spec.row, logged.model_uri, _active().info.run_id, about, model_id=logged.model_id)
    versions = client.search_model_versions(f"name = '{spec.row}'")
    alike = [each for each in versions if all(each.tags.get(key) == about[key] for key in ALIKE)]
    best = min(alike, key=lambda each: float(each.tags["val_loss"]))
    client.set_registered_model_alias(spec.row, "best", best.version)


def log_report(folder: Path) -> None:
    """Keep a report with the run that `mlflow run` made, whose folder may be gone afterwards, and describe the run by it."""
    if mlflow.active_run():
        mlflow.log_artifacts(str(folder), "report")
        (text,) = folder.glob("*.md")
        (whole,) = list(folder.glob("*.html")) or [text]  # the report over data sets is no page
        mlflow.set_tag(DESCRIPTION, descriptions.of_report(text.read_text(encoding="utf-8"), f"report/{whole.name}"))


def load_network(uri: str) -> "keras.Model":
    """The trained network of a run or of a registered model.

    Parameters
    ----------
    uri : str
        A run id, "runs:/ID" or "models:/NAME/VERSION".

    Returns
    -------
    keras.Model
        From (N, S, S, 1) normalised tiles to (N, S, S, 3) class probabilities; not compiled.

    Raises
    ------
    HarnessError
        There is no such run or model in the tracking store, or it holds no network, or one that is damaged or holds code.
    """
    import keras

    uri = uri if "/" in uri else f"runs:/{uri}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = f"{uri}/model" if uri.startswith("runs:/") else uri
            fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=path, dst_path=folder))
            file = next(fetched.rglob("*.keras"))
        except (MlflowException, OSError, StopIteration) as error:
            raise HarnessError(
                without_password(f"{uri}: no trained network in {mlflow.get_tracking_uri()}; ")
                + "give the id of a finished network run or models:/NAME/VERSION"
            ) from error
        try:
            return keras.saving.load_model(file, compile=False, safe_mode=True)  # no code of the file is run
        except Exception as error:  # of zip files, JSON, HDF5, and of whatever Keras finds in them
            raise HarnessError(
                f"{uri}: its network cannot be read ({type(error).__name__}); it is damaged, or holds code, which is not run: "
                "give another version, or delete the run and run its row again"
            ) from error


def about_network(uri: str) -> tuple[str, dict[str, str]]:
    """The row of a network that `load_network` gives, and what it was trained on and by, for people."""
    run = get(mlflow.models.get_model_info(uri).run_id if uri.startswith("models:/") else uri.removeprefix("runs:/"))
    about = {"row": f"{run.row}, seed {run.seed}", "title": run.tags.get(f"{TAG}title") or run.tags.get(DESCRIPTION, "")}
    about |= {"trained on": f"labels of {run.tags.get(f'{TAG}labels')}, {run.dataset}, profile {run.profile}"}
    return run.row, about | {"digest of the data": run.tags.get(f"{TAG}digest", ""), "run": run.run_id}


def find(spec: Spec, states: tuple[str, ...] = ("finished",)) -> Run | None:
    """The newest run of a spec in one of the given states, in whatever experiment; None if there is none."""
    return next((run for run in map(_run, _tagged("spec_hash", spec.hashes())) if run.state in states), None)


def get(run_id: str) -> Run:
    """A run by its id."""
    return _run(mlflow.get_run(run_id))


def known(run_id: str) -> Run | None:
    """A run by its id; None where there is none."""
    try:
        return get(run_id)
    except MlflowException:
        return None


def _tagged(tag: str, values: tuple[str, ...]) -> Iterator[mlflow.entities.Run]:
    """Runs one of whose tags is one of some values; MLflow's search knows no such thing of tags."""
    for value in values:
        yield from _search(f"tags.`{TAG}{tag}` = '{value}'")


def runs(filter_string: str = OF_SEEDS) -> list[Run]:
    """Every run of the harness in the store, the newest first.

    Parameters
    ----------
    filter_string : str
        MLflow's search syntax.

    Returns
    -------
    list of Run
    """
    return [_run(run) for run in _search(filter_string)]


def runs_of_profile(profile: str, *conditions: str) -> list[Run]:
    """The runs of a profile that meet further conditions of MLflow's search, of whatever data set, the newest first."""
    return runs(" and ".join((OF_SEEDS, f"tags.`{TAG}profile` = '{profile}'", *conditions)))


def runs_on(dataset: str, digest: str, profile: str) -> list[Run]:
    """The runs of a profile on a data set, the newest first: those on its content, then those on another one under its name."""
    by_content = runs_of_profile(profile, f"tags.`{TAG}digest` = '{digest}'")
    by_name = runs_of_profile(profile, f"tags.`{TAG}digest` != '{digest}'", called(dataset))
    return [*by_content, *(run for run in by_name if run.dataset == dataset)]


def called(dataset: str) -> str:
    """A condition of MLflow's search: the name of the data set, or one like it, since a quote in it cannot be escaped there."""
    return f"tags.`{TAG}dataset` LIKE '" + re.sub(r"\W", "_", dataset) + "'"


def _search(filter_string: str) -> Iterator[mlflow.entities.Run]:
    experiments = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    token = None
    while token != "":  # in small pages: a page of 1000 runs takes over 500 MB
        page = mlflow.MlflowClient().search_runs(
            experiments,
            filter_string,
            ViewType.ACTIVE_ONLY,
            max_results=200,
            order_by=["attributes.start_time DESC"],
            page_token=token,
        )
        yield from page
        token = page.token or ""


def _run(run: mlflow.entities.Run) -> Run:
    tags = run.data.tags
    own = {key: tags.get(TAG + key, "") for key in ("row", "profile", "dataset", "spec_hash")}
    metrics = {name: value for name, value in run.data.metrics.items() if not name.startswith("system/")}
    return Run(
        **own,
        seed=int(tags.get(f"{TAG}seed", 0)),
        run_id=run.info.run_id,
        metrics=metrics,
        state=run.info.status.lower(),
        tags=tags,
        params=dict(run.data.params),
        artifacts=run.info.artifact_uri,
        ended=run.info.end_time,
    )


def artifact(run: Run, path: str) -> Path | None:
    """Local path of an artefact of a run, fetched if the store is elsewhere; None where the run has no such thing.

    What is fetched is fetched once, and goes when this process ends.

    Raises
    ------
    HarnessError
        The store cannot be reached, so that nobody knows.
    """
    address = f"{run.artifacts}/{path}"
    try:
        return (
            Path(mlflow.artifacts.download_artifacts(artifact_uri=address))
            if run.artifacts.startswith("file:")
            else _fetched(address)
        )
    except (MlflowException, OSError):
        connect(uri())
        return None


@cache
def _fetched(address: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=tempfile.mkdtemp(dir=_fetched_files().name)))


@cache
def _fetched_files() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="harness-")
