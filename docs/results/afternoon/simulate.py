"""How well `harness budget` and `harness triage` keep what they promise, simulated on annotated data sets.

    python docs/results/afternoon/simulate.py OUT MEASURED...

after measure.py, and networks.py, made the folders MEASURED. Every field of these is annotated, so pilots can be drawn from
all of them, by lot and with replacement, and what they say compared with what all fields say. Writes the tables into OUT.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd

from harness.apps.known import KINDS, control, cut, of_row, per_field
from harness.experiment.evidence import Evidence
from harness.report.comparison import EXACT, influence
from harness.scoring import pilot
from harness.scoring.pilot import Part

RESAMPLES = 1000
PILOTS = (4, 6, 10, 20, 40)
METRICS = ("f1_50", "jaccard_equal", "f1_50_fields", "jaccard_equal_fields")
OF_POWER = ("f1_50", "f1_50_fields", "jaccard_equal")
HALF = 0.02
THRESHES = (0.5, 0.7)  # IoU up to which a label is wrong
SWAPS = 499  # random exchanges, where the fields are too many for all
REFINED = "half-contrast"
SEEN = "bbbc039"  # from whose training fields the constants of doubt come


def main():
    """Every table of every data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("measured", nargs="+", type=Path)
    given = parser.parse_args()
    tables = {"coverage": [], "saved": [], "power": [], "triage": [], "agreement": []}
    for folder in given.measured:
        population = Population(folder)
        for table, make in (("coverage", _coverages), ("saved", _savings), ("power", _powers)):
            tables[table] += make(population)
        if "truth" in population.tables:
            tables["triage"] += _triages(population)
            tables["agreement"] += _agreements(population)
        print(folder.name, "simulated", flush=True)
    for table, lines in tables.items():
        pd.DataFrame(lines).to_csv(given.out / f"{table}.csv", index=False, float_format="%.4g")


class Population:
    """The annotated fields of a data set, as what pilots are drawn from."""

    def __init__(self, folder):
        made = {path.name.split(".")[0]: pd.read_csv(path) for path in folder.glob("*.csv.gz")}
        self.name, self.tables, pairs = folder.name, made, made["pairs"]
        self.evidence = Evidence(made["nuclei"], pairs[pairs["other"] != REFINED], {})
        self.scores = made["scores"].set_index(["row", "metric", "field"])[["above", "below"]].sort_index()
        self.every = made["scores"]["field"].unique().tolist()
        apart = pilot.set_apart(per_field(self.evidence, self.every)[0])
        self.fields = [name for name, far in zip(self.every, apart, strict=True) if not far]
        self.agreement, self.nuclei = per_field(self.evidence, self.fields)
        self.rows = [row for row in made["scores"]["row"].unique() if row != REFINED]

    def what(self, metric):
        """The score of every row and the difference of every two, as terms and control of every field."""
        made = control(self.evidence, metric, self.fields)
        for weights in [{row: 1.0} for row in self.rows] + [{one: 1.0, two: -1.0} for one, two in combinations(self.rows, 2)]:
            known = [part for row, weight in weights.items() for part in of_row(made, row, weight)]
            yield " - ".join(weights), self.score(weights, metric, self.fields), known

    def score(self, weights, metric, fields):
        """A sum of rows' scores with some weights."""
        return [Part(*self.terms(row, metric, fields).to_numpy(float).T, weight) for row, weight in weights.items()]

    def terms(self, row, metric, fields=None):
        """`above` and `below` of the fields that are not set apart, or of others."""
        table = self.scores.loc[row, metric.removesuffix("_fields")].reindex(fields or self.fields)
        if metric.endswith("_fields"):
            table = (table["above"] / table["below"]).to_frame("above").assign(below=1.0).fillna({"above": 0})
        return table


# ---- intervals


def _coverages(population):
    random, lines = np.random.default_rng(0), []
    pilots = [fields for fields in PILOTS if fields <= len(population.fields) / 2]
    draws = {(fields, by): _draw(population, fields, by, random) for fields, by in product(pilots, ("lot", "budget"))}
    for metric in METRICS:
        for what, score, known in population.what(metric):
            about = {"dataset": population.name, "metric": metric, "what": what}
            lines += [
                about | {"fields": fields, "by": by} | _coverage(population, metric, score, known, *drawn)
                for (fields, by), drawn in draws.items()
            ]
    return lines


