"""Nuclei that touch others and nuclei that stand alone, counted apart."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from harness.method.classmap import SEPARATION, class_map
from harness.scoring.metrics import Counts, Matching, overlaps


def touching_nuclei(labels: np.ndarray) -> np.ndarray:
    """Ids of the nuclei with another one so near that the class map separates them, in order.

    That is where a 3x3 square holds both: nuclei side by side or one pixel apart (see `harness.method.classmap`).

    Parameters
    ----------
    labels : (H, W) int32 ndarray
        Label image.

    Examples
    --------
    >>> touching_nuclei(np.array([[1, 1, 0, 2, 0, 0, 3]]))
    array([1, 2])
    """
    around = sliding_window_view(np.pad(labels, 1), (3, 3))[class_map(labels) == SEPARATION]
    ids = np.unique(around)
    return ids[ids > 0]


def touching_counts(found: Matching, y_true: np.ndarray, y_pred: np.ndarray, touching: np.ndarray) -> Counts:
    """`Counts` of the touching nuclei alone; those of the isolated ones are the rest.

    A predicted nucleus counts as touching where the annotated one that it matches does, or, unmatched, the annotated one it
    shares most pixels with. One that shares none is isolated.

    Parameters
    ----------
    found : Matching
        Of all nuclei.
    y_true, y_pred : (H, W) int32 ndarray
        The label images that were matched.
    touching : int ndarray
        `touching_nuclei` of the annotation.

    Examples
    --------
    >>> y_true, y_pred = np.array([[1, 1, 2, 2, 0, 0, 0, 3]]), np.array([[1, 1, 1, 2, 0, 0, 0, 3]])
    >>> found = Matching(np.array([1, 2, 3]), np.array([1, 2, 3]), np.array([[2, 2], [3, 3]]))
    >>> touching_counts(found, y_true, y_pred, touching_nuclei(y_true))
    Counts(matched=1, annotated=2, predicted=2)
    """
    g, r, pixels = overlaps(y_true, y_pred)
    order = np.argsort(pixels, kind="stable")  # the last one that is written stays
    partner = dict(zip(r[order].tolist(), g[order].tolist(), strict=True)) | {p: t for t, p in found.matched.tolist()}
    partners = [partner.get(nucleus, 0) for nucleus in found.predicted.tolist()]
    return Counts(*(int(np.isin(ids, touching).sum()) for ids in (found.matched[:, 0], found.annotated, partners)))
