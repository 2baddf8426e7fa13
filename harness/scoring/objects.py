"""What is kept of the nuclei of a field, so that the usual scores can be pooled from it: counts over IoU, AJI, kinds of error.

The definitions, with their sources, are those of `harness.scoring.metrics`. Every nucleus counts, also those at the edge and
the smallest.
"""

import numpy as np
import pandas as pd

from harness.scoring import metrics
from harness.scoring.crowding import touching_counts
from harness.scoring.mismatches import KINDS

# px; below 25 the authors of BBBC039 count nothing as a nucleus. The other two bounds are this project's.
SIZES = {"under 25 px": (0, 25), "25 to 249 px": (25, 250), "250 to 624 px": (250, 625), "625 px and more": (625, np.inf)}


def record(y_true: np.ndarray, y_pred: np.ndarray, touching: np.ndarray) -> dict[str, float]:
    """Everything the tables need to know of the nuclei of one field.

    Parameters
    ----------
    y_true, y_pred : (H, W) int32 ndarray
        Label images of the same pixels.
    touching : int ndarray
        See `harness.scoring.crowding.touching_nuclei`.

    Returns
    -------
    dict of str to float
        annotated, predicted (nuclei), matched_50 to matched_95 (pairs of IoU above 0.50 ... 0.95), iou_sum (of the
        pairs above 0.5), aji, and for each size class k = 0..3 annotated_k, predicted_k, missed_k, split_k (annotated
        nuclei of that size), extra_k, merged_k (predicted ones). Of the pairs above 0.5: area_annotated and
        area_predicted (px), and touching_matched, touching_annotated, touching_predicted.
    """
    iou = metrics.iou_matrix(y_true, y_pred)
    (g, area_true), (r, area_pred) = _areas(y_true), _areas(y_pred)
    kept = {
        "annotated": iou.shape[0],
        "predicted": iou.shape[1],
        "iou_sum": float(iou.data[iou.data > 0.5].sum()),
        "aji": metrics.aji(y_true, y_pred),
    }
    kept |= {matched_at(thresh): metrics.counts_at(iou, thresh).matched for thresh in metrics.IOU_THRESHOLDS}
    kept |= _errors_by_size(iou, area_true, area_pred)
    pairs = np.stack((iou > 0.5).nonzero(), axis=1)
    kept |= {"area_annotated": int(area_true[pairs[:, 0]].sum()), "area_predicted": int(area_pred[pairs[:, 1]].sum())}
    found = metrics.Matching(g, r, np.stack([g[pairs[:, 0]], r[pairs[:, 1]]], axis=1))
    return kept | prefixed("touching", touching_counts(found, y_true, y_pred, touching))


def matched_at(thresh: float) -> str:
    """Name of the number of pairs above an IoU."""
    return f"matched_{round(100 * thresh)}"


def prefixed(name: str, counts: metrics.Counts) -> dict[str, int]:
    """`Counts` as they are stored."""
    return {f"{name}_{key}": int(count) for key, count in counts._asdict().items()}


def _areas(labels):
    """Ids of the nuclei, and their areas in px."""
    areas = np.bincount(labels.ravel(), minlength=1)
    areas[0] = 0
    ids = np.flatnonzero(areas)
    return ids, areas[ids]


def _errors_by_size(iou, area_true, area_pred):
    kept = {}
    for k, (low, high) in enumerate(SIZES.values()):
        rows, columns = ((low <= area) & (area < high) for area in (area_true, area_pred))
        of_annotated, of_predicted = metrics.object_errors(iou[rows]), metrics.object_errors(iou[:, columns])
        kept |= {
            f"annotated_{k}": int(rows.sum()),
            f"predicted_{k}": int(columns.sum()),
            f"missed_{k}": of_annotated["missed"],
            f"split_{k}": of_annotated["split"],
            f"extra_{k}": of_predicted["extra"],
            f"merged_{k}": of_predicted["merged"],
        }
    return kept


def errors(stored: pd.DataFrame) -> pd.DataFrame:
    """Numbers of annotated, predicted, missed, extra, merged and split nuclei of each row, by size and in all.

    Parameters
    ----------
    stored : DataFrame
        The records of `record` with the columns row, seed and field.

    Returns
    -------
    DataFrame
        row, size ("all" first), then one column per number; means over seeds.
    """
    sums = stored.groupby(["row", "seed"], sort=False).sum(numeric_only=True).groupby("row", sort=False).mean()
    columns = ("annotated", "predicted", *KINDS)
    by_size = [
        sums[[f"{name}_{k}" for name in columns]].set_axis(columns, axis=1).assign(size=size) for k, size in enumerate(SIZES)
    ]
    total = sum(table[list(columns)] for table in by_size).assign(size="all")
    together = pd.concat([total, *by_size]).reset_index()
    order = {row: place for place, row in enumerate(sums.index)}
    together = together.sort_values("row", key=lambda rows: rows.map(order), kind="stable", ignore_index=True)
    return together[["row", "size", *columns]]
