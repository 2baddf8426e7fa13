"""The tables of a report as DataFrames; nothing here knows markdown."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from harness.experiment.registry import CEILING, Registry
from harness.experiment.results import RowResults, runs_of
from harness.report.statistics import NOTHING, bootstrap, interval
from harness.scoring import pixels, pooling
from harness.scoring.metrics import PROTOCOLS
from harness.scoring.names import METRICS, logged

Results = dict[str, RowResults]
Boot = dict[tuple[str, str], np.ndarray]

# Paper, section 3.3, on the authors' machines: a training step (batch 1) and a tile at inference in ms; an epoch of 3,200
# steps and the 200 test tiles in s; initial segmentation and post-processing by CellProfiler in s an image.
PUBLISHED_TIMES = {"step_ms": 43.0, "epoch_s": 140.0, "tile_ms": 12.0, "test_s": 2.0, "label_s": 5.0, "postprocess_s": 9.0}
EPOCH = 3200
CELL = ["table", "row", "title", "metric", "state", "value", "sd", "n", "low", "high", "published", "difference", "printed"]
BUSY = 0.1  # of the cores' time, taken by other processes: more makes a time no benchmark


def resampled(results: Results, per_tile_of: Callable[[Results], pd.DataFrame], per_field: pd.DataFrame) -> Boot:
    """Values of every row and metric on resampled fields and seeds.

    Parameters
    ----------
    results : dict of str to RowResults
    per_tile_of : callable
        {row: RowResults} to the stacked per_tile tables of its runs. Asked for row by row: a thousand runs at once
        would fill the memory.
    per_field : DataFrame
        The stacked per_field tables of all runs.

    Returns
    -------
    dict of (str, str) to ndarray
        See `harness.report.statistics.bootstrap`.
    """
    boot: Boot = {}
    for row, result in results.items():
        if result.runs:
            made = pooling.terms(per_tile_of({row: result}), per_field[per_field["row"] == row])
            values = {metric: bootstrap(table.droplevel("row")) for metric, table in made.items() if len(table)}
            boot |= {(row, metric): each for metric, each in pooling.with_average_precision(values).items()}
    return boot


def of_seeds(row: str, seeds: frozenset[int], results: Results, boot: Boot, again: Callable[[Results], Boot]) -> Boot:
    """The values of a row over some of its seeds alone.

    Parameters
    ----------
    row : str
    seeds : frozenset of int
    results : dict of str to RowResults
    boot : dict of (str, str) to ndarray
        See `resampled`: of each row over all seeds that it has.
    again : callable
        The same of other runs; asked for where the row has other seeds, too.
    """
    if seeds == results[row].seeds:
        return boot
    return again({row: results[row]._replace(runs=[run for run in results[row].runs if run.seed in seeds])})


def scores(registry: Registry, dataset: str, results: Results, boot: Boot) -> pd.DataFrame:
    """Every cell of every table.

    Parameters
    ----------
    registry : harness.experiment.registry.Registry
    dataset : str
        Name of the data set.
    results : dict of str to RowResults
    boot : dict of (str, str) to ndarray
        See `resampled`.

    Returns
    -------
    DataFrame
        table, row, title, metric, state, value (mean over seeds), sd (sample standard deviation, from two seeds on),
        n (seeds), low, high (95 % bootstrap interval), published, difference, printed (whether the paper's table has
        the row; such rows come first), best (of the rows that did not see the annotation).
    """
    published = {row: registry.published(row, dataset) for row in registry.rows}
    cells = [
        _cell(name, metric, results[row], boot, published[row].get(metric, np.nan)) | {"printed": printed}
        for name, table in registry.tables.items()
        for metric in table.metrics
        for row, printed in _printed_first(registry.rows, table.published)
    ]
    frame = pd.DataFrame(cells, columns=CELL)
    return frame.assign(best=best(frame, ["table", "metric"], results))


def _printed_first(rows, published):
    """Rows and whether the paper prints them, which is all of them where it prints nothing."""
    return sorted(((row, row in published or not published) for row in rows), key=lambda row: not row[1])


def best(frame: pd.DataFrame, within: list[str], results: Results) -> pd.Series:
    """Which values are the best of their group, as far as is shown: a boolean for each line of metric, row and value.

    A row that learned from the annotation itself is what the others are measured by, and out of the competition.
    """
    competes = frame["value"].notna() & ~frame["row"].map(lambda row: is_reference(results, row))
    rank = pd.Series(
        [METRICS[metric].rank(value) for metric, value in zip(frame["metric"], frame["value"], strict=True)], frame.index
    ).where(competes)
    return competes & (rank == rank.groupby([frame[name] for name in within]).transform("max"))


def is_reference(results: Results, name: str) -> bool:
    """Whether a row learned from the annotation that all rows are scored against, or is another annotation."""
    row = results[name].row
    learned = row.source.is_truth or bool(row.teacher and is_reference(results, row.teacher))
    return learned or row.method == CEILING


def _cell(table, metric, result, boot, published):
    values = metric_values(result, metric)
    value = values.mean() if len(values) else np.nan
    bounds = interval(boot[result.name, metric])[1:] if (result.name, metric) in boot and len(values) else (np.nan, np.nan)
    return {
        "table": table,
        "row": result.name,
        "title": result.row.title,
        "metric": metric,
        "state": result.state if len(values) or not result.runs else "undefined",
        "value": value,
        "sd": values.std(),
        "n": len(values),
        "low": bounds[0],
        "high": bounds[1],
        "published": published,
        "difference": value - published,
    }


def metric_values(result: RowResults, metric: str) -> pd.Series:
    """What the runs of a row gave, as MLflow holds it: a Series by run id, without the runs where it is undefined."""
    name = logged(metric)
    values = {run.run_id: run.metrics[name] for run in result.runs if name in run.metrics}
    return pd.Series(values, dtype=float)


def measured(boot: Boot, results: Results, metrics: Iterable[str]) -> pd.DataFrame:
    """Metrics with their intervals, of the rows that have any of them.

    Returns
    -------
    DataFrame
        row, metric, value (mean over seeds), low, high, best; a line for every metric of such a row.
    """
    metrics = list(metrics)
    lines = [
        {"row": row, "metric": metric, **interval(boot.get((row, metric), NOTHING))._asdict()}
        for row in results
        if any((row, metric) in boot for metric in metrics)
        for metric in metrics
    ]
    frame = pd.DataFrame(lines, columns=["row", "metric", "value", "low", "high"])
    return frame.assign(best=best(frame, ["metric"], results)) if len(frame) else frame


# ---- the protocols


def protocol_effect(results: Results, boot: Boot, sensitivity: pd.DataFrame) -> pd.DataFrame:
    """What the protocol and what learning add to the Jaccard index of a row's labels.

    Parameters
    ----------
    results : dict of str to RowResults
    boot : dict of (str, str) to ndarray
        See `resampled`.
    sensitivity : DataFrame
        What the function of that name gave.

    Returns
    -------
    DataFrame
        One line for each network row whose labels are also a classical row, where both are done: network,
        classical, and per protocol (`jaccard`, `jaccard_equal`) the value of both and the gain, with bounds;
        `between`: the values half way from `paper` to `equal`, on tiles but with each object eroded.
    """
    lines, halfway = [], _halfway(sensitivity)
    for network, classical in learned_from(results):
        line = {
            "network": network,
            "classical": classical,
            "between_network": halfway.get(network, np.nan),
            "between_classical": halfway.get(classical, np.nan),
        }
        for metric in ("jaccard", "jaccard_equal"):
            learned, given = boot[network, metric], boot[classical, metric]
            line |= {f"{metric}_classical": given[0], f"{metric}_network": learned[0]}
            line |= {f"{metric}_gain_{key}": v for key, v in interval(learned - given)._asdict().items()}
        lift = interval(boot[classical, "jaccard_equal"] - boot[classical, "jaccard"])
        lines.append(line | {f"protocol_lift_{key}": v for key, v in lift._asdict().items()})
    return pd.DataFrame(lines)


def _halfway(sensitivity):
    if not len(sensitivity):
        return {}
    (_, smallest), (erosion, _) = PROTOCOLS["paper"], PROTOCOLS["equal"]
    return (
        sensitivity[(sensitivity["unit"] == "tile") & (sensitivity["erosion"] == erosion) & (sensitivity["smallest"] == smallest)]
        .set_index("row")["jaccard"]
        .to_dict()
    )


def learned_from(results: Results, done: bool = True) -> list[tuple[str, str]]:
    """Pairs of a network row and the classical row whose labels it was trained on; a refined prediction is not training's."""
    return [
        (network.name, classical.name)
        for network in results.values()
        for classical in results.values()
        if (network.row.method, classical.row.method) == ("network", "classical")
        and network.row.source == classical.row.source
        and not network.row.refine_prediction
        and (not done or (network.runs and classical.runs))
    ]


