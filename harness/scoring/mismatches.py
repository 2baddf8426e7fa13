"""Which nuclei the protocol `equal` could not match, and how: missed, extra, merged or split."""

import numpy as np

from harness.core.label_images import remove_touching_edge
from harness.scoring.metrics import PROTOCOLS, erode, overlaps

KINDS = ("missed", "extra", "merged", "split")


def classify(annotated, predicted):
    """Sort the nuclei of a field that found no partner of their own.

    Parameters
    ----------
    annotated, predicted : (H, W) int32 ndarray
        Label images of the same pixels.

    Returns
    -------
    dict of str to list of int
        "missed" and "split": ids in `annotated` that overlap no, or several predicted nuclei. "extra" and "merged":
        ids in `predicted` that overlap no, or several annotated ones. Every counted nucleus that is in none of these,
        and whose partner is in none, is matched.
    """
    erosion, smallest = PROTOCOLS["equal"]
    counted = [_counted(labels, smallest) for labels in (annotated, predicted)]
    g, r, _ = overlaps(*(erode(labels, erosion) for labels in counted))
    return {"missed": _alone(counted[0], g), "extra": _alone(counted[1], r), "merged": _repeated(r), "split": _repeated(g)}


def _counted(labels, smallest):
    inner = remove_touching_edge(labels)
    areas = np.bincount(inner.ravel())
    return np.where(areas[inner] >= smallest, inner, 0)


def _alone(labels, paired):
    return np.setdiff1d(labels, np.append(paired, 0)).tolist()


def _repeated(ids):
    return np.flatnonzero(np.bincount(ids) > 1).tolist() if len(ids) else []
