"""Small synthetic fields, and predictions of them with known kinds of error."""

import numpy as np
from scipy.ndimage import binary_dilation

from harness.datasets import DataSet
from harness.datasets.synthetic import SEED, synthetic_field

SIDE = 192


def cropped(count=6, side=SIDE):
    """The middle of synthetic fields, as a small data set."""
    names = tuple(f"field-{number}" for number in range(count))
    window = np.s_[100 : 100 + side, 100 : 100 + side]
    image, nuclei = (
        {name: synthetic_field(SEED, number)[which][window].copy() for number, name in enumerate(names)} for which in (0, 1)
    )
    return DataSet(
        "synthetic", "0" * 64, {"training": (), "validation": (), "test": names}, image.__getitem__, nuclei.__getitem__
    )


def spoil(nuclei, share, rng):
    """Nuclei of which a share is lost, merged with a neighbour, split or invented."""
    spoilt = nuclei.copy()
    for label in np.unique(nuclei)[1:]:
        kind = rng.random() / share
        inside = spoilt == label
        rows, columns = np.nonzero(inside)
        if kind >= 1 or not len(rows):
            continue
        if kind < 0.3:
            spoilt[inside] = 0
        elif kind < 0.5:
            spoilt[inside & (np.arange(nuclei.shape[1]) > columns.mean())] = nuclei.max() + label
        elif kind < 0.8:
            neighbours = np.setdiff1d(spoilt[binary_dilation(inside, iterations=3)], [0, label])
            if len(neighbours):
                spoilt[inside] = neighbours[0]
        else:
            corner = rng.integers(0, nuclei.shape[0] - 12, 2)
            window = spoilt[corner[0] : corner[0] + 9, corner[1] : corner[1] + 9]
            window[window == 0] = 3 * nuclei.max() + label
    return spoilt
