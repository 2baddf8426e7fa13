"""The experiment registry: rows, tables and profiles read from TOML, and what a row comes to when it is run."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from harness.core.errors import HarnessError
from harness.datasets import SPLITS, DataSet
from harness.experiment import stages
from harness.experiment.products import expanded
from harness.experiment.spec import DIGEST, Network, Profile, Spec, Strict, source_of
from harness.method import tiles
from harness.network.start import backend
from harness.scoring.names import TableMetric
from harness.sources import AUTO, LabelSource, open_source, sample
from harness.sources.controls import Control
from harness.sources.predicted import Predicted
from harness.sources.refinements import Refined, described, open_steps

Model = TypeVar("Model", bound=BaseModel)
ID_RULE = "an id has letters, digits, '-', '_' and '.', begins with a letter or digit and is 64 characters long at most"
Id = Annotated[str, StringConstraints(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\z")]
Title = Annotated[str, StringConstraints(pattern=r"\A[^\p{Cc}]{1,200}\z")]  # one line of words
Steps = list[str | dict[str, str | float | int]]
EXTERNAL, CEILING, CONTROL = "external", "ceiling", "control"  # methods of rows that are scored and not run
SCORED = (EXTERNAL, CEILING, CONTROL)  # their profile is EXTERNAL


class Row(Strict):
    """One line of a table."""

    title: Title
    method: Literal["network", "classical"]
    labels: str
    settings: dict[str, str | float | int | bool | list] = Field(default_factory=dict)
    refine: Steps = Field(default_factory=list)
    refine_prediction: Steps = Field(default_factory=list)
    network: Network | None = None
    loss: Literal["log-dice", "dice"] = "log-dice"

    @property
    def source(self) -> LabelSource:
        """The label source of the row."""
        return source_of(self.labels, self.settings, self.refine)

    @property
    def teacher(self) -> str | None:
        """The row whose network labels the fields of this one; None where another source does."""
        source = source_of(self.labels, self.settings, [])
        return source.argument if isinstance(source, Predicted) else None


class External(Row):
    """What is scored as it is, and in no file: another tool's predictions, a second annotation (the ceiling), a control."""

    method: Literal["external", "ceiling", "control"] = "external"  # type: ignore[assignment]  # no registry file may say it


class Table(Strict):
    """Rows x metrics with the published values, in the order of the metrics."""

    title: Title
    metrics: list[TableMetric] = Field(min_length=1)
    published: dict[str, list[float]] = Field(default_factory=dict)


class Claim(Strict):
    """That a row is not worse than another one, by margins that are stated beforehand."""

    title: Title
    row: str
    reference: str
    margins: dict[TableMetric, Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=1)


# What a registry without tables is shown in.
TABLES = {
    "dice": Table(title="Pixel-wise Dice coefficient before post-processing", metrics=["dice_nuclei", "dice_separations"]),
    "jaccard": Table(title="Object-wise Jaccard index after post-processing", metrics=["jaccard", "jaccard_equal"]),
}


class Registry(Strict):
    """The rows, tables and claims of one registry file.

    `dataset` is the one that the published values belong to. `tile` is of all rows, since they are scored on tiles, too; where
    it is left out, `tile_of` tells it.
    """

    dataset: str | None = None
    tile: int | None = Field(None, gt=0, le=4096, multiple_of=tiles.STEP)
    network: Network = Network()
    rows: dict[Id, Row] = Field(min_length=1)
    tables: dict[Id, Table] = Field(TABLES, min_length=1)
    claims: dict[Id, Claim] = Field(default_factory=dict)

    def published(self, row: str, dataset: str) -> dict[str, float]:
        """The published values of a row by metric; none on a data set they are not of."""
        if self.dataset not in (None, dataset):
            return {}
        return {
            metric: value
            for table in self.tables.values()
            for metric, value in zip(table.metrics, table.published.get(row, []), strict=False)
        }