def _draw(population, fields, by, random):
    """Positions of the annotated and of the other fields of each resample, of as many fields as there are."""
    count = len(population.fields)
    drawn = random.integers(0, count, (RESAMPLES, count))
    if by == "budget":
        nothing, every = np.zeros(count, bool), np.ones(count, bool)
        chosen = [pilot.next_fields(population.agreement[line], nothing, every, fields) for line in drawn]
        drawn = np.array([[*line[at], *np.delete(line, at)] for line, at in zip(drawn, chosen, strict=True)])
    return drawn[:, :fields], drawn[:, fields:]


def _coverage(population, metric, score, known, here, there):
    truth = sum(part.weight * part.above.sum() / part.below.sum() for part in score)
    parts = cut(score, here), cut(known, here), cut(known, there)
    nuclei = None if metric.endswith("_fields") else population.nuclei[np.hstack([here, there])]
    refused = {why: holds for why, holds in pilot.objections(*parts, nuclei) if holds.any()}
    answered = ~np.any(list(refused.values()), axis=0) if refused else np.ones(RESAMPLES, bool)
    line = {"truth": truth, "refused": 1 - answered.mean()}
    for name, found in (("", pilot.estimate(*parts)), ("_alone", pilot.estimate(parts[0], [], []))):
        inside = (found.low <= truth) & (truth <= found.high)
        line |= {f"coverage{name}": inside[answered].mean() if answered.sum() >= RESAMPLES / 20 else np.nan}
        line |= {f"coverage_unrefused{name}": inside.mean(), f"half{name}": np.median(found.high - found.low) / 2}
        line |= {f"error{name}": np.sqrt(np.mean((found.value - truth) ** 2))}
    return line | {"why": max(refused, key=lambda why: refused[why].sum(), default="")}


# ---- fields


def _savings(population):
    """Annotated fields for +- HALF of each row's score; first of all fields without control, then of those not set apart."""
    for metric in METRICS:
        for what, score, known in population.what(metric):
            if what in population.rows:
                about = {"dataset": population.name, "metric": metric, "row": what, "population": len(population.fields)}
                every = pilot.estimate(population.score({what: 1.0}, metric, population.every), [], [])
                apart = {"apart": len(population.every) - len(score[0].above), "fields_every": _for_half(every)}
                yield about | apart | _saved(score, known)


def _saved(score, known):
    """With and without the control variate, beside any number of others."""
    alone = pilot.estimate(score, [], [])
    needed, without = _for_half(alone._replace(variance=_residual(score, known))), _for_half(alone)
    y, x = (_influence(parts) for parts in (score, known))
    return {"fields_alone": without, "fields": needed, "saved": 1 - needed / without, "correlation": np.corrcoef(x, y)[0, 1]}


def _for_half(found):
    return pilot.fields_for_width(found, HALF)


def _residual(score, known):
    """Variance of a field's score about the line through the control variate."""
    y, x = (_influence(parts) for parts in (score, known))
    line = (x * y).sum() / (x * x).sum() if (x * x).sum() > 0 else 0.0
    return float(((y - line * x) ** 2).sum() / (len(y) - 2))


def _influence(parts):
    return sum(part.weight * influence(pd.DataFrame({"above": part.above, "below": part.below})).to_numpy() for part in parts)


def _powers(population):
    random = np.random.default_rng(1)
    return [
        {"dataset": population.name, "metric": metric, "one": one, "other": other}
        | _power(population.terms(one, metric), population.terms(other, metric), random)
        for metric in OF_POWER
        for one, other in combinations(population.rows, 2)
        if one == population.rows[0]
    ]


