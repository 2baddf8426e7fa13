"""The command `harness`: wiring and words for people, nothing else. Stages are imported when a command needs them."""

import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from harness import __version__, api
from harness.core.errors import HarnessError, one_line
from harness.core.parallel import is_lost
from harness.core.signals import Stopped, ended_in_order

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 110},
    help="Can a network learn nuclei from labels that a classical pipeline made? A benchmark of label "
    "sources, tracked with MLflow. Begin with: harness reproduce",
)
# Without markup and emoji: titles, names and paths are shown as they are.
_plain = partial(Console, highlight=False, soft_wrap=True, markup=False, emoji=False)
console, errors = _plain(), _plain(stderr=True)

Dataset = Annotated[
    str, typer.Option(help="synthetic, bbbc039, frames of BBBC038 as bbbc038-256x256, or a folder with images/ and masks/")
]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", help="as of harness run, synthetic when left out; given several times, one table over all of them"),
]
DataDir = Annotated[Path | None, typer.Option(envvar="HARNESS_DATA_DIR", help="an unpacked copy of BBBC039 or BBBC038")]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="how much work a network row is given: paper, cpu, study, quick, smoke; quick on synthetic fields, cpu on others",
    ),
]
Seeds = Annotated[list[int] | None, typer.Option("--seed", min=0, help="may be given several times; 0 when left out")]
TrackingUri = Annotated[
    str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow tracking store; sqlite:///mlflow.db when left out")
]
File = Annotated[Path | None, typer.Option(help="a registry of one's own; the paper's tables when left out")]
Out = Annotated[Path, typer.Option(help="folder of the report")]
Predictions = Annotated[
    bool, typer.Option("--predictions", help="put the test predictions of the network rows beside the report, as label PNGs")
]
Workers = Annotated[int, typer.Option(min=1, help="rows x seeds done side by side, each in a process of its own")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="of a Dask scheduler, for example tcp://host:8786; its workers do the work")
]
Contaminated = Annotated[
    bool, typer.Option("--allow-contaminated", help="run although test fields are in training or validation, and mark the runs")
]
Redo = Annotated[bool, typer.Option("--redo", help="make again what was made otherwise, of other images or nobody knows how")]
Channel = Annotated[
    str | None, typer.Option(help="of images with several channels: the one with the nuclei, number from 0 or name")
]
Plane = Annotated[
    int | None, typer.Option(min=0, help="of images with several planes in depth or time: the one with the nuclei, number from 0")
]
Export = Annotated[
    list[str] | None,
    typer.Option("--export", metavar="FORMAT", help="write it also for imagej, qupath, ome-zarr or napari; repeatable"),
]
IMAGES = "folder of TIFF, PNG or OME-Zarr images, also in folders below it; or a pattern in quotes"
AsJson = Annotated[bool, typer.Option("--json", help="for scripts")]


# Errors that are no fault of this program: numbers of the operating system's, and the packages that a store speaks by.
OF_THE_REQUEST = {
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.ENAMETOOLONG: "give a shorter one",
}
OF_THE_MACHINE = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE)
OF_THE_STORE = ("mlflow", "sqlalchemy", "sqlite3", "requests", "urllib3", "psycopg2")


