"""Scores: Dice of class maps, object-wise Jaccard of nuclei (paper, section 3.1), and the usual IoU sweep.

Counts add up over tiles or fields, so a pooled value is a ratio of sums. docs/metrics.md states the
definitions.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from harness.core.errors import HarnessError
from harness.core.label_images import check_labels, new_ids, over_squares, remove_touching_edge
from harness.method.classmap import IGNORE

EROSIONS = ("none", "mask", "object")
# px; 25 is the limit of the data set's authors, 79 what CellProfiler keeps at a smallest diameter of 10
SMALLEST = (0, 10, 25, 50, 79)
IOU_THRESHOLDS = tuple(np.arange(50, 100, 5) / 100)


Iou = Any  # csr_array or ndarray, (G, R), see `iou_matrix`


class Protocol(NamedTuple):
    """How nuclei are compared: `erosion` is one of `EROSIONS`, nuclei under `smallest` px are left out."""

    erosion: str
    smallest: int


PROTOCOLS = {"paper": Protocol("mask", 25), "equal": Protocol("object", 25)}


class Counts(NamedTuple):
    """Numbers of nuclei: `matched` |M|, `annotated` |G|, `predicted` |R|, as eq. 3 of the paper has them."""

    matched: int
    annotated: int
    predicted: int

    @property
    def tp(self) -> int:
        """Nuclei that are matched."""
        return self.matched

    @property
    def fp(self) -> int:
        """Predicted nuclei without a match."""
        return self.predicted - self.matched

    @property
    def fn(self) -> int:
        """Annotated nuclei without a match."""
        return self.annotated - self.matched


class Matching(NamedTuple):
    """Which nuclei of two label images belong together.

    Attributes
    ----------
    annotated, predicted : (G,) and (R,) int ndarray
        Ids of the nuclei that count.
    pairs : (K, 2) int ndarray
        Ids of each annotated nucleus and each predicted one that overlap.
    """

    annotated: np.ndarray
    predicted: np.ndarray
    pairs: np.ndarray

    @property
    def matched(self) -> np.ndarray:
        """The (M, 2) pairs that are one to one."""
        return self.pairs[_once(self.pairs[:, 0]) & _once(self.pairs[:, 1])]

    @property
    def counts(self) -> Counts:
        """How many match and how many there are."""
        return Counts(len(self.matched), len(self.annotated), len(self.predicted))


# ---- Dice, before post-processing


def dice(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Dice coefficient 2|A∩B| / (|A| + |B|) of each class of two class maps, without smoothing.

    Parameters
    ----------
    y_true, y_pred : (H, W) integer ndarray
        Class maps, see `harness.method.classmap`.

    Returns
    -------
    scores : (3,) float64 ndarray
        Indexed by class; NaN where the class is absent on both sides (`np.nanmean` over tiles leaves it out).

    Raises
    ------
    HarnessError
        The maps differ in shape, or hold a class above 2.

    Examples
    --------
    >>> dice(np.array([[0, 1, 1, 1]]), np.array([[0, 0, 1, 1]]))
    array([0.66666667, 0.8       ,        nan])
    """
    return dice_of(dice_counts(y_true, y_pred))