def load_registry(path: Path | str | None = None) -> Registry:
    """Read and check a registry file.

    Parameters
    ----------
    path : path-like, optional
        The registry that travels with the package (the paper's two tables) when left out.

    Returns
    -------
    Registry

    Raises
    ------
    HarnessError
        Unreadable file, unknown key, impossible value: the line names file, key and what was expected.
    """
    path = Path(path) if path else _packaged("paper.toml")
    registry = _validated(Registry, expanded(_read(path), str(path)), path)
    for name, row in registry.rows.items():
        _check_source(row, f"{path}: rows.{name}")
    for name in registry.rows:
        _check_parent(registry, name, f"{path}: rows.{name}")
    for name, table in registry.tables.items():
        _check_published(registry, table, f"{path}: tables.{name}.published")
    for name, claim in registry.claims.items():
        for key in ("row", "reference"):
            if getattr(claim, key) not in registry.rows:
                raise HarnessError(
                    f"{path}: claims.{name}.{key}: no such row '{getattr(claim, key)}'; there is {_listed(registry.rows)}"
                )
    return registry


def _check_published(registry: Registry, table: Table, where: str) -> None:
    for row, values in table.published.items():
        if row not in registry.rows:
            raise HarnessError(f"{where}.{row}: no such row; there is {_listed(registry.rows)}")
        if len(values) > len(table.metrics):
            raise HarnessError(
                f"{where}.{row}: {len(values)} values for {len(table.metrics)} metrics; give at most one per metric"
            )


@cache
def load_profiles() -> dict[str, Profile]:
    """Read the profiles that travel with the package: name -> Profile."""
    path = _packaged("profiles.toml")
    return {name: _validated(Profile, values, f"{path}: {name}") for name, values in _read(path).items()}


def check_profile(name: str) -> str:
    """The name of a profile; refused where there is no such profile."""
    _check_name("profile", name, load_profiles())
    return name


def default_profile(dataset: str) -> str:
    """The profile that is taken where none is asked for."""
    return "quick" if dataset == "synthetic" else "cpu"


def resolve(registry: Registry, row: str, profile: str, dataset: DataSet, seed: int) -> Spec:
    """Work out everything that defines a run.

    Parameters
    ----------
    registry : Registry
    row, profile : str
        Names of a row of the registry and of a profile.
    dataset : DataSet
    seed : int

    Returns
    -------
    Spec

    Raises
    ------
    HarnessError
        No such row or profile.
    """
    _check_name("row", row, registry.rows)
    entry, schedule = _fitted(registry.rows[row], partial(_images, dataset)), load_profiles()[check_profile(profile)]
    learns, parent = entry.method == "network", parent_of(registry, row)
    profile = EXTERNAL if entry.method in SCORED else profile
    source = entry.source
    used = source.stages + stages.SCORING + (stages.TRAINING + stages.PREDICTION) * learns
    used += ("refinements",) * bool(entry.refine_prediction)
    return Spec(
        row=row,
        title=entry.title,
        method=entry.method,
        labels=source.name,
        settings=_settings(entry, source, dataset),
        refine=described(source),
        refine_prediction=described(Refined(steps=open_steps(entry.refine_prediction, Predicted()))),
        parent=resolve(registry, parent, profile, dataset, seed) if parent else None,
        tile=tile_of(registry, dataset),
        network=(entry.network or registry.network) if learns else None,
        loss=entry.loss if learns else None,
        backend=backend() if learns else None,
        profile=profile,
        schedule=schedule if learns else None,
        dataset=dataset.name,
        digest=dataset.digest,
        seed=seed,
        versions=stages.versions_of(used),
    )


def parent_of(registry: Registry, row: str) -> str | None:
    """The row whose network a row needs: it labels the fields of this one, or it predicts what this one refines."""
    entry = registry.rows[row]
    if not entry.refine_prediction:
        return entry.teacher
    alike = (name for name, other in registry.rows.items() if _learns_what(registry, other) == _learns_what(registry, entry))
    return next((name for name in alike if not registry.rows[name].refine_prediction), None)


def _learns_what(registry, row):
    return row.method, row.source, row.network or registry.network, row.loss


def lineage(registry: Registry, row: str) -> list[str]:
    """The rows whose networks a row needs, the nearest first."""
    parent = parent_of(registry, row)
    return [parent, *lineage(registry, parent)] if parent else []