def main() -> None:
    """Run the command; a refused request is one line and exit code 2, Ctrl-C is 130, SIGTERM 143."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with ended_in_order():
            app()
    except HarnessError as error:
        _complain(str(error))
        sys.exit(2)
    except Stopped as stopped:
        errors.print("harness: stopped; what is done is kept, and the same command goes on from the last whole epoch")
        sys.exit(stopped.code)
    except Exception as error:
        line = _fault_of_the_machine(error)
        if not line:
            raise
        _complain(line)
        sys.exit(2 if getattr(error, "errno", None) in OF_THE_REQUEST else 1)


def _complain(line: str) -> None:
    errors.print(Text.assemble(("harness:", "red"), f" {one_line(line)}"))


def _fault_of_the_machine(error: BaseException) -> str | None:
    """A path, a permission, a disk, a killed process or a store that fails, in a line; None of a fault of this program."""
    if is_lost(error):
        return "a process was killed again and again, perhaps for want of memory; the same command goes on when there is more"
    if isinstance(error, OSError) and error.errno in (*OF_THE_REQUEST, *OF_THE_MACHINE) and error.filename:
        advice = OF_THE_REQUEST.get(error.errno, "the same command goes on when that is mended")
        return f"{error.filename}: {error.strerror}; {advice}"
    if type(error).__module__.partition(".")[0] in OF_THE_STORE:
        from harness.experiment.tracking import without_password

        said = without_password(" ".join(str(error).split("\n[SQL", 1)[0].split()))
        return f"the tracking store failed ({type(error).__name__}: {said[:300]}); the same command goes on when it is back"
    return None


@app.command()
def reproduce(
    datasets: Datasets = None,
    data_dir: DataDir = None,
    profile: ProfileName = None,
    seed: Seeds = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    out: Out = Path("report"),
    predictions: Predictions = False,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    allow_contaminated: Contaminated = False,
) -> None:
    """Run every row of the registry and write the report: the main job."""
    sessions = _sessions(_session, datasets, predictions, data_dir, profile, tracking_uri, file)
    with _suite("reproduce", sessions[0]):
        code = max([_run(each, [], seed, workers, scheduler, contaminated=allow_contaminated) for each in sessions])
        _report(sessions, out, predictions=predictions)
    raise typer.Exit(code)


@app.command()
def run(
    rows: Annotated[list[str], typer.Argument(help="row ids, see harness list")],
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    profile: ProfileName = None,
    seed: Seeds = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    learned_on: Annotated[
        str | None, typer.Option(metavar="DATASET", help="score networks that learned on this data set, trained there if need be")
    ] = None,
    learned_on_dir: Annotated[Path | None, typer.Option(help="its --data-dir, where it is another")] = None,
    allow_contaminated: Contaminated = False,
) -> None:
    """Run some rows; a run that is there already is not done again, an interrupted one goes on."""
    session = _session(dataset, data_dir, profile, tracking_uri, file)
    teacher = _session(learned_on, learned_on_dir or data_dir, session.profile, tracking_uri, file) if learned_on else None
    with _suite("run", session):
        code = _run(session, rows, seed, workers, scheduler, teacher, allow_contaminated)
    raise typer.Exit(code)


@app.command()
def report(
    datasets: Datasets = None,
    data_dir: DataDir = None,
    profile: ProfileName = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    out: Out = Path("report"),
    predictions: Predictions = False,
    recompute: Annotated[bool, typer.Option("--recompute", help="score the stored predictions again")] = False,
    controls: Annotated[
        bool,
        typer.Option("--controls", help="with rows of the annotation itself, shifted, dilated, merged and empty; scored once"),
    ] = False,
) -> None:
    """Write the tables and figures of the runs that are in the tracking store; over several data sets, one table."""
    sessions = _sessions(_reading, datasets, predictions, data_dir, profile, tracking_uri, file)
    with _suite("report", sessions[0]):
        if controls:
            with _lines() as say:
                sessions = [session.with_controls(say) for session in sessions]
        _report(sessions, out, recompute=recompute, predictions=predictions)


@app.command()
def score(
    name: Annotated[str, typer.Argument(help="what the row is called, for example cellpose")],
    predictions: Annotated[Path, typer.Argument(help="folder of label images, one per test field and named like it")],
    ceiling: Annotated[bool, typer.Option("--ceiling", help="they are a second annotation: how far any row can come")] = False,
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Score label images that any tool made, and put them into the tables as an external row."""
    from harness.scoring.names import TABLES

    method = "ceiling" if ceiling else "external"
    run = _session(dataset, data_dir, None, tracking_uri, file).score(name, predictions, method)
    if as_json:
        print(json.dumps({"row": run.row, "run_id": run.run_id, "dataset": run.dataset, "metrics": run.metrics}, indent=1))
        return
    table = Table("metric", "value", title=f"{name}, {method}, on the test fields of {run.dataset}", box=None)
    for metric in TABLES:
        table.add_row(metric, f"{run.metrics[metric]:.4f}" if metric in run.metrics else "undefined")
    console.print(table)


