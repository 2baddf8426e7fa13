"""Network rows for the simulations: their published predictions of the test fields of BBBC039, beside the label sources.

    python docs/results/afternoon/networks.py MEASURED PREDICTIONS OUT

MEASURED: what measure.py made of bbbc039. PREDICTIONS: docs/results/bbbc039-cpu-linear-loss/predictions. OUT gets two folders
with the same tables of the test fields alone and a row for each folder in PREDICTIONS: bbbc039-test, without the fields that
`harness budget` sets apart, as it knows all 200; bbbc039-test-alone, as if there were no others to tell them by. Networks are
no control variate: they learned from the fields.
"""

import argparse
from itertools import chain
from pathlib import Path

import pandas as pd
from measure import scores
from simulate import Population

from harness.datasets import open_dataset
from harness.experiment.evidence import read_labels


def main():
    """The three tables that intervals need, of each."""
    parser = argparse.ArgumentParser()
    for name in ("measured", "predictions", "out"):
        parser.add_argument(name, type=Path)
    given, dataset = parser.parse_args(), open_dataset("bbbc039")
    lines = [_of_field(given.predictions, name, dataset.read_nuclei(name)) for name in dataset.splits["test"]]
    names = ("nuclei", "pairs", "scores")
    tables = {name: pd.read_csv(given.measured / f"{name}.csv.gz").query("split == 'test'") for name in names}
    tables["scores"] = pd.concat([tables["scores"], *lines])
    _write(tables, Population(given.measured).fields, given.out / "bbbc039-test")
    _write(tables, dataset.splits["test"], given.out / "bbbc039-test-alone")


def _write(tables, fields, out):
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table[table["field"].isin(fields)].to_csv(out / f"{name}.csv.gz", index=False, float_format="%.6g")


def _of_field(predictions, name, true):
    rows = {folder.name: read_labels(folder / "nuclei" / f"{name}.png") for folder in sorted(predictions.iterdir())}
    lines = chain.from_iterable(scores(row, labels, true) for row, labels in rows.items())
    return pd.DataFrame(lines).assign(field=name, split="test")


if __name__ == "__main__":
    main()
