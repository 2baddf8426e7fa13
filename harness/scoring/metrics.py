"""Scores: Dice of class maps, object-wise Jaccard of nuclei (paper, section 4), and the usual IoU sweep.

Counts add up over tiles or fields, so a pooled value is a ratio of sums. docs/metrics.md states the
definitions.
"""

from typing import NamedTuple

import numpy as np

from harness.core.errors import HarnessError
from harness.core.label_images import check_labels, remove_touching_edge
from harness.method.classmap import IGNORE

EROSIONS = ("none", "mask", "object")
# px; 25 is the limit of the data set's authors, 79 what CellProfiler keeps at a smallest diameter of 10
SMALLEST = (0, 10, 25, 50, 79)
IOU_THRESHOLDS = tuple(np.arange(50, 100, 5) / 100)


class Protocol(NamedTuple):
    """How nuclei are compared: `erosion` is one of `EROSIONS`, nuclei under `smallest` px are left out."""

    erosion: str
    smallest: int


PROTOCOLS = {"paper": Protocol("mask", 25), "equal": Protocol("object", 25)}


class Counts(NamedTuple):
    """Numbers of nuclei: `matched` |M|, `annotated` |G|, `predicted` |R|."""

    matched: int
    annotated: int
    predicted: int


# ---- Dice, before post-processing


def dice(truth, prediction):
    """Dice coefficient 2|A∩B| / (|A| + |B|) of each class of two class maps, without smoothing.

    Parameters
    ----------
    truth, prediction : (H, W) integer arrays
        Class maps, see `harness.method.classmap`.

    Returns
    -------
    scores : (3,) float64 array
        Indexed by class; NaN where the class is absent on both sides (`np.nanmean` over tiles leaves it out).
    """
    return dice_of(dice_counts(truth, prediction))


def dice_counts(truth, prediction):
    """2|A∩B| and |A| + |B| of each class, (3, 2) int64; `dice_of` a sum of them is the pooled Dice."""
    truth, prediction = _same_shape(np.asarray(truth), np.asarray(prediction))
    if max(truth.max(initial=0), prediction.max(initial=0)) >= IGNORE:
        raise HarnessError("class map with a class above 2: score maps of 0, 1 and 2, without ignored pixels")
    table = np.bincount((3 * truth + prediction).ravel(), minlength=9).reshape(3, 3)
    return np.stack([2 * np.diag(table), table.sum(axis=0) + table.sum(axis=1)], axis=1)


def dice_of(counts):
    """Dice of each class from (3, 2) `dice_counts`, NaN where both sides are empty."""
    counts = np.asarray(counts)
    return np.divide(counts[:, 0], counts[:, 1], out=np.full(len(counts), np.nan), where=counts[:, 1] > 0)


# ---- object-wise Jaccard, after post-processing


def match(truth, prediction, protocol="paper"):
    """Numbers of annotated, predicted and matched nuclei of one unit, a tile or a field (paper, section 4).

    Nuclei touching the edge, then those under `protocol.smallest` px, are left out on both sides; |G| and
    |R| count the rest. Both sides are then eroded, and two nuclei match when they share a pixel and neither
    shares one with any other nucleus: one to one. A nucleus erased by the erosion is counted and cannot
    match.

    Parameters
    ----------
    truth, prediction : (H, W) integer arrays
        Label images of the same pixels.
    protocol : str or Protocol
        A name in `PROTOCOLS`, or a protocol of one's own.

    Returns
    -------
    counts : Counts

    Notes
    -----
    The paper does not print the matching rule; this is the one, of those tried, that gives the values this
    benchmark was designed with (docs/metrics.md).
    """
    erosion, smallest = PROTOCOLS[protocol] if isinstance(protocol, str) else protocol
    return _match_remaining(_remaining(truth, prediction, smallest), erosion)


def _remaining(truth, prediction, smallest):
    """For either side its nuclei of at least `smallest` px off the edge, numbered 1..n, and their areas."""
    sides = _same_shape(np.asarray(truth), np.asarray(prediction))
    return [_numbered(remove_touching_edge(labels), smallest) for labels in sides]