@app.command("list")
def list_rows(
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    profile: ProfileName = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Every row of the registry with the state of its runs."""
    session = _reading(dataset, data_dir, profile, tracking_uri, file)
    results = session.results()
    if as_json:
        print(
            json.dumps(
                [{"row": row, **result.row.model_dump(), "state": _state(result)} for row, result in results.items()], indent=1
            )
        )
        return
    table = Table(
        Column("row", no_wrap=True),
        Column("title", overflow="fold"),
        Column("labels", overflow="fold"),
        f"{session.dataset.name}, {session.profile}",
        box=None,
    )
    for row, result in results.items():
        table.add_row(row, result.row.title, result.row.labels, _state(result))
    console.print(table)
    for row, result in results.items():
        if result.missing:
            console.print(f"{row}: not available, {result.missing}")


@app.command()
def describe(
    row: Annotated[str, typer.Argument(help="row id, see harness list")],
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    profile: ProfileName = None,
    seed: Seeds = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Everything that defines a row: labels, network, schedule, data, versions of the stages."""
    from harness.experiment.session import prepare

    session = prepare(dataset, data_dir, profile, file)
    spec = session.spec(row, (seed or [0])[0])
    if as_json:
        print(json.dumps(spec.model_dump() | {"spec_hash": spec.hash}, indent=1))
        return
    console.print(spec.title)
    table = Table("", "", box=None, show_header=False)
    for name, value in _definition(spec, session.dataset, session.registry).items():
        table.add_row(name, value)
    console.print(table)


def _definition(spec, dataset, registry):
    """What defines a run, in words."""
    method = (
        "a U-Net is trained on these labels and predicts the test fields"
        if spec.method == "network"
        else "these labels are the prediction of the test fields"
    )
    lines = {
        "row": spec.row,
        "labels": spec.labels,
        "settings": _listed(spec.source.settings | spec.settings),
        "refined": _steps(spec.refine) or "no",
        "method": f"{spec.method}: {method}",
        "tile": f"{spec.tile}x{spec.tile} px",
    }
    if spec.method == "network":
        lines |= {
            "network": _listed(spec.network.model_dump()),
            "schedule": f"profile {spec.profile}: {_listed(spec.schedule.model_dump())}",
            "seed": str(spec.seed),
        }
    if spec.parent:
        lines["needs"] = f"the network of {spec.parent.row}"
    if spec.refine_prediction:
        lines["prediction refined"] = _steps(spec.refine_prediction)
    fields = ", ".join(f"{len(names)} {split}" for split, names in dataset.splits.items())
    return lines | {
        "data set": f"{spec.dataset}: {fields} fields",
        "digest": spec.digest,
        "stages": _listed(spec.versions),
        "published": _listed(registry.published(spec.row, spec.dataset)),
        "spec hash": spec.hash,
    }


def _steps(steps: list[dict]) -> str:
    return "; ".join(_listed(step) for step in steps)


def _listed(values: dict) -> str:
    """A setting of None is left to the method."""
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None) or "none"


