"""Everything MLflow: where runs are kept, how one is written, and how runs are found again."""

import json
import logging
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import mlflow
from mlflow.entities import RunStatus, ViewType
from mlflow.exceptions import MlflowException

from harness import __version__
from harness.errors import HarnessError
from harness.machine import machine

DEFAULT_URI = "sqlite:///mlflow.db"
TAG = "harness."
RESUMABLE = ("RUNNING", "FAILED", "KILLED", "SCHEDULED")


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


def connect(uri=None):
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
    uri = _absolute(uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        if uri.startswith(("http://", "https://")):
            _ask_server(uri)
        mlflow.set_tracking_uri(uri)
        mlflow.search_experiments(max_results=1)
    except Exception as error:  # every kind of store fails in its own way, and all of them mean the same to people
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HarnessError(f"tracking store {uri} cannot be reached ({reason}); "
                           "check the address or give another one with --tracking-uri") from error
    return uri


def _absolute(uri):
    """MLflow keeps a store open under its address, so the address must not depend on the working folder."""
    path = uri.removeprefix("sqlite:///")
    return uri if path == uri else f"sqlite:///{Path(path).resolve()}"


def _ask_server(uri):
    """MLflow itself asks a dead server again for minutes."""
    import requests

    requests.get(uri.rstrip("/") + "/health", timeout=5).raise_for_status()


@contextmanager
def suite(dataset, profile):
    """The run under which rows are nested when `mlflow run` started this program; otherwise their experiment.

    Parameters
    ----------
    dataset, profile : str
        They name the experiment.
    """
    adopted = os.environ.pop("MLFLOW_RUN_ID", None)  # left there, it would be taken for every row's run, too
    if adopted:
        with mlflow.start_run(run_id=adopted):
            yield
        return
    mlflow.set_experiment(experiment_id=_experiment(f"{dataset}-{profile}"))
    yield


def _experiment(name):
    known = mlflow.get_experiment_by_name(name)
    if known:
        return known.experiment_id
    uri = mlflow.get_tracking_uri()
    local = uri.startswith("sqlite:///")
    beside = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    try:
        return mlflow.create_experiment(name, artifact_location=(beside / name).as_uri() if local else None)
    except MlflowException:  # another process made it in between
        return mlflow.get_experiment_by_name(name).experiment_id


@contextmanager
def record(spec):
    """Open the run of a spec, the one that was interrupted if there is one; it ends finished or failed.

    Parameters
    ----------
    spec : harness.registry.Spec

    Yields
    ------
    mlflow.ActiveRun
    """
    interrupted = find(spec.hash, RESUMABLE)
    tags = {f"{TAG}{key}": str(getattr(spec, key)) for key in ("row", "seed", "profile", "dataset", "labels", "method")}
    tags |= {f"{TAG}spec_hash": spec.hash, f"{TAG}digest": spec.digest, f"{TAG}version": __version__}
    tags |= {f"{TAG}{key}": value for key, value in machine().items()}
    name = f"{spec.row} · seed {spec.seed}"
    with mlflow.start_run(run_id=interrupted.run_id if interrupted else None, run_name=name,
                          nested=mlflow.active_run() is not None) as run:
        mlflow.set_tags(tags | {"mlflow.note.content": spec.title})
        mlflow.log_params(_flat(spec))
        mlflow.log_dict(spec.model_dump(), "spec.json")
        try:
            yield run
        except BaseException as error:
            mlflow.set_tag(f"{TAG}failure", f"{type(error).__name__}: {error}"[:500])
            raise


def _flat(spec):
    values = {key: value for key, value in spec.model_dump().items() if not isinstance(value, dict)}
    for group in ("settings", "network", "schedule", "versions"):
        values |= {f"{group}.{key}": value for key, value in (spec.model_dump()[group] or {}).items()}
    return values


def curves():
    """A function that logs an epoch's history record to the active run, unless that epoch is there already."""
    run_id = mlflow.active_run().info.run_id
    logged = {point.step for point in mlflow.MlflowClient().get_metric_history(run_id, "val_loss")}

    def log(record):
        if record["epoch"] not in logged:
            logged.add(record["epoch"])
            mlflow.log_metrics({key: record[key] for key in ("loss", "val_loss", "learning_rate")},
                               step=record["epoch"])

    return log


def log_results(metrics, timings, write_files):
    """Log what a run came to.

    Parameters
    ----------
    metrics : dict of str to float
        Undefined ones (NaN: a class that no field holds) are left out.
    timings : dict of str to float
        Seconds per stage.
    write_files : callable
        Writes the artefacts into the folder it is given.
    """
    mlflow.log_metrics({name: value for name, value in metrics.items() if value == value})
    mlflow.log_metrics({f"seconds_{name}": value for name, value in timings.items()})
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        (Path(folder) / "timings.json").write_text(json.dumps(timings, indent=1))
        mlflow.log_artifacts(folder)


def log_model(model):
    """Log a trained network so that `mlflow.tensorflow.load_model` gives it back."""
    import keras
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    floats = np.dtype("float32")
    signature = ModelSignature(Schema([TensorSpec(floats, (-1, *model.input_shape[1:]))]),
                               Schema([TensorSpec(floats, (-1, *model.output_shape[1:]))]))
    mlflow.tensorflow.log_model(model, name="model", signature=signature,
                                pip_requirements=[f"keras=={keras.__version__}", "tensorflow"])


def load_network(uri):
    """The trained network of a run or of a registered model.

    Parameters
    ----------
    uri : str
        A run id, "runs:/ID" or "models:/NAME/VERSION".

    Returns
    -------
    keras.Model
        From (N, 512, 512, 1) normalised tiles to (N, 512, 512, 3) class probabilities; not compiled.

    Raises
    ------
    HarnessError
        There is no such run or model in the tracking store, or it holds no network.
    """
    import keras

    uri = uri if "/" in uri else f"runs:/{uri}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = f"{uri}/model" if uri.startswith("runs:/") else uri
            fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=path, dst_path=folder))
            return keras.saving.load_model(next(fetched.rglob("*.keras")), compile=False)
        except (MlflowException, OSError, StopIteration) as error:
            raise HarnessError(f"{uri}: no trained network in {mlflow.get_tracking_uri()}; "
                               "give the id of a finished network run or models:/NAME/VERSION") from error