def sensitivity(stored: pd.DataFrame) -> pd.DataFrame:
    """Jaccard index under every erosion and smallest nucleus.

    Parameters
    ----------
    stored : DataFrame
        `stack` of the runs' sensitivity.csv.

    Returns
    -------
    DataFrame
        row, erosion, unit ("tile" or "field"), smallest (px), jaccard (mean over seeds).
    """
    jaccard = stored["matched"] / (stored["annotated"] + stored["predicted"] - stored["matched"])
    keys = ["row", "erosion", "unit", "smallest"]
    return stored.assign(jaccard=jaccard).groupby(keys, sort=False)["jaccard"].mean().reset_index()


# ---- why Dice stays below 1


def wrong_pixels(per_field: pd.DataFrame) -> pd.DataFrame:
    """Where the pixels lie that keep Dice of the nuclei below 1.

    Parameters
    ----------
    per_field : DataFrame
        The stacked per_field tables of runs that stored `harness.scoring.pixels.dice_errors`.

    Returns
    -------
    DataFrame
        row; the wrong pixels of each kind as shares of the annotated area of class nucleus, pooled over the test tiles;
        dice, pooled; dice_rim, if all within 2 px of the annotated outline were right; means over seeds.
    """
    kinds = [*pixels.FALSE_FOREGROUND, *pixels.FALSE_BACKGROUND]
    sums = per_field.groupby(["row", "seed"], sort=False)[[*pixels.RIGHT, *kinds]].sum()
    shares = sums[["px_both", *kinds]].div(sums["px_annotated"], axis=0)
    extra, lacking = (shares[list(names)].sum(axis=1) for names in (pixels.FALSE_FOREGROUND, pixels.FALSE_BACKGROUND))
    rim_right = 2 * (shares["px_both"] + shares["fn_rim"])
    rest = extra - shares["fp_1px"] - shares["fp_2px"] + lacking - shares["fn_rim"]
    shares["dice"] = 2 * shares["px_both"] / (2 * shares["px_both"] + extra + lacking)
    shares["dice_rim"] = rim_right / (rim_right + rest)
    return shares.drop(columns="px_both").groupby("row", sort=False).mean().reset_index()