@app.command()
def data(
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    file: File = None,
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="DATASET", help="another data set, in which fields of this one are looked for; repeatable"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a data set holds, which of its fields stand elsewhere too, and which rows lack something.

    Refuses one that is incomplete, altered or wrong.
    """
    from harness.datasets import contamination, faults, is_bbbc038, is_data_folder, open_dataset, problems, summary, unused
    from harness.experiment.registry import load_registry, unavailable

    if dataset == "bbbc038":
        _show_groups(data_dir, as_json)
        return
    wrong = problems(Path(dataset)) if is_data_folder(dataset) else []
    wrong += faults(open_dataset(dataset, data_dir)) if is_bbbc038(dataset) else []
    for line in wrong:
        _complain(line)
    if wrong:
        raise typer.Exit(2)
    opened, registry = open_dataset(dataset, data_dir), load_registry(file)
    found = summary(opened) | {
        "unused": unused(Path(dataset)) if is_data_folder(dataset) else [],
        "not_available": unavailable(registry, opened),
    }
    shared = [*contamination.within(opened), *contamination.known(opened)]
    shared += [each for other in against or [] for each in contamination.against(opened, open_dataset(other, data_dir))]
    shared = list(dict.fromkeys(shared))  # BBBC039 may be one of the others
    found["shared"] = [each._asdict() for each in shared]
    if as_json:
        print(json.dumps(found, indent=1))
        return
    console.print(f"{found['name']}  digest {found['digest']}")
    table = Table("split", "fields", "annotated", "nuclei", "sizes", box=None)
    for split, there in found["splits"].items():
        table.add_row(
            split,
            *(str(there[key]) for key in ("fields", "annotated", "nuclei")),
            ", ".join(f"{height}x{width}" for height, width in there["sizes"]),
        )
    console.print(table)
    if found["unused"]:
        console.print(f"in no split list, so not used: {', '.join(found['unused'])}")
    for each in shared:
        console.print(f"{each} show the same place, {each.spots} spots in common")
    for row, why in found["not_available"].items():
        console.print(f"{row}: not available, {why}")


def _show_groups(data_dir, as_json):
    """BBBC038's frames by size and kind: each group of fluorescence frames is a data set."""
    from harness.datasets import groups

    found = groups(data_dir)
    if as_json:
        print(json.dumps({"name": "bbbc038", "groups": found}, indent=1))
        return
    table = Table("frames of", "kind", "frames", "--dataset", box=None)
    for group in found:
        height, width = group["size"]
        table.add_row(f"{height}x{width} px", group["kind"], str(group["frames"]), group["dataset"] or "not used")
    console.print(table)


@app.command()
def label(
    source: Annotated[str, typer.Argument(help="cellprofiler:<seeds>/<lines> or consensus")],
    images: Annotated[Path | None, typer.Argument(help=IMAGES)] = None,
    out: Annotated[Path | None, typer.Argument(help="folder of the label images, one .tif per image")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="a setting of the source that differs, for example min_diameter=15; repeatable"
        ),
    ] = None,
    diameter: Annotated[
        str | None,
        typer.Option(
            metavar="auto|MIN,MAX", help="of nuclei in px, as --set min_diameter and max_diameter; auto: told from the images"
        ),
    ] = None,
    refine: Annotated[
        list[str] | None,
        typer.Option(help="a step that the labels go through: half-contrast, declump, restore-clumps; repeatable"),
    ] = None,
    channel: Channel = None,
    plane: Plane = None,
    export_as: Export = None,
    redo: Redo = False,
    workers: Annotated[int | None, typer.Option(min=1, help="processes; all cores when left out")] = None,
    scheduler: Scheduler = None,
    export_pipeline: Annotated[
        Path | None,
        typer.Option(metavar="FILE.cppipe", help="write the same settings as a pipeline for CellProfiler 4.2 instead"),
    ] = None,
) -> None:
    """Make label images of a folder of images; goes on where it was stopped."""
    from harness.apps.labelling import fitted_to, label_files, write_pipeline
    from harness.datasets import Choice
    from harness.sources import open_source

    choice = Choice(channel, plane)
    labels = open_source(source, _settings([*(set_ or []), *_diameters(diameter)]), refine or [])
    if images:
        labels = _said_to_fit(labels, fitted_to(labels, images, out, choice))
    if export_pipeline:
        write_pipeline(labels, export_pipeline)
        console.print(f"wrote {export_pipeline}")
        return
    if not images or not out:
        raise HarnessError("label needs IMAGES and OUT; for example: harness label consensus images labels")
    how = {"formats": tuple(export_as or ()), "workers": workers, "scheduler": scheduler}
    job = label_files(labels, images, out, redo, choice, **how)
    raise typer.Exit(_work_through(source, *job))


