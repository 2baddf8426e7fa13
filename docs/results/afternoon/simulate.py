"""How well `harness budget` and `harness triage` keep what they promise, simulated on annotated data sets.

    python docs/results/afternoon/simulate.py bbbc039 DIR... --tracking-uri sqlite:///mlflow.db

after `harness run` of the four classical rows on each. Every field of these is annotated, so pilots can be drawn from all of
them, by lot and with replacement, and what they say compared with what all fields say. Writes the tables beside this file.
"""

import argparse
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from harness.apps.known import KINDS, control, cut, of_row, per_field
from harness.core.parallel import over_fields
from harness.experiment.evidence import gather, label_sources, read_labels
from harness.experiment.session import connect, prepare
from harness.report.comparison import influence, swap_test
from harness.scoring import evaluation, metrics, pilot, pooling
from harness.scoring.pilot import Part

HERE = Path(__file__).parent
RESAMPLES = 1000
PILOTS = (4, 6, 10, 20, 40)
METRICS = [*KINDS, *(f"{metric}_fields" for metric in ("f1_50", "f1_75", "jaccard_equal"))]
HALF = 0.02
THRESHES = (0.5, 0.7)  # IoU up to which a label is wrong


def main():
    """Every table of every data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("datasets", nargs="+")
    parser.add_argument("--tracking-uri", default="sqlite:///mlflow.db")
    given = parser.parse_args()
    tables = {"coverage": [], "saved": [], "power": [], "triage": [], "agreement": []}
    for name in given.datasets:
        session = connect(prepare(name), given.tracking_uri)
        evidence = gather(session.dataset, label_sources(session.dataset, session.results(), print), print)
        names, splits = zip(*[(name, split) for split, names in session.dataset.splits.items() for name in names], strict=True)
        scores = _scores(session.dataset, evidence, list(names))
        population = _Population(session.dataset.name, list(names), scores, evidence)
        for table, lines in _all(population).items():
            tables[table] += lines
        tables["triage"] += _triage(session.dataset, evidence, dict(zip(names, splits, strict=True)))
    for table, lines in tables.items():
        pd.DataFrame(lines).to_csv(HERE / f"{table}.csv", index=False, float_format="%.4g")


def _scores(dataset, evidence, names):
    """`pooling.terms` of every row on every field; kept beside this file, for they take minutes."""
    kept = HERE / f"scores-{dataset.name}.csv.gz"
    if not kept.exists():
        lines = [
            {"row": row, "metric": metric, "field": name, "above": above, "below": below}
            for row, folder in evidence.labels.items()
            for name, found in zip(names, over_fields(partial(_score, dataset, folder), names), strict=True)
            for metric, (above, below) in found.items()
        ]
        pd.DataFrame(lines).to_csv(kept, index=False)
    return pd.read_csv(kept).set_index(["row", "metric", "field"]).sort_index()


def _score(dataset, folder, name):
    predicted = evaluation.from_labels(read_labels(folder / f"{name}.png"))
    tables = evaluation.tables({name: evaluation.score_field(predicted, dataset.read_nuclei(name))})
    terms = pooling.terms(tables["per_tile"], tables["per_field"])
    return {metric: tuple(terms[metric].iloc[0]) for metric in (*KINDS, "dice_nuclei") if len(terms[metric])}


class _Population:
    """The annotated fields of a data set, as what pilots are drawn from."""

    def __init__(self, name, names, scores, evidence):
        self.name, self.scores, self.evidence = name, scores, evidence
        apart = pilot.set_apart(per_field(evidence, names)[0])
        self.fields = [name for name, far in zip(names, apart, strict=True) if not far]
        self.agreement, self.nuclei = per_field(evidence, self.fields)
        self.rows = list(evidence.labels)

    def what(self, metric):
        """The score of every row and the difference of every two, as terms and control of every field."""
        made = control(self.evidence, metric, self.fields)
        for weights in [{row: 1.0} for row in self.rows] + [{one: 1.0, two: -1.0} for one, two in combinations(self.rows, 2)]:
            score = [Part(*self.terms(row, metric).to_numpy(float).T, weight) for row, weight in weights.items()]
            yield " - ".join(weights), score, [part for row, weight in weights.items() for part in of_row(made, row, weight)]

    def terms(self, row, metric):
        table = self.scores.loc[row, metric.removesuffix("_fields")].reindex(self.fields, fill_value=0)
        if metric.endswith("_fields"):
            table = (table["above"] / table["below"]).to_frame("above").assign(below=1.0).fillna({"above": 0})
        return table


def _all(population):
    random = np.random.default_rng(0)
    draws = {(fields, by): _draw(population, fields, by, random) for fields in PILOTS for by in ("lot", "budget")}
    tables = {"coverage": [], "saved": [], "power": [], "agreement": _agreement(population)}
    for metric in METRICS:
        for what, score, known in population.what(metric):
            about = {"dataset": population.name, "metric": metric, "what": what}
            for (fields, by), (here, there) in draws.items():
                tables["coverage"].append(
                    about | {"fields": fields, "by": by} | _coverage(population, metric, score, known, here, there)
                )
            tables["saved"].append(about | _saved(score, known))
            if " - " in what and metric.removesuffix("_fields") in ("f1_50", "jaccard_equal"):
                tables["power"].append(about | _power(population, metric, what, random))
    print(population.name, "simulated")
    return tables


def _draw(population, fields, by, random):
    """Positions of the annotated and of the other fields of each resample, of as many fields as there are."""
    count = len(population.fields)
    drawn = random.integers(0, count, (RESAMPLES, count))
    if by == "lot":
        return drawn[:, :fields], drawn[:, fields:]
    nothing, every = np.zeros(count, bool), np.ones(count, bool)
    chosen = np.array([pilot.next_fields(population.agreement[line], nothing, every, fields) for line in drawn])
    rest = np.array([np.delete(line, positions) for line, positions in zip(drawn, chosen, strict=True)])
    return np.take_along_axis(drawn, chosen, axis=1), rest


def _coverage(population, metric, score, known, here, there):
    truth = sum(part.weight * part.above.sum() / part.below.sum() for part in score)
    found = pilot.estimate(cut(score, here), cut(known, here), cut(known, there))
    alone = pilot.estimate(cut(score, here), [], [])
    nuclei = None if metric.endswith("_fields") else population.nuclei[np.hstack([here, there])]
    answered = ~np.any(
        [holds for _, holds in pilot.objections(cut(score, here), cut(known, here), cut(known, there), nuclei)], axis=0
    )
    shares = {
        f"coverage{name}": _share((each.low <= truth) & (truth <= each.high), answered)
        for name, each in (("", found), ("_alone", alone))
    }
    shares["coverage_unrefused"] = _share((found.low <= truth) & (truth <= found.high), np.ones_like(answered))
    halves = {f"half{name}": float(np.median((each.high - each.low) / 2)) for name, each in (("", found), ("_alone", alone))}
    return {"truth": truth, "refused": 1 - answered.mean(), **shares, **halves}


def _share(inside, answered):
    return float(inside[answered].mean()) if answered.sum() >= RESAMPLES / 20 else np.nan


def _saved(score, known):
    """Annotated fields for +- HALF with and without the control variate, beside any number of others."""
    count = len(score[0].above)
    found, alone = pilot.estimate(score, known, known, prior=0), pilot.estimate(score, [], [])
    needed = pilot.fields_for_width(found._replace(variance=_residual(score, known), floor=0.0), HALF)
    without = pilot.fields_for_width(alone, HALF)
    return {"population": count, "fields": needed, "fields_alone": without, "saved": 1 - needed / without}


def _residual(score, known):
    """Variance of a field's score about the line through the control variate."""
    y, x = (_influence(parts) for parts in (score, known))
    line = (x * y).sum() / (x * x).sum() if (x * x).sum() > 0 else 0.0
    return float(((y - line * x) ** 2).sum() / (len(y) - 2))