def _power(one, two, random):
    """Fields planned for a power of 0.8, from all fields and from pilots of 20, and how many the permutation test then needs."""
    planned = _planned(one, two)
    pilots = [_planned(one.iloc[line], two.iloc[line]) for line in random.integers(0, len(one), (RESAMPLES // 10, 20))]
    quartiles = np.quantile([each or np.inf for each in pilots], [0.25, 0.5, 0.75], method="nearest")
    difference = one["above"].sum() / one["below"].sum() - two["above"].sum() / two["below"].sum()
    many = not planned or planned > 300
    needed = np.nan if many else _needed(*(each.to_numpy(float) for each in (one, two)), planned, random)
    of_pilots = dict(zip(("pilots_low", "pilots_median", "pilots_high"), quartiles, strict=True))
    return {"difference": difference, "planned": planned, "needed": needed, **of_pilots}


def _planned(one, two):
    difference = one["above"].sum() / one["below"].sum() - two["above"].sum() / two["below"].sum()
    return pilot.fields_for_power(difference, float((influence(one) - influence(two)).std()))


def _needed(one, two, planned, random):
    """The fewest fields with which resampling finds the difference in 80 % of cases, by bisection."""
    few, many = max(pilot.LEAST_FOR_TEST, planned // 2), 2 * planned
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if _found(one, two, middle, random) >= 0.8 else (middle + 1, many)
    return few


def _found(one, two, fields, random):
    """How often `harness.report.comparison.swap_test` finds a difference at level `pilot.ALPHA`: all resamples at once."""
    drawn = random.integers(0, len(one), (RESAMPLES, fields))
    exact = fields <= EXACT
    swapped = np.array(list(product((0.0, 1.0), repeat=fields))) if exact else random.integers(0, 2, (SWAPS, fields))
    swapped = swapped if exact else np.vstack([np.zeros(fields), swapped])
    change = np.moveaxis(two[drawn] - one[drawn], 2, 0)  # (2, RESAMPLES, fields)
    first = [one[drawn, k].sum(axis=1)[:, None] + change[k] @ swapped.T for k in (0, 1)]
    second = [two[drawn, k].sum(axis=1)[:, None] - change[k] @ swapped.T for k in (0, 1)]
    apart = np.abs(first[0] / first[1] - second[0] / second[1])
    return np.mean((apart >= apart[:, :1] * (1 - 1e-9)).mean(axis=1) < pilot.ALPHA)


# ---- agreement as if it were quality


def _agreements(population):
    """On the test fields, where every row is measured, what agreement with the four sources would say, beside what is true."""
    pairs, scores = (table[table["split"] == "test"] for table in (population.tables["pairs"], population.tables["scores"]))
    sums = scores.groupby(["metric", "row"])[["above", "below"]].sum()
    lines = []
    for (metric, row), (above, below) in sums.iterrows():
        mine = pairs[(pairs["row"] == row) & (pairs["other"] != REFINED) | (pairs["other"] == row)]
        if row == REFINED:  # it is made of Shape/Intensity, whose agreement with it says nothing
            mine = mine[mine["row"] != "classical-shape-intensity"]
        agreed = mine[[f"{KINDS[metric]}_above", f"{KINDS[metric]}_below"]].sum()
        lines.append({"dataset": population.name, "metric": metric, "row": row, "agreement": agreed.iloc[0] / agreed.iloc[1]})
        lines[-1]["true"] = above / below
    return lines


# ---- triage


def _triages(population) -> Iterator[dict]:
    truth, missed = population.tables["truth"], population.tables["missed"]
    if population.name == SEEN:
        truth = truth[truth["split"] != "training"]
    for row, own in truth.groupby("row", sort=False):
        lost = missed[(missed["row"] == row) & missed["field"].isin(own["field"])]["missed"].sum()
        for thresh in THRESHES:
            about = {"dataset": population.name, "row": row, "thresh": thresh}
            yield about | _in_worst(own, lost, thresh)


def _in_worst(own, lost, thresh):
    """Share of what is wrong in the tenth that is doubted most: of labels, and of labels and missed nuclei together."""
    labels = own[own["kind"] == "label"]
    wrong = (labels["iou"] <= thresh).to_numpy()
    all_ = own.assign(error=np.where(own["kind"] == "label", own["iou"] <= thresh, own["missed"] > 0))
    worst = all_.nlargest(round(0.1 * len(all_)), "doubt")
    of_labels = worst[worst["kind"] == "label"]["error"].sum()
    of_missed = worst[(worst["kind"] == "missing") & worst["error"]]
    found = of_labels + len(of_missed.drop_duplicates(["field", "missed"]))
    worst_labels = labels["doubt"].to_numpy().argsort(kind="stable")[::-1][: round(0.1 * len(labels))]
    return {
        "nuclei": len(labels),
        "wrong": wrong.mean(),
        "found": wrong[worst_labels].sum() / wrong.sum(),
        "most_possible": min(1, 0.1 / wrong.mean()),
        "by_lot": 0.1,
        "missed": lost,
        "missed_seen": len(own[own["missed"] > 0].drop_duplicates(["field", "missed"])),
        "found_with_missed": found / (wrong.sum() + lost),
    }


if __name__ == "__main__":
    main()
