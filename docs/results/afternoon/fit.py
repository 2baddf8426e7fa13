"""The constants of `harness.scoring.doubt`, from the training fields of BBBC039.

    python docs/results/afternoon/fit.py MEASURED

MEASURED: what measure.py made of bbbc039. Prints them and, for each of five parts of the training fields that was left out in
turn, the share of the labels with an IoU of 0.5 at most that is found in the worst tenth of the nuclei.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from simulate import THRESHES

from harness.scoring.doubt import WEIGHTS

PARTS = 5
RIDGE = 1.0  # against features that say the same; on standardised features


def main():
    """Print the constants."""
    parser = argparse.ArgumentParser()
    parser.add_argument("measured", type=Path)
    nuclei = _nuclei(parser.parse_args().measured)
    constant, weights = _fit(nuclei)
    print({"CONSTANT": round(constant, 2), "WEIGHTS": {name: round(weight, 2) for name, weight in weights.items()}})
    part = nuclei["field"].map({name: at % PARTS for at, name in enumerate(sorted(nuclei["field"].unique()))})
    for row, own in nuclei.groupby("row"):
        found = [_found(own[part[own.index] == left_out], *_fit(nuclei[part != left_out])) for left_out in range(PARTS)]
        print(row, np.round(found, 2), round(float(np.mean(found)), 2))


def _nuclei(folder):
    """Every nucleus of the four sources on the training fields, with its largest IoU with an annotated one."""
    own, true = (
        pd.read_csv(folder / f"{table}.csv.gz").query("kind == 'label' and split == 'training'") for table in ("nuclei", "truth")
    )
    return own.merge(true[["row", "field", "label", "iou"]], on=["row", "field", "label"])


def _fit(nuclei):
    """Logistic regression of an IoU of 0.7 at most."""
    features, wrong = nuclei[list(WEIGHTS)].to_numpy(float), (nuclei["iou"] <= THRESHES[1]).to_numpy(float)
    scale = features.std(axis=0)
    design = np.column_stack([np.ones(len(features)), features / scale])

    def loss(weights):
        fit = design @ weights
        gradient = design.T @ (1 / (1 + np.exp(-fit)) - wrong) + RIDGE * np.append(0, weights[1:])
        return np.logaddexp(0, fit).sum() - wrong @ fit + RIDGE / 2 * (weights[1:] ** 2).sum(), gradient

    weights = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B").x
    return float(weights[0]), dict(zip(WEIGHTS, (weights[1:] / scale).tolist(), strict=True))


def _found(nuclei, constant, weights):
    order = constant + nuclei[list(weights)].to_numpy(float) @ np.array(list(weights.values()))
    worst = np.argsort(-order, kind="stable")[: round(0.1 * len(nuclei))]
    wrong = (nuclei["iou"] <= THRESHES[0]).to_numpy()
    return wrong[worst].sum() / wrong.sum()


if __name__ == "__main__":
    main()