@app.command()
def segment(
    model: Annotated[str, typer.Argument(help="id of a run with a trained network, or models:/NAME/VERSION")],
    images: Annotated[Path, typer.Argument(help=IMAGES)],
    out: Annotated[Path, typer.Argument(help="folder of the label images and tables, a .tif and a .csv per image")],
    tracking_uri: TrackingUri = None,
    refine: Annotated[
        list[str] | None, typer.Option(help="a step that the nuclei go through: half-contrast, declump; repeatable")
    ] = None,
    channel: Channel = None,
    plane: Plane = None,
    export_as: Export = None,
    redo: Redo = False,
    workers: Annotated[int, typer.Option(min=1, help="processes, each with the network in its memory")] = 1,
    scheduler: Scheduler = None,
    review: Annotated[bool, typer.Option("--review", help="draw the nuclei the network is least certain of: review.png")] = False,
) -> None:
    """Find the nuclei of new images with a trained network; goes on where it was stopped."""
    from harness.apps.segmenting import segment_files
    from harness.datasets import Choice
    from harness.experiment import tracking

    how = {"formats": tuple(export_as or ()), "workers": workers, "scheduler": scheduler}
    choice = Choice(channel, plane)
    job = segment_files(model, tracking.connect(tracking_uri), images, out, redo, choice, refine or [], **how)
    code = _work_through(model, *job)
    if review:
        from harness.apps.reviewing import write_sheet

        console.print(f"wrote {write_sheet(images, out, choice)}")
    raise typer.Exit(code)