def dice_counts(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """2|A∩B| and |A| + |B| of each class, (3, 2) int64; `dice_of` a sum of them is the pooled Dice."""
    y_true, y_pred = same_shape(np.asarray(y_true), np.asarray(y_pred))
    if max(y_true.max(initial=0), y_pred.max(initial=0)) >= IGNORE:
        raise HarnessError("class map with a class above 2: score maps of 0, 1 and 2, without ignored pixels")
    table = np.bincount((3 * y_true + y_pred).ravel(), minlength=9).reshape(3, 3)
    return np.stack([2 * np.diag(table), table.sum(axis=0) + table.sum(axis=1)], axis=1)


def dice_of(counts: np.ndarray) -> np.ndarray:
    """Dice of each class from (3, 2) `dice_counts`, NaN where both sides are empty."""
    counts = np.asarray(counts)
    return np.divide(counts[:, 0], counts[:, 1], out=np.full(len(counts), np.nan), where=counts[:, 1] > 0)


# ---- object-wise Jaccard, after post-processing


def match(y_true: np.ndarray, y_pred: np.ndarray, protocol: str | Protocol = "paper") -> Counts:
    """Numbers of annotated, predicted and matched nuclei of one unit, a tile or a field.

    A match is one annotated and one predicted nucleus that overlap each other and nothing else (paper, section 3.1).
    Nuclei touching the edge of the unit and then nuclei under the protocol's `smallest` are left out on both sides;
    overlaps are those of the label images under the protocol's erosion. Nuclei erased by it stay counted and cannot
    match.

    Parameters
    ----------
    y_true, y_pred : (H, W) integer ndarray
        Label images of the same pixels.
    protocol : str or Protocol
        A name in `PROTOCOLS`, or a protocol of one's own.

    Returns
    -------
    Counts

    Raises
    ------
    HarnessError
        The images differ in shape, one is no label image, or there is no such erosion.

    Notes
    -----
    The paper prints the rule, but neither the unit nor a smallest nucleus nor what a mask is eroded as; docs/metrics.md
    says how these were found.

    Examples
    --------
    Two annotated nuclei touch. The prediction draws the line between them one pixel off:

    >>> y_true, y_pred = np.zeros((2, 12, 22), np.int32)
    >>> y_true[1:11, 1:11], y_true[1:11, 11:21] = 1, 2
    >>> y_pred[1:11, 1:12], y_pred[1:11, 12:21] = 1, 2
    >>> match(y_true, y_pred, "paper"), match(y_true, y_pred, "equal")
    (Counts(matched=0, annotated=2, predicted=2), Counts(matched=2, annotated=2, predicted=2))
    """
    return matching(y_true, y_pred, protocol).counts


def matching(y_true: np.ndarray, y_pred: np.ndarray, protocol: str | Protocol = "paper") -> Matching:
    """Which nuclei `match`, by their ids; parameters and errors are those of `match`."""
    erosion, smallest = PROTOCOLS[protocol] if isinstance(protocol, str) else protocol
    return _matching([_of_size(labels, smallest) for labels in _off_edge(y_true, y_pred)], erosion)


def _off_edge(y_true, y_pred):
    return [remove_touching_edge(labels) for labels in same_shape(np.asarray(y_true), np.asarray(y_pred))]


def _of_size(labels, smallest):
    """Label image of the nuclei of at least `smallest` px, and their ids."""
    keep = np.bincount(labels.ravel(), minlength=1) >= max(smallest, 1)
    keep[0] = False
    return np.where(keep, np.arange(len(keep), dtype=np.int32), 0)[labels], np.flatnonzero(keep)


def _matching(sides, erosion):
    (y_true, annotated), (y_pred, predicted) = sides
    g, r, _ = overlaps(erode(y_true, erosion), erode(y_pred, erosion))
    return Matching(annotated, predicted, np.stack([g, r], axis=1))


def _once(ids):
    _, where, counts = np.unique(ids, return_inverse=True, return_counts=True)
    return counts[where] == 1


def pooled(counts: Counts | Iterable[Counts]) -> Counts:
    """The sum, as one `Counts`, of one or more `Counts`."""
    return Counts(*np.reshape(list(counts), (-1, 3)).sum(axis=0).tolist())


def jaccard(counts: Counts | Iterable[Counts]) -> float:
    """Object-wise Jaccard index |M| / (|G| + |R| - |M|) (paper, eq. 3) of one or more `Counts`, pooled.

    Parameters
    ----------
    counts : Counts, or iterable of Counts

    Returns
    -------
    float
        tp / (tp + fp + fn), from 0 to 1; NaN without any nucleus.

    Examples
    --------
    >>> jaccard([Counts(matched=1, annotated=2, predicted=1), Counts(matched=2, annotated=2, predicted=3)])
    0.6
    """
    total = pooled(counts)
    union = total.tp + total.fp + total.fn
    return total.tp / union if union else float("nan")


def erode(labels: np.ndarray, erosion: str) -> np.ndarray:
    """Label image eroded by a 3x3 square, nothing lying outside the image.

    "none" leaves it as it is; "mask" erodes the binary mask of all nuclei, so touching nuclei keep touching;
    "object" erodes each nucleus, so a nucleus loses the pixels next to another one as well.
    """
    if erosion not in EROSIONS:
        raise HarnessError(f"no erosion {erosion!r}: give one of {', '.join(EROSIONS)}")
    if erosion == "none":
        return labels
    lowest = over_squares(labels, np.minimum)
    kept = lowest > 0 if erosion == "mask" else lowest == over_squares(labels, np.maximum)
    return np.where(kept, labels, 0)


def overlaps(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of nuclei that share pixels: ids in `y_true`, ids in `y_pred`, numbers of pixels shared."""
    both = (y_true > 0) & (y_pred > 0)
    pairs, runs, pair_of_run = _runs(y_true[both], y_pred[both])
    pixels = np.zeros(len(pairs), dtype=np.int64)
    np.add.at(pixels, pair_of_run, np.diff(runs, append=int(both.sum())))
    return pairs[:, 0], pairs[:, 1], pixels


def _runs(y_true, y_pred):
    """Pairs of ids at the same pixels, (K, 2); where each run of one of them begins, and which it is of.

    Nuclei come in runs: there are far fewer runs to sort than pixels.
    """
    width = int(y_pred.max(initial=0)) + 1
    codes = y_true.astype(np.int64) * width + y_pred
    runs = np.flatnonzero(np.diff(codes, prepend=-1))
    pairs, pair_of_run = np.unique(codes[runs], return_inverse=True)
    return np.stack(np.divmod(pairs, width), axis=1), runs, pair_of_run


def sensitivity_counts(y_true: np.ndarray, y_pred: np.ndarray) -> dict[Protocol, Counts]:
    """`match` under every erosion and smallest nucleus."""
    inner = _off_edge(y_true, y_pred)
    areas = [np.bincount(labels.ravel(), minlength=1)[1:] for labels in inner]
    levels = {erosion: _levels(inner, erosion) for erosion in EROSIONS}
    counts: dict[Protocol, Counts] = {}
    for smallest in SMALLEST:
        annotated, predicted = (int((of_side >= max(smallest, 1)).sum()) for of_side in areas)
        for erosion, (pairs, level) in levels.items():
            matched = len(Matching(areas[0], areas[1], pairs[level >= max(smallest, 1)]).matched)
            counts[Protocol(erosion, smallest)] = Counts(matched, annotated, predicted)
    return counts


def _levels(both_sides, erosion):
    """Pairs of nuclei that overlap under an erosion, and the largest `smallest` at which each still does."""
    y_true, y_pred = both_sides
    sides = [_survival(labels, erosion) for labels in both_sides]
    level = np.minimum(*sides)
    both = level > 0
    pairs, runs, pair_of_run = _runs(y_true[both], y_pred[both])
    highest = np.zeros(len(pairs), np.int64)
    if len(runs):
        np.maximum.at(highest, pair_of_run, np.maximum.reduceat(level[both], runs))
    return pairs, highest


def _survival(labels, erosion):
    """Of each pixel the largest `smallest` at which an erosion leaves it to its nucleus; 0 where none does.

    Nuclei that are left out are left out before the erosion: with "mask" they open a gap in what touches them.
    """
    areas = np.bincount(labels.ravel(), minlength=1)
    areas[0] = 0
    area = areas.astype(np.int32)[labels]
    if erosion == "none":
        return area
    return over_squares(area, np.minimum) if erosion == "mask" else np.where(erode(labels, erosion) > 0, area, 0)


# ---- IoU sweep, on nuclei as they are


def iou_matrix(y_true: np.ndarray, y_pred: np.ndarray) -> Iou:
    """Intersection over union of every annotated with every predicted nucleus.

    Parameters
    ----------
    y_true, y_pred : (H, W) integer ndarray
        Label images of the same pixels.

    Returns
    -------
    iou : (G, R) float64 scipy.sparse.csr_array
        Rows and columns in the order of the ids present; few pairs overlap, and a dense one of 20,000 nuclei takes 3 GB.

    Raises
    ------
    HarnessError
        The images differ in shape, or one is no label image.

    Examples
    --------
    >>> iou_matrix(np.array([[1, 1, 1, 1, 0, 2]]), np.array([[7, 7, 7, 0, 0, 0]])).toarray()
    array([[0.75],
           [0.  ]])
    """
    g, r, shared, annotated, predicted = _shared_pixels(y_true, y_pred)
    iou = shared / (annotated[g] + predicted[r] - shared)
    return csr_array((iou, (g, r)), shape=(len(annotated), len(predicted)))


def counts_at(iou: Iou, thresh: float = 0.5) -> Counts:
    """Numbers of nuclei, matched where their IoU is above `thresh`, which from 0.5 on can pair a nucleus only once.

    `jaccard` of them is tp / (tp + fp + fn), the average precision of the 2018 Data Science Bowl; `f1` is the
    score of Caicedo et al. (2019), Cytometry A 95:952.

    Parameters
    ----------
    iou : (G, R) csr_array or ndarray
        See `iou_matrix`.
    thresh : float
        0.5 or more.

    Returns
    -------
    Counts

    Raises
    ------
    HarnessError
        A threshold below 0.5.

    Examples
    --------
    >>> counts_at(np.array([[0.75, 0.0], [0.0, 0.4]]))
    Counts(matched=1, annotated=2, predicted=2)
    """
    if thresh < 0.5:
        raise HarnessError(f"IoU threshold {thresh}: below 0.5 a nucleus may pair twice; give 0.5 or more")
    iou = csr_array(iou)
    return Counts(int((iou.data > thresh).sum()), *iou.shape)


def f1(counts: Counts | Iterable[Counts]) -> float:
    """2 tp / (2 tp + fp + fn) of one or more `Counts`, pooled; NaN without any nucleus.

    Examples
    --------
    >>> f1(Counts(matched=2, annotated=2, predicted=3))
    0.8
    """
    total = pooled(counts)
    both = 2 * total.tp + total.fp + total.fn
    return 2 * total.tp / both if both else float("nan")


def panoptic_quality(ious: Iterable[Iou]) -> float:
    """Sum of IoU above 0.5 over (|G| + |R|) / 2, pooled (Kirillov et al. 2019, eq. 1); NaN without nuclei.

    Parameters
    ----------
    ious : iterable of (G, R) csr_array or ndarray
        One `iou_matrix` per field.

    Examples
    --------
    >>> panoptic_quality([np.array([[0.75, 0.0, 0.0]])])
    0.375
    """
    ious = [csr_array(iou) for iou in ious]
    nuclei = sum(sum(iou.shape) for iou in ious)
    return float(2 * sum(iou.data[iou.data > 0.5].sum() for iou in ious) / nuclei) if nuclei else float("nan")


def aji(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Aggregated Jaccard index (Kumar et al. 2017, IEEE TMI 36:1550); NaN without any nucleus.

    Each annotated nucleus is paired with the prediction of largest IoU, the first of equals: shared pixels
    over the union of the pairs, to which nuclei without a partner on either side add all their pixels.

    Parameters and errors are those of `iou_matrix`.

    Examples
    --------
    >>> aji(np.array([[1, 1, 1, 1, 0, 0]]), np.array([[7, 7, 7, 0, 0, 8]]))
    0.6
    """
    g, r, shared, annotated, predicted = _shared_pixels(y_true, y_pred)
    union = annotated[g] + predicted[r] - shared
    order = np.lexsort((r, -shared / union, g))
    best = order[np.unique(g[order], return_index=True)[1]]  # a pair for each annotated nucleus that has any
    lone = annotated.sum() - annotated[g[best]].sum() + np.delete(predicted, r[best]).sum()
    total = union[best].sum() + lone
    return float(shared[best].sum() / total) if total else float("nan")


def object_errors(iou: Iou) -> dict[str, int]:
    """Numbers of `missed`, `extra`, `merged` and `split` nuclei (Caicedo et al. 2019).

    A missed (extra) nucleus has no partner of IoU above 0.7 among the predicted (annotated) ones. A
    prediction of IoU above 0.1 with two or more annotated nuclei is merged; an annotated nucleus of IoU
    above 0.1 with two or more predictions is split.

    Parameters
    ----------
    iou : (G, R) csr_array or ndarray
        See `iou_matrix`.

    Examples
    --------
    >>> object_errors(np.array([[0.5], [0.4]]))
    {'missed': 2, 'extra': 1, 'merged': 1, 'split': 0}
    """
    iou = csr_array(iou)
    paired, related = iou > 0.7, iou > 0.1
    return {
        "missed": int((paired.sum(axis=1) == 0).sum()),
        "extra": int((paired.sum(axis=0) == 0).sum()),
        "merged": int((related.sum(axis=0) > 1).sum()),
        "split": int((related.sum(axis=1) > 1).sum()),
    }


def iou_sweep(
    y_true: Iterable[np.ndarray], y_pred: Iterable[np.ndarray], thresh: Iterable[float] = IOU_THRESHOLDS
) -> dict[float, tuple[float, float]]:
    """F1 and average precision of some fields at each IoU, pooled: {threshold: (F1, average precision)}."""
    ious = [iou_matrix(g, r) for g, r in zip(y_true, y_pred, strict=True)]
    counts = {each: [counts_at(iou, each) for iou in ious] for each in thresh}
    return {each: (f1(of_fields), jaccard(of_fields)) for each, of_fields in counts.items()}


def _shared_pixels(y_true, y_pred):
    """Pairs of nuclei that share pixels, by their places in the order of ids, the pixels shared; all areas (G,) and (R,)."""
    y_true, y_pred = same_shape(check_labels(y_true), check_labels(y_pred))
    (y_true, annotated), (y_pred, predicted) = _numbered(y_true), _numbered(y_pred)
    g, r, shared = overlaps(y_true, y_pred)
    return g - 1, r - 1, shared, annotated, predicted


def _numbered(labels):
    """Label image with the nuclei numbered 1..n, and their n areas."""
    areas = np.bincount(labels.ravel(), minlength=1)
    keep = areas > 0
    keep[0] = False
    return new_ids(keep)[labels], areas[keep]


def same_shape(y_true: np.ndarray, y_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both, or a HarnessError where they are not of the same pixels."""
    if y_true.shape != y_pred.shape:
        raise HarnessError(
            f"annotation of shape {y_true.shape} and prediction of shape {y_pred.shape}: score them on the same pixels"
        )
    return y_true, y_pred
