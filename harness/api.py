"""The harness from Python, in six calls; the command `harness` is made of the same ones.

A session is a data set with the rows of a registry on it and a tracking store:

    from harness import api

    session = api.open_dataset("my-cells", profile="quick")
    api.run(session, ["network-consensus"], seeds=[0, 1])
    api.results(session)  # a DataFrame
    api.write_report(session, "report")

    labels, ignore = api.make_labels(image, "cellprofiler:shape/intensity", {"min_diameter": 15})
    nuclei = api.segment(image, "models:/network-consensus@best")

What a call needs is imported when it is made.
"""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from harness.experiment.runner import Outcome
    from harness.experiment.session import Session

__all__ = ["make_labels", "open_dataset", "results", "run", "segment", "write_report"]


def _silent(*_: Any, **__: Any) -> None:
    pass


def open_dataset(
    dataset: str = "synthetic",
    data_dir: Path | None = None,
    profile: str | None = None,
    file: Path | None = None,
    tracking_uri: str | None = None,
    to_run: bool = True,
) -> "Session":
    """Open a data set, with the rows of a registry on it and a tracking store.

    Parameters
    ----------
    dataset : str
        `synthetic`, `bbbc039`, or a folder with images/ and masks/.
    data_dir : Path, optional
        An unpacked copy of BBBC039; else HARNESS_DATA_DIR names it; else it is downloaded once.
    profile : str, optional
        How much work a network row is given; quick on synthetic fields and cpu on others when left out.
    file : Path, optional
        A registry of one's own; the paper's tables when left out.
    tracking_uri : str, optional
        MLflow tracking store; MLFLOW_TRACKING_URI or sqlite:///mlflow.db when left out.
    to_run : bool
        Without it the store is only read: a data set that is not at hand is taken from there, and never downloaded.

    Returns
    -------
    harness.experiment.session.Session
        Its `dataset` holds splits and fields, its `registry` rows and tables.

    Raises
    ------
    HarnessError
        No such data set, profile or registry, or the store cannot be reached.
    """
    from harness.experiment import session

    if to_run:
        return session.connect(session.prepare(dataset, data_dir, profile, file), tracking_uri)
    return session.read(dataset, data_dir, profile, file, tracking_uri)


def make_labels(
    image: "np.ndarray",
    source: str = "consensus",
    settings: Mapping[str, Any] | None = None,
    refine: Sequence[str | dict[str, Any]] = (),
) -> tuple["np.ndarray", "np.ndarray"]:
    """Make the label image of one image.

    Parameters
    ----------
    image : (H, W) ndarray
        Intensities of any numeric dtype.
    source : str
        `cellprofiler:<seeds>/<lines>` or `consensus`.
    settings : mapping, optional
        Those that differ from the source's own, for example `{"min_diameter": 15}`.
    refine : sequence
        Steps that the labels go through: see `harness.sources.refinements`.

    Returns
    -------
    labels : (H, W) int32 ndarray
        0 background, nuclei 1..n.
    ignore : (H, W) bool ndarray
        Pixels about which the source says nothing.

    Raises
    ------
    HarnessError
        No such source or setting, or it does not look at images.
    """
    from harness.core.errors import HarnessError
    from harness.datasets import Field
    from harness.sources import open_source

    opened = open_source(source, dict(settings or {}), refine)
    if not opened.from_images:
        raise HarnessError(f"{source} labels are not made from images; choose cellprofiler:<seeds>/<lines> or consensus")
    return opened.label(Field("image", lambda _: image, lambda _: None))


def run(
    session: "Session",
    rows: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    say: Callable[..., None] = _silent,
    ended: Callable[["Outcome"], object] = _silent,
    workers: int = 1,
    scheduler: str | None = None,
    learned_on: "Session | None" = None,
    contaminated: bool = False,
) -> list["Outcome"]:
    """Run rows x seeds; what is there already is not done again, what was interrupted goes on, and none stops the others.

    Parameters
    ----------
    session : harness.experiment.session.Session
        See `open_dataset`.
    rows : sequence of str
        Row ids; every row when left out.
    seeds : sequence of int
    say : callable
        Takes a run's name and a line about its progress; `passing=True` where the next one replaces it.
    ended : callable
        Takes each outcome as soon as it is there.
    workers, scheduler
        See `harness.experiment.runner.run_all`.
    learned_on : harness.experiment.session.Session, optional
        Of another data set: the networks of its rows are scored on the test fields of this one.
    contaminated : bool
        Whether test fields may stand in another split, too.

    Returns
    -------
    list of harness.experiment.runner.Outcome
        `failure` says in words what went wrong, and is empty where nothing did.

    Raises
    ------
    HarnessError
        No such row.
    """
    outcomes = []
    for outcome in session.run(
        list(rows or session.registry.rows), list(seeds), say, workers, scheduler, learned_on, contaminated
    ):
        ended(outcome)
        outcomes.append(outcome)
    return outcomes


def results(session: "Session") -> "pd.DataFrame":
    """What the store holds of every row.

    Parameters
    ----------
    session : harness.experiment.session.Session
        See `open_dataset`.

    Returns
    -------
    DataFrame
        A line per run that counts, and one per row without such a run: row, title, labels, state, seed, run_id, then a
        column per metric, named as in MLflow.
    """
    import pandas as pd

    lines = []
    for name, result in session.results().items():
        about = {"row": name, "title": result.row.title, "labels": result.row.labels, "state": result.state}
        lines += [about | {"seed": run.seed, "run_id": run.run_id} | run.metrics for run in result.runs] or [about]
    return pd.DataFrame(lines).astype({"seed": "Int64"}) if any("seed" in line for line in lines) else pd.DataFrame(lines)


def segment(image: "np.ndarray", model: str, tracking_uri: str | None = None) -> "np.ndarray":
    """Find the nuclei of one image with a trained network.

    Parameters
    ----------
    image : (H, W) ndarray
        Intensities of any numeric dtype.
    model : str
        Id of a run with a network, `models:/NAME/VERSION` or `models:/NAME@best`.
    tracking_uri : str, optional
        As for `open_dataset`.

    Returns
    -------
    (H, W) int32 ndarray
        Label image, 0 background.

    Raises
    ------
    HarnessError
        No such network, or no grey image.
    """
    from harness.apps.segmenting import network
    from harness.experiment import tracking

    loaded = network(model, tracking.connect(tracking_uri))
    from harness.network.segmenter import Segmenter  # imports Keras, which `network` has started quietly

    return Segmenter(loaded).predict(image)


def write_report(session: "Session", out: str | PathLike[str], **options: bool) -> dict[str, Any]:
    """Write the report of what the store holds; under `mlflow run` it is kept there, too.

    Parameters
    ----------
    session : harness.experiment.session.Session
        See `open_dataset`.
    out : path-like
        Folder of the report; an earlier report there is replaced.
    **options
        figures, recompute, predictions: see `harness.report.write`.

    Returns
    -------
    dict
        What results.json holds.

    Raises
    ------
    HarnessError
        `out` holds something else than a report, or cannot be written.
    """
    from harness import report
    from harness.experiment import tracking

    written = report.write(session.registry, session.spec, session.dataset, session.profile, session.runs(), out, **options)
    tracking.log_report(Path(out))
    return written
