"""Which nuclei the protocol `equal` could not match, and how: missed, extra, merged or split."""

import numpy as np

from harness.scoring.metrics import matching

KINDS = ("missed", "extra", "merged", "split")


def classify(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, list[int]]:
    """Sort the nuclei of a field that found no partner of their own.

    Parameters
    ----------
    y_true, y_pred : (H, W) int32 ndarray
        Label images of the same pixels.

    Returns
    -------
    dict of str to list of int
        "missed" and "split": ids in `y_true` that overlap no, or several predicted nuclei. "extra" and "merged":
        ids in `y_pred` that overlap no, or several annotated ones. Every counted nucleus that is in none of these,
        and whose partner is in none, is matched.

    Examples
    --------
    >>> y_true, y_pred = np.zeros((2, 9, 9), np.int32)
    >>> y_true[1:8, 1:8] = 5
    >>> classify(y_true, y_pred)
    {'missed': [5], 'extra': [], 'merged': [], 'split': []}
    """
    found = matching(y_true, y_pred, "equal")
    g, r = found.pairs.T
    return {
        "missed": np.setdiff1d(found.annotated, g).tolist(),
        "extra": np.setdiff1d(found.predicted, r).tolist(),
        "merged": _repeated(r),
        "split": _repeated(g),
    }


def _repeated(ids):
    found, counts = np.unique(ids, return_counts=True)
    return found[counts > 1].tolist()
