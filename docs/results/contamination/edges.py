"""Which images of a data folder continue each other: neighbours that share no pixel, by the correlation of their facing edges.

python docs/results/contamination/edges.py FOLDER   (or bbbc039; all images of one size)
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


def continued(facing):
    """Pairs of images whose edges are alike, (N, 2), from two arrays of edges each."""
    pairs = [np.empty((0, 2), int)]
    for one, other in facing:
        alike = standard(one) @ standard(other).T
        np.fill_diagonal(alike, 0)
        pairs.append(np.argwhere(alike > ALIKE))
    return np.concatenate(pairs)


dataset = open_dataset(sys.argv[1])
splits = np.array([split for split, names in dataset.splits.items() for _ in names])
images = np.array([dataset.read_image(name) for names in dataset.splits.values() for name in names], float)
left, right, top, bottom = images[:, :, 0], images[:, :, -1], images[:, 0], images[:, -1]
pairs = continued([(right, left), (bottom, top)])
by_chance = continued([(right, right), (bottom, bottom)])  # edges that cannot continue each other; each pair counts twice
apart = splits[pairs[:, 0]] != splits[pairs[:, 1]]
test = apart & (splits[pairs] == "test").any(axis=1)
fields = len({at for at in pairs[test].ravel() if splits[at] == "test"})
print(f"{len(pairs)} pairs, {apart.sum()} across splits, {test.sum()} of them with one of {fields} test fields")
print(f"{len(by_chance) // 2} pairs of edges that do not face each other")
