"""Makes the fingerprints of BBBC039's test fields that travel with the package.

HARNESS_DATA_DIR=BBBC039 python docs/results/contamination/known.py
"""

from pathlib import Path

import numpy as np

import harness.datasets
from harness.datasets import contamination, fingerprints

dataset = harness.datasets.open_dataset("bbbc039")
names = dataset.splits["test"]
seen = [fingerprints.fingerprint(dataset.read_image(name)) for name in names]
path = Path(harness.datasets.__file__).with_name(contamination.KNOWN)
np.savez_compressed(path, names=np.array(names), **fingerprints.packed(seen))