def by_density(per_field: pd.DataFrame) -> pd.DataFrame:
    """Scores of the sparser and the denser half of the test fields.

    Returns
    -------
    DataFrame
        row, half ("sparse", "dense"), nuclei (annotated a field, mean), and the means over fields and seeds of dice_nuclei,
        outline_offset, nsd.
    """
    nuclei = per_field.groupby("field")["annotated"].first().rank(method="first")
    half = per_field["field"].map(nuclei <= len(nuclei) / 2).map({True: "sparse", False: "dense"})
    columns = ["annotated", "dice_nuclei", "outline_offset", "nsd"]
    means = (
        per_field.assign(half=half).groupby(["row", "half"], sort=False)[columns].mean().rename(columns={"annotated": "nuclei"})
    )
    order = {row: at for at, row in enumerate(per_field["row"].unique())}
    return means.reset_index().sort_values(["row", "nuclei"], key=lambda each: each.map(order) if each.name == "row" else each)


# ---- times, and the runs


def timings(results: Results, tiles: int) -> pd.DataFrame:
    """Seconds that the runs took.

    Parameters
    ----------
    results : dict of str to RowResults
    tiles : int
        Number of test tiles.

    Returns
    -------
    DataFrame
        row, title; step_ms (one training step, without validation), epoch_s (`EPOCH` such steps), tile_ms (one tile at
        inference, without reading), test_s (all test tiles), label_s and postprocess_s (processor time of one field); busy
        (whether other processes took over `BUSY` of the cores' time in training or prediction); and for whole runs the
        seconds of labels, training, prediction and scoring, beside processor time (`_cpu`) of two of them. Means over seeds.
    """
    lines = []
    for result in results.values():
        seconds = pd.DataFrame([_under("seconds_", run.metrics) for run in result.runs]).mean()
        step, tile = seconds.get("train_step", np.nan), seconds.get("tile", np.nan)
        lines.append(
            {
                "row": result.name,
                "title": result.row.title,
                "step_ms": 1000 * step,
                "epoch_s": EPOCH * step,
                "tile_ms": 1000 * tile,
                "test_s": tiles * tile,
                "label_s": seconds.get("label_field", np.nan),
                "postprocess_s": seconds.get("postprocess_field", np.nan),
                "busy": any(_busy(run) for run in result.runs),
            }
            | {name: seconds.get(name, np.nan) for name in WHOLE}
        )
    return pd.DataFrame(lines)


def _busy(run):
    cores = float(run.tags.get("harness.cores", 1))
    return any(
        run.metrics.get(f"seconds_{stage}_others", 0) > BUSY * cores * run.metrics.get(f"seconds_{stage}", np.inf)
        for stage in ("training", "prediction")
    )


WHOLE = ("labels", "training", "training_cpu", "prediction", "prediction_cpu", "scoring")


def run_details(results: Results) -> pd.DataFrame:
    """One line per run that counts: row, seed, run_id, spec_hash, whatever else its tags say, and its stages.

    A finished run may have failed before it went on; that is no news of what it came to.
    """
    known = ("row", "seed", "spec_hash", "profile", "dataset", "labels", "method", "failure")
    lines = []
    for run in runs_of(results):
        said, stages = _under("harness.", run.tags), _under("versions.", run.params)
        lines.append(
            {
                "row": run.row,
                "seed": run.seed,
                "run_id": run.run_id,
                "spec_hash": run.spec_hash,
                **{key: value for key, value in said.items() if key not in known},
                "stages": " ".join(f"{stage}:{version}" for stage, version in stages.items()),
            }
        )
    return pd.DataFrame(lines)


def _under(prefix, values):
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}