def _influence(parts):
    return sum(part.weight * influence(pd.DataFrame({"above": part.above, "below": part.below})).to_numpy() for part in parts)


def _power(population, metric, what, random):
    """Fields planned for a power of 0.8, from all fields and from pilots of 20, and how many the permutation test then needs."""
    one, two = (population.terms(row, metric) for row in what.split(" - "))
    planned = _planned(one, two)
    pilots = [_planned(one.iloc[line], two.iloc[line]) for line in random.integers(0, len(one), (RESAMPLES // 5, 20))]
    quartiles = np.quantile([each or np.inf for each in pilots], [0.25, 0.5, 0.75], method="nearest")
    of_pilots = dict(zip(("pilots_low", "pilots_median", "pilots_high"), quartiles, strict=True))
    many = not planned or planned > 200  # no use in resampling 200 fields a thousand times over
    return {"planned": planned, "needed": np.nan if many else _needed(one, two, planned, random), **of_pilots}


def _planned(one, two):
    difference = (one["above"].sum() / one["below"].sum()) - (two["above"].sum() / two["below"].sum())
    return pilot.fields_for_power(difference, float((influence(one) - influence(two)).std()))


def _needed(one, two, planned, random):
    """The fewest fields with which resampling finds the difference in 80 % of cases, by bisection."""
    few, many = pilot.LEAST_FOR_TEST, 3 * max(planned, pilot.LEAST_FOR_TEST)
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if _found(one, two, middle, random) >= 0.8 else (middle + 1, many)
    return few


def _found(one, two, fields, random):
    drawn = random.integers(0, len(one), (RESAMPLES, fields))
    return np.mean([swap_test(one.iloc[line], two.iloc[line], swaps=999) < pilot.ALPHA for line in drawn])


def _agreement(population):
    """What agreement alone would say of the rows, beside what is true."""
    lines = []
    for metric, kind in {**KINDS, "dice_nuclei": "foreground"}.items():
        for row in population.rows:
            mine = population.evidence.pairs.query("row == @row or other == @row")
            true = population.terms(row, metric)
            agreed = mine[f"{kind}_above"].sum() / mine[f"{kind}_below"].sum()
            lines.append(
                {
                    "dataset": population.name,
                    "metric": metric,
                    "row": row,
                    "agreement": agreed,
                    "true": true["above"].sum() / true["below"].sum(),
                }
            )
    return lines


# ---- triage


def _triage(dataset, evidence, splits):
    """Share of the wrong labels that are found in the worst tenth of the nuclei."""
    learned = dataset.name == "bbbc039"  # from whose training fields the constants come
    names = [name for name, split in splits.items() if not (learned and split == "training")]
    lines = []
    for row, folder in evidence.labels.items():
        own = evidence.nuclei.query("row == @row and field in @names").copy()
        wrong = pd.concat(over_fields(partial(wrong_labels, dataset, folder), names))
        about = {"dataset": dataset.name, "row": row}
        lines += [about | {"thresh": thresh} | _found_in_worst(own, wrong, thresh) for thresh in THRESHES]
    return lines


def wrong_labels(dataset, folder, name):
    """Of each nucleus of the label image its largest IoU with an annotated one of 25 px at least, and the missed ones."""
    true, labels = dataset.read_nuclei(name), read_labels(folder / f"{name}.png")
    areas = np.bincount(true.ravel())
    true = np.where(areas[true] >= 25, true, 0)
    iou = metrics.iou_matrix(true, labels)
    ids = np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1
    return pd.DataFrame({"field": name, "label": ids, "iou": iou.max(axis=0) if len(iou) else np.zeros(len(ids))})


def _found_in_worst(own, wrong, thresh):
    nuclei = own[own["kind"] == "label"].merge(wrong, on=["field", "label"])
    nuclei["wrong"] = nuclei["iou"] <= thresh
    worst = nuclei.nlargest(round(0.1 * len(nuclei)), "doubt")
    return {
        "nuclei": len(nuclei),
        "wrong": nuclei["wrong"].mean(),
        "found": worst["wrong"].sum() / nuclei["wrong"].sum(),
        "most_possible": min(1, 0.1 / nuclei["wrong"].mean()),
        "by_lot": 0.1,
        "doubt": nuclei["doubt"].mean(),
    }


if __name__ == "__main__":
    main()