@app.command()
def export(
    what: Annotated[
        str, typer.Argument(help="folder of label images, id of a run with predictions, or a network: models:/NAME/VERSION")
    ],
    out: Annotated[Path, typer.Argument(help="folder of the files; of a network, a .zip")],
    format_: Annotated[
        list[str] | None, typer.Option("--format", help="of label images: imagej, qupath, ome-zarr or napari; repeatable")
    ] = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Write label images or predictions for other programs, or a network as a bioimage.io package."""
    from harness.apps import exporting

    if Path(what).is_dir():
        count = exporting.export_label_images(Path(what), out, tuple(format_ or ()))
    else:
        from harness.experiment import tracking

        tracking.connect(tracking_uri)
        if what.startswith(("models:/", "runs:/")):
            exporting.export_network(what, out)
            console.print(f"wrote {out}")
            return
        count = exporting.export_predictions(what, out, tuple(format_ or ()))
    console.print(f"{count} label image{'s' * (count != 1)} exported to {out}")


def _work_through(what, total, there, done):
    """Show how a job over files goes on, what is wrong with which file and what it came to; returns the exit code."""
    from rich.progress import track

    good = bad = nuclei = 0
    for name, count, wrong in track(
        _unless_lost(done), escape(what), total, console=errors, transient=True, disable=not errors.is_terminal
    ):
        good, bad, nuclei = good + (not wrong), bad + bool(wrong), nuclei + count
        if wrong:
            _complain(f"{name}: {wrong}")
    console.print(f"{good} image{'s' * (good != 1)}, {nuclei} nuclei" + (f"; {there} were there" if there else ""))
    return 1 if bad else 0


def _unless_lost(done: Iterable) -> Iterator:
    try:
        yield from done
    except Exception as error:
        if not is_lost(error):
            raise
        yield (
            "stopped",
            0,
            (
                "a worker was killed again and again, perhaps for want of memory; the same command, with fewer "
                "--workers, does what is left"
            ),
        )


def _settings(pairs: list[str]) -> dict:
    """KEY=VALUE pairs as a registry would hold them; a value that is no TOML value is a word."""
    import tomllib

    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise HarnessError(f"'{pair}' is not KEY=VALUE; for example --set min_diameter=15")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[key] = value
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists a thousand deep
            raise HarnessError(f"--set {key}: is no value that can be read; give another one") from error
    return settings


def _diameters(text):
    """`--diameter` as pairs of `--set`."""
    if text is None:
        return []
    low, comma, high = text.partition(",")
    if text != "auto" and not comma:
        raise HarnessError(f"--diameter {text}: expected auto, or MIN,MAX in px; for example --diameter 10,50")
    return [f"min_diameter={low}", f"max_diameter={high or low}"]


def _said_to_fit(before, labels):
    """The source, after a line about the settings that were told from the images."""
    told = [f"{name} {value}" for name, value in labels.settings.items() if value != before.settings[name]]
    if told:
        console.print(f"told from the images: {', '.join(told)}")
    return labels


@app.command()
def compare(
    rows: Annotated[list[str] | None, typer.Argument(help="row ids, two at least; see harness list")] = None,
    all_: Annotated[bool, typer.Option("--all", help="every row that has runs")] = False,
    metric: Annotated[list[str] | None, typer.Option(help="jaccard_equal when left out; may be given several times")] = None,
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    profile: ProfileName = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables and figures")] = None,
    as_json: AsJson = False,
) -> None:
    """Which rows can be told apart on the test fields: every two of them, with what these fields could show at all."""
    from harness.apps import comparing

    if not rows and not all_:
        raise HarnessError("compare needs two rows or more, or --all; for example: harness compare --all")
    session = _reading(dataset, data_dir, profile, tracking_uri, file)
    results = session.results()
    found = [comparing.compare_rows(session.dataset, results, rows or [], name) for name in metric or ["jaccard_equal"]]
    for each in found:
        comparing.log(each, results)
    if out:
        comparing.write(found, out)
    if as_json:
        print(json.dumps([comparing.as_json(each) for each in found], indent=1))
        return
    for each in found:
        _show(comparing.ranking(each), f"{comparing.title(each.metric)}: {comparing.said(each)}")
        _show(comparing.pairs(each))


@app.command()
def budget(
    rows: Annotated[list[str] | None, typer.Argument(help="row ids; every row that has runs when left out")] = None,
    metric: Annotated[
        str, typer.Option(help="f1_50, f1_75, f1_90, jaccard or jaccard_equal; with _fields, the mean over fields")
    ] = "jaccard_equal",
    half_width: Annotated[float, typer.Option(min=1e-4, max=1, help="of the interval wanted of each row's score")] = 0.02,
    power: Annotated[float, typer.Option(min=0.05, max=0.99, help="chance wanted of telling two rows apart")] = 0.8,
    next_: Annotated[int, typer.Option("--next", min=0, help="fields to name for annotation")] = 6,
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    profile: ProfileName = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables")] = None,
    as_json: AsJson = False,
) -> None:
    """How many fields to annotate, and which: from the annotated test fields and any number of others."""
    from harness.apps import budget as planning

    session = _reading(dataset, data_dir, profile, tracking_uri, file)
    found = planning.plan(session.dataset, session.results(), rows or [], metric, _aside, half_width, power, next_)
    if out:
        planning.write(found, out)
    if as_json:
        print(json.dumps(planning.as_json(found), indent=1))
        return
    _show(planning.rows(found), planning.said(found))
    _show(planning.pairs(found))
    for line in planning.to_do(found):
        console.print(line)


@app.command()
def triage(
    row: Annotated[str, typer.Argument(help="row whose labels are judged; of a network row, those it learned from")],
    fields: Annotated[int, typer.Option(min=1, help="fields to correct")] = 10,
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    profile: ProfileName = None,
    tracking_uri: TrackingUri = None,
    file: File = None,
    out: Annotated[Path | None, typer.Option(help="new folder for the tables, a contact sheet and the labels to correct")] = None,
    as_json: AsJson = False,
) -> None:
    """Which labels to correct first, told without annotation; with --out, as label images ready for an editor."""
    from harness.apps import triage as doubting

    session = _reading(dataset, data_dir, profile, tracking_uri, file)
    found = doubting.judge(session.dataset, session.results(), row, _aside)
    if out:
        doubting.write(found, session.dataset, out, fields)
    if as_json:
        print(json.dumps(doubting.as_json(found, fields), indent=1))
        return
    _show(doubting.nuclei(found), doubting.said(found))
    _show(doubting.fields(found, fields))
    if out:
        console.print(f'correct {out / "labels"}/FIELD.tif in place; labels = "folder:{out / "labels"}" is then a label source')


@app.command("errors")
def errors_of(
    source: Annotated[str, typer.Argument(help="as a registry has it: cellprofiler:<seeds>/<lines>, consensus or folder:DIR")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="a setting of the source that differs; repeatable")
    ] = None,
    refine: Annotated[list[str] | None, typer.Option(help="a step that the labels go through; repeatable")] = None,
    every: Annotated[int, typer.Option(min=1, help="look at one training field of so many")] = 1,
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """How often, and how, labels err on annotated training fields; and the noise that spoils annotation as much."""
    from harness.apps import errors as erring
    from harness.datasets import open_dataset
    from harness.sources import open_source

    labels = open_source(source, _settings(set_ or []), refine or [])
    found = erring.measure(labels, open_dataset(dataset, data_dir), every)
    if as_json:
        print(json.dumps(erring.as_json(found), indent=1))
        return
    _show(erring.rows(found), erring.said(found))
    console.print(erring.as_line(erring.recipe(found)))


def _aside(line: str) -> None:
    """A line about work that takes long, which no script reads."""
    errors.print(line)


def _show(frame: "pd.DataFrame", title: str = "") -> None:
    """A table of texts under a line about it."""
    from harness.core.markdown import to_markdown

    table = to_markdown(frame, tuple(frame.columns)) if len(frame) else ""
    console.print("\n\n".join(part for part in (title, table) if part), end="\n\n")


@app.command()
def bench(
    parts: Annotated[
        list[str] | None, typer.Argument(help="classical, scoring, train, infer, segment; all when left out")
    ] = None,
    dataset: Dataset = "synthetic",
    data_dir: DataDir = None,
    fields: Annotated[int, typer.Option(min=1, help="test fields that are timed")] = 5,
    cellprofiler: Annotated[
        Path | None, typer.Option(help="a Python that has the real CellProfiler, to be timed beside this")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time the stages on this machine: seconds per field, per training step, per inference tile."""
    from harness.apps import benchmarks as timing
    from harness.core.machine import machine

    unknown = set(parts or []) - set(timing.PARTS)
    if unknown:
        raise HarnessError(f"no benchmark '{min(unknown)}'; there is {', '.join(timing.PARTS)}")

    def data():  # training and inference are timed where no data set can be opened, too
        from harness.datasets import open_dataset

        return open_dataset(dataset, data_dir)

    measure = {
        "classical": lambda: timing.time_classical(data(), fields, cellprofiler),
        "scoring": lambda: timing.time_scoring(data(), fields),
        "train": timing.time_training,
        "infer": timing.time_inference,
        "segment": lambda: timing.time_segmenting(data(), fields),
    }
    measured = [line for part in parts or timing.PARTS for line in measure[part]()]
    if as_json:
        print(json.dumps({"machine": machine(), "measured": [line._asdict() for line in measured]}, indent=1))
        return
    console.print(", ".join(f"{name} {value}" for name, value in machine().items()))
    table = Table(Column("what", overflow="fold"), "per", "seconds", Column("", overflow="fold"), box=None)
    for line in measured:
        table.add_row(line.what, line.per, f"{line.seconds:.4f}", line.note)
    console.print(table)


@app.command()
def ui(tracking_uri: TrackingUri = None, port: Annotated[int, typer.Option(help="on 127.0.0.1")] = 5000) -> None:
    """Open MLflow's user interface on the tracking store."""
    from harness.experiment import tracking

    uri = tracking.connect(tracking_uri)
    server = uri if uri.startswith(tracking.SERVERS) else f"http://127.0.0.1:{port}"
    console.print(
        f"{server.rstrip('/')}/#/experiments?workflowType=machine_learning: choose an experiment, DATASET-PROFILE; "
        "its runs are the rows, with their seeds folded up below them"
    )
    if server == uri:
        return  # it serves the pages itself
    os.environ["MLFLOW_BACKEND_STORE_URI"] = uri  # not an argument: everybody can read those, and it may hold a password
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port)])  # noqa: S606


