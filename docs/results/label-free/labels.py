"""How good labels are after each step, on training fields: no network, and no test field.

    python docs/results/label-free/labels.py OUT.csv DATASET...

A DATASET is what `harness --dataset` takes. Every third training field is measured: by the protocol `equal` against the
annotation, with the share of pixels that are ignored, and of the nuclei that are ignored how many are wrong.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from harness.core.label_images import renumber
from harness.datasets import open_dataset
from harness.scoring.metrics import matching
from harness.scoring.mismatches import classify
from harness.sources import open_source

STEPS = {
    "plain": [],
    "half contrast": ["half-contrast"],
    "+ declump": ["half-contrast", "declump"],
    "+ restore-clumps": ["restore-clumps", "half-contrast", "declump"],
    "+ ignore-discarded, ignore-concave": ["restore-clumps", "half-contrast", "declump", "ignore-discarded", "ignore-concave"],
}


def measured(field, source):
    """Counts of one field; labels of which most is ignored are left out of the labels, and counted by themselves."""
    labels, ignore = source.label(field)
    ids, areas = np.unique(labels, return_counts=True)
    ignored = ids[(np.bincount(labels[ignore], minlength=ids.max() + 1)[ids] > areas / 2) & (ids > 0)]
    right = matching(field.nuclei, labels, "equal").matched[:, 1]
    counted = matching(field.nuclei, labels, "equal").predicted
    found = matching(field.nuclei, renumber(np.where(np.isin(labels, ignored), 0, labels)), "equal").counts
    kinds = {kind: len(which) for kind, which in classify(field.nuclei, labels).items()}
    among = np.intersect1d(ignored, counted)
    return {
        **found._asdict(),
        **kinds,
        "pixels_ignored": ignore.mean(),
        "nuclei_ignored": len(among),
        "ignored_wrong": len(np.setdiff1d(among, right)),
        "wrong": len(np.setdiff1d(counted, right)),
    }


def main(out, *names):
    """One line per data set and chain of steps."""
    lines = []
    for name in names:
        dataset = open_dataset(name)
        fields = [dataset.field(each) for each in dataset.splits["training"][::3]]
        for steps, refine in STEPS.items():
            source = open_source("cellprofiler:shape/intensity", {}, refine)
            table = pd.DataFrame([measured(field, source) for field in fields])
            total = table.drop(columns="pixels_ignored").sum()
            jaccard = total["matched"] / (total["annotated"] + total["predicted"] - total["matched"])
            about = {"dataset": dataset.name, "fields": len(fields), "labels": steps, "jaccard_equal": round(jaccard, 3)}
            lines.append(about | total.to_dict() | {"pixels_ignored": round(table["pixels_ignored"].mean(), 4)})
            pd.DataFrame(lines).to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
