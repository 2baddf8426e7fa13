"""What a reviewer asks for besides the paper's tables."""

import pandas as pd

from harness.core.markdown import code, number, to_markdown
from harness.report.content import Content
from harness.report.text.rows import heading, section, title, value
from harness.scoring.metrics import PROTOCOLS
from harness.scoring.names import TABLES

OUTLINES = """\
## Outlines and counts

Means over test fields with their 95 % intervals. Of the foreground before post-processing: outline offset, the mean signed
distance between predicted and annotated outlines (positive: predicted outside); NSD, the share of both outlines within 1 px of
the other one; HD95, the 95th percentile of their distances. Of the nuclei of `equal`: area bias, of pairs of IoU above 0.5,
pooled; count error, predicted minus annotated nuclei a field.

"""
SENSITIVITY = """\
## Sensitivity of the Jaccard index

Pooled over the test set, under each erosion (of none, of the binary mask, of each object) and smallest nucleus counted;
on tiles with the label images of `paper`, on fields with those of `equal`. Bold: the two protocols.

"""
QUALITY = """\
## Nuclei over IoU

On the whole-field nuclei of `equal`, every nucleus counted, also those at the edge and under 25 px. F1 (Caicedo et al.
2019) and average precision TP / (TP + FP + FN) (2018 Data Science Bowl) at an intersection over union, panoptic quality
(Kirillov et al. 2019), pooled; aggregated Jaccard index (Kumar et al. 2017), mean over fields; with 95 % intervals.

"""
ERRORS = """\
## Missed, extra, merged and split nuclei

After Caicedo et al. (2019), on the same nuclei: missed, or extra, without a partner of IoU above 0.7; merged, or split,
with two partners or more of IoU above 0.1. Sizes are those of annotated nuclei for missed and split, of predicted ones
for extra and merged.

"""
TRANSFER = """\
## Learned on one data set, scored on another

Networks of this profile on the test fields of each data set, by the data set that they learned on. Means over seeds.

"""
UNITS = {"tile": "tiles", "field": "fields"}


def outlines(content: Content) -> str:
    """How far outlines lie apart, and how many nuclei there are."""
    return section(content, OUTLINES, content.outlines, "px_annotated")


def quality(content: Content) -> str:
    """The usual scores over IoU."""
    return section(content, QUALITY, content.quality, "iou_sum")


def sensitivity(content: Content) -> str:
    """The Jaccard index under every erosion and smallest nucleus."""
    frame = content.sensitivity
    if frame.empty:
        return ""
    chosen = {(unit, *PROTOCOLS[name]) for unit, name in (("tile", "paper"), ("field", "equal"))}
    lines = []
    frame = frame.sort_values("unit", ascending=False, kind="stable", key=lambda unit: unit == "tile")
    for (row, erosion), group in frame.groupby(["row", "erosion"], sort=False):
        line = {"": title(content, row), "erosion": erosion}
        for cell in group.itertuples():
            text = number(cell.jaccard)
            bold = (cell.unit, erosion, cell.smallest) in chosen
            line[f"{UNITS[cell.unit]}, {cell.smallest} px"] = f"**{text}**" if bold else text
        lines.append(line)
    table = pd.DataFrame(lines)
    table.loc[table[""].duplicated(), ""] = ""
    return SENSITIVITY + to_markdown(table, ("", "erosion"))


def errors(content: Content) -> str:
    """Kinds of error by size."""
    frame = content.errors
    if frame.empty:
        return ""
    text = frame.astype(object)
    text["row"] = text["row"].map(lambda row: title(content, row)).where(~text["row"].duplicated(), "")
    for name in frame.columns[2:]:
        text[name] = [number(value, 0 if float(value).is_integer() else 1) for value in frame[name]]
    return ERRORS + to_markdown(text.rename(columns={"row": ""}), ("", "size"))


def transfer(content: Content) -> str:
    """Every pair of data sets that a network learned on and was scored on; nothing where all were the same."""
    lines = [
        {"": title(content, line["row"]), "learned on": code(line["learned_on"]), "scored on": code(line["scored_on"])}
        | {"seeds": str(line["seeds"])}
        | {heading(metric): value(metric, line[metric]) for metric in TABLES}
        for line in content.transfer.to_dict("records")
    ]
    return TRANSFER + to_markdown(pd.DataFrame(lines), ("", "learned on", "scored on")) if lines else ""