def _match_remaining(sides, erosion):
    """`Counts` of the `sides` that `_remaining` gives."""
    (truth, annotated), (prediction, predicted) = sides
    g, r, _ = overlaps(erode(truth, erosion), erode(prediction, erosion))
    matched = (np.bincount(g)[g] == 1) & (np.bincount(r)[r] == 1)
    return Counts(int(matched.sum()), len(annotated), len(predicted))


def pooled(counts):
    """The sum, as one `Counts`, of one or more `Counts`."""
    return Counts(*np.reshape(list(counts), (-1, 3)).sum(axis=0).tolist())


def jaccard(counts):
    """|M| / (|G| + |R| - |M|) of the sum of one or more `Counts`; NaN without any nucleus."""
    matched, annotated, predicted = pooled(counts)
    union = annotated + predicted - matched
    return float(matched / union) if union else float("nan")


def erode(labels, erosion):
    """Label image eroded by a 3x3 square, nothing lying outside the image.

    "none" leaves it as it is; "mask" erodes the binary mask of all nuclei, so touching nuclei keep touching;
    "object" erodes each nucleus, so a nucleus loses the pixels next to another one as well.
    """
    if erosion not in EROSIONS:
        raise HarnessError(f"no erosion {erosion!r}: give one of {', '.join(EROSIONS)}")
    if erosion == "none":
        return labels
    lowest = _extreme(labels, np.minimum)
    kept = lowest > 0 if erosion == "mask" else lowest == _extreme(labels, np.maximum)
    return np.where(kept, labels, 0)


def overlaps(truth, prediction):
    """Pairs of nuclei that share pixels: ids in `truth`, ids in `prediction`, numbers of pixels shared."""
    both = (truth > 0) & (prediction > 0)
    width = int(prediction.max(initial=0)) + 1
    codes = truth[both].astype(np.int64) * width + prediction[both]
    runs = np.flatnonzero(np.diff(codes, prepend=-1))  # nuclei come in runs: far fewer codes to sort
    pairs, inverse = np.unique(codes[runs], return_inverse=True)
    pixels = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(pixels, inverse, np.diff(runs, append=len(codes)))
    return pairs // width, pairs % width, pixels


def sensitivity_counts(truth, prediction):
    """`match` under every erosion and smallest nucleus: {Protocol: Counts}."""
    counts = {}
    for smallest in SMALLEST:
        sides = _remaining(truth, prediction, smallest)
        counts |= {Protocol(erosion, smallest): _match_remaining(sides, erosion) for erosion in EROSIONS}
    return counts


# ---- IoU sweep, on nuclei as they are


def iou_matrix(truth, prediction):
    """Intersection over union of every annotated with every predicted nucleus.

    Parameters
    ----------
    truth, prediction : (H, W) integer arrays
        Label images.

    Returns
    -------
    iou : (G, R) float64 array
        Rows and columns in the order of the ids present.
    """
    shared, annotated, predicted = _shared_pixels(truth, prediction)
    return shared / (annotated[:, None] + predicted - shared)


def counts_at(iou, threshold=0.5):
    """`Counts` of the pairs whose IoU is above `threshold`, which from 0.5 on can pair a nucleus only once.

    `jaccard` of them is TP / (TP + FP + FN), the average precision of the 2018 Data Science Bowl; `f1` is the
    score of Caicedo et al. (2019), Cytometry A 95:952.
    """
    if threshold < 0.5:
        raise HarnessError(f"IoU threshold {threshold}: below 0.5 a nucleus may pair twice; give 0.5 or more")
    return Counts(int((iou > threshold).sum()), *iou.shape)


def f1(counts):
    """2|M| / (|G| + |R|) of the sum of one or more `Counts`; NaN without any nucleus."""
    matched, annotated, predicted = pooled(counts)
    return float(2 * matched / (annotated + predicted)) if annotated + predicted else float("nan")


