"""Everything a report says, before any of it is drawn or written."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import pandas as pd

from harness.datasets import DataSet
from harness.experiment.registry import Registry, tile_of, unavailable
from harness.experiment.results import RowResults, collect, read_all, same_hash, stack
from harness.experiment.spec import Spec
from harness.experiment.tracking import Run
from harness.report import claims, damage, margins, noise, tables
from harness.report.rescoring import rescore_all, same_prediction
from harness.report.transfer import pairs
from harness.scoring import names, objects, pixels


@dataclass(frozen=True)
class Content:
    """What the runs at hand come to.

    Attributes
    ----------
    registry : Registry
    results : dict of str to RowResults
        Every row of the registry with the runs that count.
    dataset : DataSet
    profile : str
    recomputed : bool
        Whether the stored predictions were scored again.
    boot : dict of (str, str) to ndarray
        Row and metric to its values on resamples, see `harness.report.tables.resampled`.
    per_field : DataFrame
        What the runs stored of each field, with the columns row, seed and run_id.
    field_scores : DataFrame
        The scores of `harness.scoring.names.TABLES` of each field: index row and field, means over seeds.
    scores, effect, claims, margins, sensitivity, wrong_pixels, density, errors, timings, run_details : DataFrame
        See `harness.report.claims.check`, `harness.report.margins.check`, `harness.scoring.objects.errors` and functions of
        `harness.report.tables`.
    quality, outlines, crowding : DataFrame
        See `harness.report.tables.measured`.
    noise : DataFrame
        See `harness.report.noise.doses`.
    transfer : DataFrame
        See `harness.report.transfer.pairs`.
    """

    registry: Registry
    results: dict[str, RowResults]
    dataset: DataSet
    profile: str
    recomputed: bool
    boot: tables.Boot
    per_field: pd.DataFrame
    field_scores: pd.DataFrame
    scores: pd.DataFrame
    effect: pd.DataFrame
    claims: pd.DataFrame
    margins: pd.DataFrame
    noise: pd.DataFrame
    sensitivity: pd.DataFrame
    quality: pd.DataFrame
    outlines: pd.DataFrame
    crowding: pd.DataFrame
    wrong_pixels: pd.DataFrame
    density: pd.DataFrame
    errors: pd.DataFrame
    timings: pd.DataFrame
    transfer: pd.DataFrame
    run_details: pd.DataFrame

    @property
    def done(self) -> list[RowResults]:
        """The rows that have a run that counts."""
        return [result for result in self.results.values() if result.runs]

    @property
    def tile(self) -> int:
        """Side of the tiles in px."""
        return tile_of(self.registry, self.dataset)

    @property
    def titles(self) -> dict[str, str]:
        """What the rows are called."""
        return {name: row.title for name, row in self.registry.rows.items()}


OWN_TABLES = (
    "effect",
    "claims",
    "margins",
    "noise",
    "sensitivity",
    "quality",
    "outlines",
    "crowding",
    "wrong_pixels",
    "density",
    "errors",
    "timings",
    "transfer",
)


def gather(
    registry: Registry,
    resolve: Callable[[str, int], Spec],
    dataset: DataSet,
    profile: str,
    runs: list[Run],
    recompute: bool = False,
    figures: bool = True,
) -> Content:
    """Work out what a report says; parameters are those of `harness.report.write`."""
    results = collect(registry, resolve, runs, unavailable(registry, dataset), same_prediction if recompute else same_hash)
    results = damage.set_aside(results, dataset, tables=not recompute, first=figures and dataset.at_hand)
    results, table_of = _sources(results, dataset, recompute)
    per_field, variants = (table_of(name, results) for name in ("per_field", "sensitivity"))
    boot = _resampled(results, table_of, per_field)
    again = partial(_resampled, table_of=table_of, per_field=per_field)
    scores = tables.scores(registry, dataset.name, results, boot)
    published = {(cell.row, cell.metric): cell.published for cell in scores.itertuples()}
    sensitivity = _or_empty(tables.sensitivity, variants)
    of_pixels = _stored(per_field, pixels.RIGHT[0])
    return Content(
        registry=registry,
        results=results,
        dataset=dataset,
        profile=profile,
        recomputed=recompute,
        boot=boot,
        per_field=per_field,
        field_scores=_mean_over_seeds(per_field),
        scores=scores,
        effect=tables.protocol_effect(results, boot, sensitivity),
        claims=claims.check(claims.Evidence(results, boot, published)),
        margins=margins.check(registry, boot),
        noise=noise.doses(results, cache(partial(tables.of_seeds, results=results, boot=boot, again=again))),
        sensitivity=sensitivity,
        quality=tables.measured(boot, results, names.QUALITY),
        outlines=tables.measured(boot, results, names.OUTLINES),
        crowding=tables.measured(boot, results, names.CROWDING),
        wrong_pixels=_or_empty(tables.wrong_pixels, of_pixels),
        density=_or_empty(tables.by_density, of_pixels),
        errors=_or_empty(objects.errors, _stored(per_field, "iou_sum")),
        timings=tables.timings(results, _count_tiles(results, table_of)),
        transfer=pairs(registry, profile),
        run_details=tables.run_details(results),
    )


def _sources(results, dataset, recompute):
    """The runs that count, and a function that gives a table of them by name: as stored, or scored today."""
    if not recompute:
        return results, lambda name, of: read_all(of, f"{name}.csv")
    results, again = rescore_all(results, dataset)
    return results, lambda name, of: stack(of, lambda run: again[run.run_id][name])


def _resampled(results, table_of, per_field):
    runs = [run.run_id for result in results.values() for run in result.runs]
    of_runs = per_field[per_field["run_id"].isin(runs)] if len(per_field) else per_field
    return tables.resampled(results, partial(table_of, "per_tile"), of_runs)


def _count_tiles(results, table_of):
    done = [result._replace(runs=result.runs[:1]) for result in results.values() if result.runs]
    return len(table_of("per_tile", {done[0].name: done[0]})) if done else 0


def _mean_over_seeds(per_field):
    return per_field.groupby(["row", "field"], sort=False)[list(names.TABLES)].mean() if len(per_field) else per_field


def _stored(per_field, column):
    """Without the runs of an earlier harness, which did not store such a column."""
    return per_field.dropna(subset=column) if column in per_field else pd.DataFrame()


def _or_empty(make, stored):
    return make(stored) if len(stored) else stored
