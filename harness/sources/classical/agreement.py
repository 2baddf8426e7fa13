"""Labels on which the three best configurations agree, and a mask of where they do not."""

import numpy as np

from harness.sources.classical.components import label
from harness.sources.classical.primary_objects import identify_all
from harness.sources.classical.settings import Settings

BEST = ("shape/intensity", "intensity/shape", "shape/shape")


def consensus(image: np.ndarray, settings: Settings = Settings()) -> tuple[np.ndarray, np.ndarray]:
    """Label image of Shape/Intensity, and the clusters in which the configurations count differently.

    A cluster is an 8-connected component of the union of the foregrounds of the three best configurations. Where they
    disagree on how many objects it holds, all its pixels are to be ignored.

    Parameters
    ----------
    image : ndarray, shape (H, W)
    settings : Settings

    Returns
    -------
    labels : ndarray of int32, shape (H, W)
    ignore : ndarray of bool, shape (H, W)
    """
    labels = identify_all(image, BEST, settings)
    clusters, count = label(np.logical_or.reduce([labels[name] > 0 for name in BEST]))
    counts = np.stack([_objects_per_cluster(labels[name], clusters, count) for name in BEST])
    disputed = (counts != counts[0]).any(axis=0)
    return labels[BEST[0]], disputed[clusters]


def _objects_per_cluster(labels: np.ndarray, clusters: np.ndarray, count: int) -> np.ndarray:
    """Number of objects of a label image in each cluster."""
    on = labels > 0
    span = int(labels.max(initial=0)) + 1
    pairs = np.unique(clusters[on].astype(np.int64) * span + labels[on])
    return np.bincount(pairs // span, minlength=count + 1)