@app.command("version")
def version() -> None:
    """The version of this program."""
    print(__version__)


@contextmanager
def _lines() -> Iterator[Callable[..., None]]:
    """A function for lines about rows: on a terminal a passing one stays in view until the next of its row comes."""
    if not console.is_terminal:
        yield lambda name, line, passing=False: None if passing else console.print(f"{name}: {line}")
        return
    from rich.live import Live

    passing_lines: dict[str, str] = {}
    with Live(console=console, transient=True, get_renderable=lambda: "\n".join(passing_lines.values())) as live:

        def say(name, line, passing=False) -> None:
            passing_lines.pop(name, None)
            if passing:
                passing_lines[name] = f"{name}: {line}"
            else:
                live.console.print(f"{name}: {line}")

        yield say


def _session(dataset, data_dir, profile, tracking_uri, file):
    return api.open_dataset(dataset, data_dir, profile, file, tracking_uri)


def _reading(dataset, data_dir, profile, tracking_uri, file):
    return api.open_dataset(dataset, data_dir, profile, file, tracking_uri, to_run=False)


def _sessions(open_one, datasets, predictions, *asked):
    """On one data set or several, by `_session` or `_reading`; refused now is what no report over them can be made of."""
    sessions = [open_one(name, *asked) for name in datasets or ["synthetic"]]
    names = [session.dataset.name for session in sessions]
    if predictions and len(names) > 1:
        raise HarnessError("--predictions belongs to the report of one data set; leave it out")
    if twice := [name for name in names if names.count(name) > 1]:
        raise HarnessError(f"two of the data sets are called {twice[0]}; rename one of the folders")
    return sessions


