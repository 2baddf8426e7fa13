"""What else the field reports of nuclei: F1 and average precision over IoU, panoptic quality, AJI, kinds of error.

The definitions, with their sources, are those of `harness.scoring.metrics`; here they are kept per field and summed up. Every
nucleus counts, also those at the edge and the smallest.
"""

import numpy as np
import pandas as pd

from harness.scoring import metrics

KINDS = ("missed", "extra", "merged", "split")
LOGGED = ("f1_50", "f1_75", "f1_90", "ap_50", "ap", "pq", "aji")
# px; below 25 the authors of BBBC039 count nothing as a nucleus. The other two bounds are this project's.
SIZES = {"under 25 px": (0, 25), "25 to 249 px": (25, 250), "250 to 624 px": (250, 625), "625 px and more": (625, np.inf)}


def score_field(annotated, predicted):
    """Everything the tables of this module need to know of one field.

    Parameters
    ----------
    annotated, predicted : (H, W) int32 ndarray
        Label images of the same pixels.

    Returns
    -------
    dict of str to float
        annotated, predicted (nuclei), matched_50 to matched_95 (pairs of IoU above 0.50 ... 0.95), iou_sum (of the
        pairs above 0.5), aji, and for each size class k = 0..3 annotated_k, predicted_k, missed_k, split_k (annotated
        nuclei of that size), extra_k, merged_k (predicted ones).
    """
    iou = metrics.iou_matrix(annotated, predicted)
    record = {
        "annotated": iou.shape[0],
        "predicted": iou.shape[1],
        "iou_sum": float(iou[iou > 0.5].sum()),
        "aji": metrics.aji(annotated, predicted),
    }
    for threshold in metrics.IOU_THRESHOLDS:
        record[_matched(threshold)] = metrics.counts_at(iou, threshold).matched
    areas = [_areas(labels) for labels in (annotated, predicted)]
    for k, (low, high) in enumerate(SIZES.values()):
        rows, columns = ((low <= area) & (area < high) for area in areas)
        of_annotated, of_predicted = metrics.object_errors(iou[rows]), metrics.object_errors(iou[:, columns])
        record |= {
            f"annotated_{k}": int(rows.sum()),
            f"predicted_{k}": int(columns.sum()),
            f"missed_{k}": of_annotated["missed"],
            f"split_{k}": of_annotated["split"],
            f"extra_{k}": of_predicted["extra"],
            f"merged_{k}": of_predicted["merged"],
        }
    return record


def _matched(threshold):
    return f"matched_{round(100 * threshold)}"


def _areas(labels):
    areas = np.bincount(labels.ravel())[1:]
    return areas[areas > 0]


def quality(stored):
    """F1, average precision, panoptic quality and AJI of each row.

    Parameters
    ----------
    stored : DataFrame
        The records of `score_field` with the columns row, seed and field.

    Returns
    -------
    DataFrame
        row, f1_50 ... f1_95, ap_50 ... ap_95 (pooled over the fields), ap (mean of these), pq (pooled), aji (mean over
        fields); means over seeds.
    """
    sums = stored.groupby(["row", "seed"], sort=False).sum(numeric_only=True)
    both = sums["annotated"] + sums["predicted"]
    table = {}
    for threshold in metrics.IOU_THRESHOLDS:
        matched = sums[_matched(threshold)]
        table[f"f1_{round(100 * threshold)}"] = 2 * matched / both
        table[f"ap_{round(100 * threshold)}"] = matched / (both - matched)
    table = pd.DataFrame(table)
    table["ap"] = table.filter(like="ap_").mean(axis=1)
    table["pq"] = 2 * sums["iou_sum"] / both
    table["aji"] = stored.groupby(["row", "seed"], sort=False)["aji"].mean()
    return table.groupby("row", sort=False).mean().reset_index()


def totals(stored):
    """What a run logs of these: the scores `LOGGED` and the numbers of each of `KINDS`; name -> value.

    MLflow's charts make a section of the names before a slash, so that those of the tables stand first.
    """
    one = stored.assign(row="", seed=0)
    scores, counts = quality(one).iloc[0], errors(one).iloc[0]
    return {f"iou/{name}": float(scores[name]) for name in LOGGED} | {f"iou/{kind}": float(counts[kind]) for kind in KINDS}


def errors(stored):
    """Numbers of annotated, predicted, missed, extra, merged and split nuclei of each row, by size and in all.

    Parameters
    ----------
    stored : DataFrame
        See `quality`.

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