def fitted(registry: Registry, dataset: DataSet) -> Registry:
    """The registry with numbers for all that it leaves to the data set: the tile, and settings that are "auto"."""
    images = partial(_images, dataset)
    rows = {name: _fitted(row, images) for name, row in registry.rows.items()}
    return registry.model_copy(update={"tile": tile_of(registry, dataset), "rows": rows})


def _fitted(row: Row, images: Callable[[], Iterable[np.ndarray]]) -> Row:
    left_open = [name for name, value in row.settings.items() if value == AUTO]
    if not left_open:
        return row
    told = row.source.fitted(images).settings
    return row.model_copy(update={"settings": row.settings | {name: told[name] for name in left_open}})


def _images(dataset: DataSet) -> Iterator[np.ndarray]:
    return map(dataset.read_image, sample(dataset.splits["training"]))


def tile_of(registry: Registry, dataset: DataSet) -> int:
    """Side of the tiles in px: that of the registry, or what the test fields need, see `tiles.side_for`."""
    return registry.tile or tiles.side_for(dataset.read_image(name).shape for name in dataset.splits["test"])


def _settings(entry: Row, source: LabelSource, dataset: DataSet) -> dict:
    """A row's settings; what its labels are made of besides the data set is one of them, since changed it makes another run."""
    digest = None if DIGEST in entry.settings else source.digest(dataset)
    return entry.settings | ({DIGEST: digest} if digest else {})


def with_controls(registry: Registry) -> Registry:
    """The registry with a row for each of `harness.sources.controls.CONTROLS`."""
    rows = {name.replace(":", "-"): name for name in Control.choices}
    made = {
        row: External(title=f"Control: {Control(row.partition('-')[2]).title}", labels=name, method=CONTROL)
        for row, name in rows.items()
    }
    taken = [row for row in made if row in registry.rows]
    if taken:
        raise HarnessError(f"the registry has a row '{taken[0]}', as the controls have; call it something else")
    return registry.model_copy(update={"rows": registry.rows | made})


