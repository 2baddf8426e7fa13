"""The tables of a report as DataFrames; nothing here knows markdown."""

import numpy as np
import pandas as pd

from harness.experiment.results import ratios, runs_of
from harness.report.statistics import bootstrap, interval
from harness.scoring.metrics import PROTOCOLS

DECIMALS = 3
# Paper, section 3.3: ms for one training step (batch 1) and for one tile at inference, on the authors' GPU.
PUBLISHED_TIMES = {"step_ms": 43.0, "tile_ms": 12.0}


def resampled(results, per_tile_of):
    """Values of every row and metric on resampled fields.

    Parameters
    ----------
    results : dict of str to RowResults
    per_tile_of : callable
        {row: RowResults} to the stacked per_tile tables of its runs. Asked for row by row: a thousand runs at once
        would fill the memory.

    Returns
    -------
    dict of (str, str) to ndarray
        See `harness.report.statistics.bootstrap`.
    """
    boot = {}
    for row, result in results.items():
        per_tile = per_tile_of({row: result})
        if len(per_tile):
            boot |= {(row, metric): bootstrap(table.droplevel("row")) for metric, table in ratios(per_tile).items()}
    return boot


def scores(registry, dataset, results, boot):
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
        n (seeds), low, high (95 % bootstrap interval over fields), published, difference, best.
    """
    published = {row: registry.published(row, dataset) for row in registry.rows}
    cells = [
        _cell(name, metric, results[row], boot, published[row].get(metric, np.nan))
        for name, table in registry.tables.items()
        for metric in table.metrics
        for row in registry.rows
    ]
    frame = pd.DataFrame(cells)
    rounded = frame["value"].round(DECIMALS)
    frame["best"] = rounded.notna() & (rounded == rounded.groupby([frame["table"], frame["metric"]]).transform("max"))
    return frame


def _cell(table, metric, result, boot, published):
    values = metric_values(result, metric)
    value = values.mean() if len(values) else np.nan
    bounds = interval(boot[result.name, metric])[1:] if len(values) else (np.nan, np.nan)
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


def metric_values(result, metric):
    """What the runs of a row gave, as MLflow holds it: a Series by run id, without the runs where it is undefined."""
    values = {run.run_id: run.metrics[metric] for run in result.runs if metric in run.metrics}
    return pd.Series(values, dtype=float)


def protocol_effect(results, boot, sensitivity):
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


def learned_from(results, done=True):
    """Pairs of a network row and the classical row whose labels it was trained on."""
    return [
        (network.name, classical.name)
        for network in results.values()
        for classical in results.values()
        if (network.row.method, classical.row.method) == ("network", "classical")
        and (network.row.labels, network.row.settings) == (classical.row.labels, classical.row.settings)
        and (not done or (network.runs and classical.runs))
    ]


def sensitivity(stored):
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


def timings(results, tiles):
    """Seconds that the runs took, beside the published times.

    Parameters
    ----------
    results : dict of str to RowResults
    tiles : int
        Number of test tiles.

    Returns
    -------
    DataFrame
        row, title, step_ms (one training step), tile_ms (one tile at inference), their published values, and the
        seconds for labels, training, prediction and scoring; means over seeds.
    """
    lines = []
    for result in results.values():
        seconds = pd.DataFrame([_under("seconds_", run.metrics) for run in result.runs]).mean()
        line = {
            "row": result.name,
            "title": result.row.title,
            "step_ms": 1000 * seconds.get("step", np.nan),
            "tile_ms": 1000 * seconds.get("prediction", np.nan) / tiles if tiles else np.nan,
        }
        if result.row.method == "network":
            line |= {f"{key}_published": value for key, value in PUBLISHED_TIMES.items()}
        lines.append(line | {key: seconds.get(key, np.nan) for key in ("labels", "training", "prediction", "scoring")})
    return pd.DataFrame(lines)


def run_details(results):
    """One line per run that counts: row, seed, run_id, spec_hash, whatever else its tags say, and its stages."""
    known = ("row", "seed", "spec_hash", "profile", "dataset", "labels", "method")
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