def panoptic_quality(ious):
    """Sum of IoU above 0.5 over (|G| + |R|) / 2, pooled (Kirillov et al. 2019, eq. 1); NaN without nuclei.

    Parameters
    ----------
    ious : iterable of (G, R) arrays
        One `iou_matrix` per field.
    """
    ious = list(ious)
    nuclei = sum(sum(iou.shape) for iou in ious)
    return float(2 * sum(iou[iou > 0.5].sum() for iou in ious) / nuclei) if nuclei else float("nan")


def aji(truth, prediction):
    """Aggregated Jaccard index (Kumar et al. 2017, IEEE TMI 36:1550); NaN without any nucleus.

    Each annotated nucleus is paired with the prediction of largest IoU, the first of equals: shared pixels
    over the union of the pairs, to which nuclei without a partner on either side add all their pixels.
    """
    shared, annotated, predicted = _shared_pixels(truth, prediction)
    union = annotated[:, None] + predicted - shared
    rows = np.flatnonzero(shared.any(axis=1))
    best = (shared[rows] / union[rows]).argmax(axis=1) if len(rows) else rows
    lone = annotated.sum() - annotated[rows].sum() + np.delete(predicted, best).sum()
    total = union[rows, best].sum() + lone
    return float(shared[rows, best].sum() / total) if total else float("nan")


def object_errors(iou):
    """Numbers of `missed`, `extra`, `merged` and `split` nuclei (Caicedo et al. 2019).

    A missed (extra) nucleus has no partner of IoU above 0.7 among the predicted (annotated) ones. A
    prediction of IoU above 0.1 with two or more annotated nuclei is merged; an annotated nucleus of IoU
    above 0.1 with two or more predictions is split.
    """
    paired, related = iou > 0.7, iou > 0.1
    return {
        "missed": int((~paired.any(axis=1)).sum()),
        "extra": int((~paired.any(axis=0)).sum()),
        "merged": int((related.sum(axis=0) > 1).sum()),
        "split": int((related.sum(axis=1) > 1).sum()),
    }


def iou_sweep(truths, predictions):
    """F1 and average precision at each of `IOU_THRESHOLDS`, pooled: {threshold: (F1, average precision)}."""
    ious = [iou_matrix(g, r) for g, r in zip(truths, predictions, strict=True)]
    counts = {threshold: [counts_at(iou, threshold) for iou in ious] for threshold in IOU_THRESHOLDS}
    return {threshold: (f1(each), jaccard(each)) for threshold, each in counts.items()}


def _shared_pixels(truth, prediction):
    """(G, R) pixels shared by the nuclei of two label images, and their areas (G,) and (R,)."""
    truth, prediction = _same_shape(check_labels(truth), check_labels(prediction))
    (truth, annotated), (prediction, predicted) = _numbered(truth), _numbered(prediction)
    shared = np.zeros((len(annotated), len(predicted)), dtype=np.int64)
    g, r, pixels = overlaps(truth, prediction)
    shared[g - 1, r - 1] = pixels
    return shared, annotated, predicted


def _numbered(labels, smallest=1):
    """Label image of the nuclei of at least `smallest` px, numbered 1..n, and their n areas."""
    areas = np.bincount(labels.ravel(), minlength=1)
    keep = areas >= max(smallest, 1)
    keep[0] = False
    numbers = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return numbers[labels], areas[keep]


def _extreme(labels, operation):
    """`np.minimum` or `np.maximum` over 3x3, 0 outside; by shifts, 4 times as fast as scipy.ndimage."""
    padded = np.pad(labels, 1)
    rows = operation(operation(padded[:-2], padded[1:-1]), padded[2:])
    return operation(operation(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])


def _same_shape(truth, prediction):
    if truth.shape != prediction.shape:
        raise HarnessError(
            f"annotation of shape {truth.shape} and prediction of shape {prediction.shape}: score them on the same pixels"
        )
    return truth, prediction