def external(registry: Registry, name: str, labels: str, digest: str | None = None, method: str = EXTERNAL) -> Registry:
    """The registry with one more row, of predictions that another tool made.

    Parameters
    ----------
    registry : Registry
    name : str
        Id of the row, see `ID_RULE`. An external row of this name is replaced.
    labels : str
        `folder:DIR`, the label images of the test fields.
    digest : str, optional
        Of the label images as they were scored; of those that are there when left out.
    method : str
        `EXTERNAL`, or `CEILING` for a second annotation, which shows how far any row can come.

    Raises
    ------
    HarnessError
        The name is that of a row of the file, or no name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise HarnessError(f"{name!r} cannot name a row: {ID_RULE}")
    if name in registry.rows and registry.rows[name].method not in SCORED:
        raise HarnessError(f"'{name}' is a row of the registry; call the external one something else")
    row = External(title=f"{name} ({method})", labels=labels, settings={DIGEST: digest} if digest else {}, method=method)
    return registry.model_copy(update={"rows": registry.rows | {name: row}})


def not_available(row: Row | Spec, dataset: DataSet) -> str | None:
    """What a row needs and a data set, or its label source, does not have.

    Parameters
    ----------
    row : Row or Spec
    dataset : DataSet

    Returns
    -------
    str or None
        What is missing and where, in words; None if the row can be run. Nothing is read.
    """
    if isinstance(row, Spec) and row.learned_on:
        return None if dataset.splits["test"] else f"{dataset.name} has no test fields; name some in its split list"
    for split in ("training", "validation") if row.method == "network" else ("test",):
        if not dataset.splits[split]:
            return f"{dataset.name} has no {split} fields; name some in its split list"
        missing = row.source.missing(dataset, split)
        if missing:
            return missing
    return None


def unavailable(registry: Registry, dataset: DataSet) -> dict[str, str]:
    """The rows of a registry that a data set has not all for: id to what is missing, see `not_available`.

    None where the splits are not known, as of a data set that only runs of an earlier harness tell of.
    """
    if not dataset.splits.keys() >= set(SPLITS):
        return {}
    reasons = {row: not_available(entry, dataset) for row, entry in registry.rows.items()}
    needed = {row: [why for each in (row, *lineage(registry, row)) if (why := reasons[each])] for row in registry.rows}
    return {row: why[0] for row, why in needed.items() if why}


def _check_name(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise HarnessError(f"unknown {kind} '{name}'; there is {_listed(known)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _check_source(row: Row, where: str) -> None:
    try:
        source = open_source(row.labels, row.settings, row.refine)
    except HarnessError as error:
        raise HarnessError(f"{where}.labels: {error}") from error
    if row.method == "classical" and open_source(row.labels).is_truth:  # also with noise
        raise HarnessError(
            f"{where}.labels: {source.name} labels are what rows are scored against; "
            "a classical row needs a label source that looks at the image"
        )


def _check_parent(registry: Registry, name: str, where: str) -> None:
    """Refuse a row that needs a network which no row has, or its own."""
    row, rows = registry.rows[name], registry.rows
    if row.refine_prediction:
        _check_refined(registry, name, f"{where}.refine_prediction")
    elif row.teacher:
        if row.teacher not in rows:
            raise HarnessError(f"{where}.labels: no such row '{row.teacher}'; there is {_listed(rows)}")
        if rows[row.teacher].method != "network" or rows[row.teacher].refine_prediction:
            raise HarnessError(f"{where}.labels: '{row.teacher}' trains no network; name a row that does")
        if row.method != "network":
            raise HarnessError(f"{where}.labels: a network's nuclei are scored in its own row; refine_prediction refines them")
        _check_ends(registry, name, f"{where}.labels")


def _check_refined(registry: Registry, name: str, where: str) -> None:
    row = registry.rows[name]
    if row.method != "network":
        raise HarnessError(f"{where}: the prediction of a classical row is its labels; give the steps as refine")
    parent = parent_of(registry, name)
    if not parent:
        raise HarnessError(f"{where}: no row is the same without it; add the one whose network predicts")
    try:
        open_steps(row.refine_prediction, Predicted())
    except HarnessError as error:
        raise HarnessError(f"{where}: {error}") from error


def _check_ends(registry: Registry, name: str, where: str) -> None:
    chain: list[str] = [name]
    while teacher := registry.rows[chain[-1]].teacher if chain[-1] in registry.rows else None:
        if teacher in chain:
            raise HarnessError(f"{where}: {', '.join(chain)} learn from each other; begin with labels of another source")
        chain.append(teacher)


def _packaged(name: str) -> Path:
    """The registry files are in the wheel; in a checkout they are read from where people edit them."""
    checkout = Path(__file__).parents[2] / "experiments" / name
    return checkout if checkout.exists() else Path(str(files("harness") / "experiments" / name))


def _read(path: Path) -> dict:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read ({error.strerror}); give a registry file in TOML") from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, nested too deep, a number of thousands of digits
        raise HarnessError(f"{path}: is not TOML that can be read: {str(error).splitlines()[0]}") from error


def _validated(model: type[Model], values: dict, path: Path | str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(_shown(part) for part in first["loc"] if part != "[key]")
        raise HarnessError(f"{path}: {key}: {_said(model, first)}") from error


def _shown(part: str | int) -> str:
    """A key as it is, or, where that would not be one word of a line, quoted and cut."""
    return str(part) if re.fullmatch(r"[\w.-]{1,64}", str(part)) else f"{str(part)!r:.70}"


def _said(model: type[BaseModel], fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key; expected one of {', '.join(_fields_at(model, fault['loc'][:-1]))}"
    if fault["type"] == "string_pattern_mismatch":
        return ID_RULE if "[key]" in fault["loc"] else "expected one line of 1 to 200 characters"
    return fault["msg"]


def _fields_at(model: type[BaseModel], location: tuple) -> dict:
    names: dict[str, type[BaseModel]] = {"rows": Row, "tables": Table, "claims": Claim, "network": Network}
    for part in location:
        model = names.get(part, model)
    return model.model_fields
