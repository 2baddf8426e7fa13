"""Half of the contrast or the steepest gradient: where outlines are better, on training fields; no network, and no test field.

    python docs/results/label-free/outlines.py OUT.csv DATASET...

A DATASET is what `harness --dataset` takes. Every third training field is scored as a classical row's test fields are.
"""

import sys
from pathlib import Path

import pandas as pd

from harness.datasets import open_dataset
from harness.scoring import evaluation, names
from harness.sources import open_source

STEPS = ("plain", "half-contrast", "steepest-gradient")
METRICS = ("dice_nuclei", "jaccard_equal", "f1_90", "outline_offset")


def main(out, *datasets):
    """One line per data set and step."""
    lines = []
    for name in datasets:
        dataset = open_dataset(name)
        fields = [dataset.field(each) for each in dataset.splits["training"][::3]]
        for step in STEPS:
            source = open_source("cellprofiler:shape/intensity", {}, [] if step == "plain" else [step])
            predicted = {field.name: evaluation.from_labels(source.label(field)[0]) for field in fields}
            scores = {field.name: evaluation.score_field(predicted[field.name], field.nuclei) for field in fields}
            total = evaluation.totals(evaluation.tables(scores))
            about = {"dataset": dataset.name, "fields": len(fields), "outlines": step}
            found = {metric: total[metric if metric in names.TABLES else names.logged(metric)] for metric in METRICS}
            lines.append(about | {metric: round(value, 4) for metric, value in found.items()})
            pd.DataFrame(lines).to_csv(out, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