def find(spec_hash, states=("FINISHED",)):
    """The newest run of a spec in one of the given MLflow states, in whatever experiment; None if there is none."""
    found = [run for run in runs(f"tags.`{TAG}spec_hash` = '{spec_hash}'") if run.state.upper() in states]
    return found[0] if found else None


def runs(filter_string=f"tags.`{TAG}spec_hash` != ''"):
    """Every run of the harness in the store, the newest first.

    Parameters
    ----------
    filter_string : str
        MLflow's search syntax.

    Returns
    -------
    list of Run
    """
    experiments = [experiment.experiment_id for experiment in mlflow.search_experiments()]
    found, token = [], None  # in small pages: a page of 1000 runs takes over 500 MB
    while token != "":
        page = mlflow.MlflowClient().search_runs(experiments, filter_string, ViewType.ACTIVE_ONLY, max_results=200,
                                                 order_by=["attributes.start_time DESC"], page_token=token)
        found += [_run(run) for run in page]
        token = page.token or ""
    return found


def _run(run):
    tags = run.data.tags
    own = {key: tags.get(TAG + key, "") for key in ("row", "profile", "dataset", "spec_hash")}
    return Run(**own, seed=int(tags.get(f"{TAG}seed", 0)), run_id=run.info.run_id, metrics=dict(run.data.metrics),
               state=RunStatus.to_string(RunStatus.from_string(run.info.status)).lower(), tags=tags,
               params=dict(run.data.params), artifacts=run.info.artifact_uri)


def artifact(run, path):
    """Local path of an artefact of a run, fetched if the store is elsewhere; None where the run has no such thing."""
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=f"{run.artifacts}/{path}"))
    except (MlflowException, OSError):
        return None
