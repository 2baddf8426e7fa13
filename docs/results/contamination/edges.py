"""Which images of a data folder continue each other: neighbours that share no pixel, by the correlation of their facing edges.

python docs/results/contamination/edges.py FOLDER   (all images of one size)
"""

import sys

import numpy as np
from scipy.ndimage import gaussian_filter1d

from harness.datasets import open_dataset

ALIKE = 0.9  # correlation of two facing rows or columns
FLAT = 3.0  # grey values: the deviation below which an edge says nothing
SLOW = 15.0  # px: uneven light, which images of one microscope share, is slower along an edge


def standard(edges):
    """(N, L) edges with mean 0 and length 1; flat ones are 0."""
    fine = edges - gaussian_filter1d(edges, SLOW, axis=1)
    centred = fine - fine.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    return np.where(deviation > FLAT, centred / np.maximum(deviation, FLAT), 0) / np.sqrt(edges.shape[1])


dataset = open_dataset(sys.argv[1])
splits = np.array([split for split, names in dataset.splits.items() for _ in names])
images = np.array([dataset.read_image(name) for names in dataset.splits.values() for name in names], float)
pairs = np.empty((0, 2), int)
for one, other in ((images[:, :, -1], images[:, :, 0]), (images[:, -1], images[:, 0])):
    alike = standard(one) @ standard(other).T
    np.fill_diagonal(alike, 0)
    pairs = np.concatenate([pairs, np.argwhere(alike > ALIKE)])
apart = splits[pairs[:, 0]] != splits[pairs[:, 1]]
test = apart & (splits[pairs] == "test").any(axis=1)
fields = len({at for at in pairs[test].ravel() if splits[at] == "test"})
print(f"{len(pairs)} pairs, {apart.sum()} across splits, {test.sum()} of them with one of {fields} test fields")