def _suite(command, session):
    """Within it, what is done belongs to the run of `mlflow run`, if that started this program."""
    from harness.experiment import tracking

    return tracking.suite(f"{command} · {session.dataset.name} · {session.profile}")


def _run(session, rows, seeds, workers, scheduler, learned_on=None, contaminated=False):
    """Run rows x seeds and show how it goes; returns the exit code."""
    with _lines() as say:
        outcomes = api.run(session, rows, seeds or [0], say, _ended, workers, scheduler, learned_on, contaminated)
    return max((2 if outcome.refused else 1 for outcome in outcomes if outcome.failure), default=0)


def _ended(outcome):
    if outcome.failure:
        _complain(f"{outcome.spec.name}: {outcome.failure}")


def _report(sessions, out, recompute=False, predictions=False):
    if len(sessions) > 1:
        _across(sessions, out, recompute)
        return
    api.write_report(sessions[0], out, recompute=recompute, predictions=predictions)
    console.print(f"wrote {out / 'report.md'}")


def _across(sessions, out, recompute):
    from harness.experiment import tracking
    from harness.report import across, content

    contents = [
        content.gather(session.registry, session.spec, session.dataset, session.profile, session.runs(), recompute)
        for session in sessions
    ]
    across.write(across.gather(contents), out)
    tracking.log_report(out)
    console.print(f"wrote {out / 'across.md'}")


def _state(result):
    if not result.runs:
        return result.state
    return "; ".join([f"finished, n = {len(result.runs)}", *(f"seed {run.seed} {why}" for run, why in result.left_out)])


if __name__ == "__main__":
    main()
