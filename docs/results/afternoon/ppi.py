"""The numbers of tests/scoring/test_pilot.py, from the published package.

python -m venv ppi && ppi/bin/pip install ppi-python==0.2.3 && ppi/bin/python docs/results/afternoon/ppi.py
"""

import numpy as np
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate

FIELDS, OTHERS = 40, 400
random = np.random.default_rng(15)


def drawn(count):
    """Control variate and score of some fields."""
    known = random.beta(8, 2, count)
    score = np.clip(0.1 + 0.8 * known + 0.05 * random.standard_normal(count), 0, 1)
    return known.round(3), score.round(3)


known, score = drawn(FIELDS)
others, _ = drawn(OTHERS)
print("known", known.tolist(), "score", score.tolist(), "mean of the others", others.mean(), sep="\n")
for lam in (OTHERS / (FIELDS + OTHERS), None):
    print(
        "lam", lam, ppi_mean_pointestimate(score, known, others, lam=lam), ppi_mean_ci(score, known, others, alpha=0.05, lam=lam)
    )
