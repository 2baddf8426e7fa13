"""Network rows for the simulations: their published predictions of the test fields of BBBC039, beside the label sources.

    python docs/results/afternoon/networks.py MEASURED PREDICTIONS OUT

MEASURED: what measure.py made of bbbc039. PREDICTIONS: docs/results/bbbc039-cpu-linear-loss/predictions. OUT: the same tables of
the test fields alone, with a row for each folder in PREDICTIONS. Networks are no control variate: they learned from the fields.
"""

import argparse
from itertools import chain
from pathlib import Path

import pandas as pd
from measure import scores

from harness.datasets import open_dataset
from harness.experiment.evidence import read_labels


def main():
    """The three tables that intervals need."""
    parser = argparse.ArgumentParser()
    for name in ("measured", "predictions", "out"):
        parser.add_argument(name, type=Path)
    given, dataset = parser.parse_args(), open_dataset("bbbc039")
    lines = [_of_field(given.predictions, name, dataset.read_nuclei(name)) for name in dataset.splits["test"]]
    given.out.mkdir(parents=True, exist_ok=True)
    for table in ("scores", "nuclei", "pairs"):
        kept = pd.read_csv(given.measured / f"{table}.csv.gz").query("split == 'test'")
        whole = pd.concat([kept, *lines]) if table == "scores" else kept
        whole.to_csv(given.out / f"{table}.csv.gz", index=False, float_format="%.6g")


def _of_field(predictions, name, true):
    rows = {folder.name: read_labels(folder / "nuclei" / f"{name}.png") for folder in sorted(predictions.iterdir())}
    lines = chain.from_iterable(scores(row, labels, true) for row, labels in rows.items())
    return pd.DataFrame(lines).assign(field=name, split="test")


if __name__ == "__main__":
    main()
