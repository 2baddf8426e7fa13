"""What the simulations draw from: every annotated field of a data set, measured once.

    python docs/results/afternoon/measure.py DATASET OUT

DATASET as the command takes it (bbbc039 needs HARNESS_DATA_DIR). Into OUT go, as gzipped tables: scores (of each label source
and field, the terms of each metric), nuclei and pairs (`harness.experiment.evidence.Evidence`), truth (of each line of nuclei
what the annotation says), missed (annotated nuclei that a source has no label on). The terms are those that a run stores; only
what the simulations need is worked out here.
"""

import argparse
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from harness.datasets import open_dataset
from harness.experiment.evidence import agreement, compare_labels
from harness.scoring import evaluation, metrics
from harness.sources import open_source

FOUR = {
    f"classical-{seeds}-{lines}": open_source(f"cellprofiler:{seeds}/{lines}")
    for seeds in ("shape", "intensity")
    for lines in ("intensity", "shape")
}
REFINED = {"half-contrast": open_source("cellprofiler:shape/intensity", refine=["half-contrast"])}
SMALLEST = 25  # px, of an annotated nucleus: below it the data set's authors count nothing
TABLES = ("scores", "nuclei", "pairs", "truth", "missed")


def main():
    """Every table of a data set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    dataset = open_dataset(given.dataset)
    fields = [(name, split) for split, names in dataset.splits.items() for name in names]
    parts = [_measure(dataset, name, split) for name, split in fields]
    given.out.mkdir(parents=True, exist_ok=True)
    for table, found in zip(TABLES, zip(*parts, strict=True), strict=True):
        pd.concat(found).to_csv(given.out / f"{table}.csv.gz", index=False, float_format="%.6g")


def _measure(dataset, name, split):
    true, field = dataset.read_nuclei(name), dataset.field(name)
    seen = {row: source.label(field)[0] for row, source in FOUR.items()}
    refined = {row: source.label(field)[0] for row, source in REFINED.items() if split == "test"}
    nuclei, pairs = compare_labels(field.image, seen)
    more = [{"row": row, "other": new} | agreement(seen[row], refined[new]) for new in refined for row in seen]
    predicted = {row: evaluation.from_labels(labels).nuclei for row, labels in (seen | refined).items()}
    scored = pd.DataFrame(chain.from_iterable(scores(row, labels, true) for row, labels in predicted.items()))
    truth, missed = zip(*(_truth(nuclei[nuclei["row"] == row], labels, true) for row, labels in seen.items()), strict=True)
    lost = pd.DataFrame({"row": list(seen), "missed": missed})
    found = (scored, nuclei, pd.concat([pairs, pd.DataFrame(more)]), pd.concat(truth), lost)
    return [table.assign(field=name, split=split) for table in found]


def scores(row, predicted, true):
    """The terms of `harness.scoring.pooling.terms` for a field, from its post-processed nuclei."""
    iou = metrics.iou_matrix(true, predicted)
    for percent in (50, 75, 90):
        yield _line(row, f"f1_{percent}", 2 * metrics.counts_at(iou, percent / 100).matched, sum(iou.shape))
    counts = metrics.match(true, predicted, "equal")
    yield _line(row, "jaccard_equal", counts.matched, counts.annotated + counts.predicted - counts.matched)


def _line(row, metric, above, below):
    return {"row": row, "metric": metric, "above": above, "below": below}


def _truth(nuclei, labels, true):
    """Of each line its largest IoU with an annotated nucleus, or whether there is a missed one; and how many are missed."""
    areas = np.bincount(true.ravel())
    true = np.where(areas[true] >= SMALLEST, true, 0)
    covered = np.bincount(true[labels > 0], minlength=len(areas))
    missed = (areas >= SMALLEST) & (covered < areas / 2)
    missed[0] = False
    best = _best(labels, true)
    own = nuclei["kind"].to_numpy() == "label"
    at = true[tuple(nuclei[["y", "x"]].round().to_numpy(int).T)]
    told = np.where(own, best[np.where(own, nuclei["label"], 0)], np.nan)
    lines = nuclei[["row", "kind", "label", "doubt", "area"]]
    return lines.assign(iou=told, missed=np.where(~own & missed[at], at, 0)), int(missed.sum())


def _best(labels, true):
    ids = np.flatnonzero(np.bincount(labels.ravel())[1:]) + 1
    iou, best = metrics.iou_matrix(true, labels), np.zeros(int(labels.max(initial=0)) + 1)
    best[ids] = iou.max(axis=0, initial=0)
    return best


if __name__ == "__main__":
    main()
