"""The networks of generations.toml on validation fields, as they predict and with bridges cut: writes a CSV table.

    python docs/results/label-free/validation.py OUT.csv DATASET SEED...

The store of MLFLOW_TRACKING_URI holds their runs. Jaccard `equal`; rows that are not finished are left out.
"""

import sys
from pathlib import Path

import pandas as pd

from harness import api
from harness.experiment import tracking
from harness.network.segmenter import Segmenter
from harness.scoring import metrics
from harness.sources.predicted import refine
from harness.sources.refinements import open_step

CUT = [open_step({"step": "declump", "split": 0.3})]


def main(out, dataset, *seeds):
    """A line per row and seed."""
    session = api.open_dataset(dataset, None, "study", Path(__file__).with_name("generations.toml"))
    lines = []
    for row in session.registry.rows:
        for seed in map(int, seeds):
            if run := tracking.find(session.spec(row, seed)):
                lines.append({"row": row, "seed": seed, **scores(Segmenter(tracking.load_network(run.run_id)), session.dataset)})
                pd.DataFrame(lines).to_csv(out, index=False)


def scores(network, dataset):
    """Of all validation fields together."""
    found = {"jaccard_equal": [], "with_bridges_cut": []}
    for name in dataset.splits["validation"]:
        image, truth = dataset.read_image(name), dataset.read_nuclei(name)
        nuclei = network.predict(image)
        for kind, predicted in zip(found, (nuclei, refine(CUT, image, nuclei)), strict=True):
            found[kind].append(metrics.match(truth, predicted, "equal"))
    return {kind: round(metrics.jaccard(each), 3) for kind, each in found.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
