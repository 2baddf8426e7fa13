"""`harness triage`: which labels to correct first, told without annotation, and the fields to correct as files for an editor."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import tifffile

from harness.apps.comparing import choose
from harness.core.errors import HarnessError
from harness.core.files import make_folder
from harness.core.label_images import write_label_image
from harness.core.markdown import number
from harness.datasets import DataSet, read_image
from harness.experiment.evidence import gather, label_sources, read_labels
from harness.experiment.results import RowResults
from harness.scoring.doubt import WEIGHTS
from harness.sources.folder import IGNORE

CORRECTED = ("training", "validation")  # test fields have manual labels
TILES = 24  # of the contact sheet
SHOWN = 12  # lines of a table on the terminal
OF_A_FIELD = 2  # of what is shown: a blank field would fill it
WHY = {
    "agreement": "other sources differ",
    "roundness": "not round",
    "edge": "blurred outline",
    "unevenness": "uneven inside",
    "large": "large",
    "small": "small",
    "at_edge": "at the edge",
}


class Triage(NamedTuple):
    """The labels of a row, the most doubtful first.

    Attributes
    ----------
    row : str
        Whose labels these are.
    others : list of str
        The rows that they were compared with.
    nuclei : DataFrame
        field, kind ("label", or "missing": a nucleus that others see where this row has none), label (id in the row's label
        image, or in that of the one that sees it), y, x, area, doubt, why.
    fields : DataFrame
        field, nuclei, missing, share: of all doubt.
    labels : Path
        Folder of the row's label images.
    """

    row: str
    others: list[str]
    nuclei: pd.DataFrame
    fields: pd.DataFrame
    labels: Path


def judge(dataset: DataSet, results: Mapping[str, RowResults], row: str, say: Callable[[str], object]) -> Triage:
    """Order the labels of the training and validation fields by how likely they are wrong.

    Parameters
    ----------
    dataset : DataSet
        No mask is looked at.
    results : mapping of str to RowResults
        Every row, see `harness.experiment.session.Session.results`.
    row : str
        A classical row: its labels, compared with those of all other classical rows that have runs. A network row: the labels
        it learned from, compared with these and with what the network itself sees.
    say : callable
        Takes a line about work that takes long.

    Raises
    ------
    HarnessError
        No such row, no run of it or of the row whose labels it learned from, or nothing to compare them with.
    """
    own, raters = _raters(dataset, results, row, say)
    evidence = gather(dataset, raters, say)
    names = [name for split in CORRECTED for name in dataset.splits[split]]
    nuclei = evidence.nuclei.query("row == @own and field in @names").drop(columns="row")
    nuclei = nuclei.assign(why=_why(nuclei)).sort_values(["doubt", "field", "label"], ascending=[False, True, True])
    others = [name for name in raters if name != own]
    return Triage(own, others, nuclei.reset_index(drop=True), _fields(nuclei, names), evidence.labels[own])


def _raters(dataset, results, row, say):
    """The row whose labels are judged, and all whose label images are compared."""
    given = choose(results, [row])[row]
    sources = label_sources(dataset, results, say)
    if given.row.method != "network":
        return row, sources | {row: given}
    own = [
        name
        for name, result in sources.items()
        if (result.row.labels, result.row.settings) == (given.row.labels, given.row.settings)
    ]
    if not own:
        raise HarnessError(f"{row}: no classical row with its labels, {given.row.labels}, has a run here; run or add one")
    return own[0], sources | {row: given}


def _why(nuclei):
    """The feature that speaks most against each nucleus, compared with the middle one."""
    features = nuclei[list(WEIGHTS)]
    against = (features - features.median()) * pd.Series(WEIGHTS)
    words = against.to_numpy().argmax(axis=1) if len(against) else np.array([], int)
    return np.where(nuclei["kind"] == "missing", "only others see it", np.array(list(WHY.values()))[words])


def _fields(nuclei, names):
    """Fields by their share of all doubt: where correcting changes most."""
    counts = pd.crosstab(nuclei["field"], nuclei["kind"]).reindex(index=names, columns=["label", "missing"], fill_value=0)
    share = (nuclei.groupby("field")["doubt"].sum() / max(nuclei["doubt"].sum(), 1e-9)).reindex(names, fill_value=0)
    table = pd.DataFrame({"field": names, "nuclei": counts["label"].to_numpy(), "missing": counts["missing"].to_numpy()})
    return table.assign(share=share.to_numpy()).sort_values("share", ascending=False, ignore_index=True, kind="stable")


# ---- what is written


def write(found: Triage, dataset: DataSet, out: Path, count: int) -> None:
    """Write the tables, a contact sheet, every label image, and the images of the fields to correct.

    Parameters
    ----------
    found : Triage
    dataset : DataSet
    out : Path
        New or empty: nuclei.csv, fields.csv, worst.png, labels/<field>.tif of all fields, which is the label source
        `folder:OUT/labels`, and images/<field>.tif of the fields to correct.
    count : int
        Fields to correct.

    Raises
    ------
    HarnessError
        There are label images already: somebody may have corrected them.
    """
    if (out / "labels").exists():
        raise HarnessError(f"{out / 'labels'}: is there and may hold corrected labels; give a new folder")
    for part in ("labels", "images"):
        make_folder(out / part)
    found.nuclei.to_csv(out / "nuclei.csv", index=False, float_format="%.5g")
    found.fields.to_csv(out / "fields.csv", index=False, float_format="%.5g")
    _write_labels(found.labels, [name for split in dataset.splits.values() for name in split], out / "labels")
    for name in found.fields["field"][:count]:
        tifffile.imwrite(out / "images" / f"{name}.tif", dataset.read_image(name))
    _write_sheet(found, dataset, out / "worst.png")


def _write_labels(labels, names, out):
    for name in names:
        write_label_image(out / f"{name}.tif", read_labels(labels / f"{name}.png"))
        ignore = labels / f"{name}{IGNORE}.png"
        if ignore.exists():
            write_label_image(out / f"{name}{IGNORE}.tif", read_image(ignore) > 0)


def _write_sheet(found, dataset, path):
    from harness.report.figures.doubtful import Crop, contact_sheet
    from harness.report.figures.style import save

    worst = [
        Crop(dataset.read_image(line.field), read_labels(found.labels / f"{line.field}.png"), line)
        for line in _worst(found, TILES)
    ]
    save(contact_sheet(worst), path, "", "")


def _worst(found, count):
    return found.nuclei.groupby("field", sort=False).head(OF_A_FIELD).head(count).itertuples()


def said(found: Triage) -> str:
    """What the order comes from, and what it is not."""
    return (
        f"{found.row}: labels of {len(found.fields)} training and validation fields, compared with {', '.join(found.others)}. "
        "Doubt is an order of what to look at, no share of wrong labels: sources can agree on what is wrong."
    )


def nuclei(found: Triage) -> pd.DataFrame:
    """The most doubtful nuclei, as text."""
    return pd.DataFrame(
        [
            {
                "field": line.field,
                "nucleus": "missing" if line.kind == "missing" else str(line.label),
                "y": f"{line.y:.0f}",
                "x": f"{line.x:.0f}",
                "px": str(line.area),
                "doubt": number(line.doubt, 2),
                "why": line.why,
            }
            for line in _worst(found, SHOWN)
        ]
    )


def fields(found: Triage, count: int) -> pd.DataFrame:
    """The fields to correct first, as text."""
    return pd.DataFrame(
        [
            {"field": line.field, "nuclei": str(line.nuclei), "missing": str(line.missing), "of all doubt": f"{line.share:.1%}"}
            for line in found.fields.head(count).itertuples()
        ]
    )


def as_json(found: Triage, count: int) -> dict:
    """Ready for JSON: the fields to correct, and their nuclei, the most doubtful first."""
    worst = found.fields.head(count)
    nuclei = found.nuclei[found.nuclei["field"].isin(worst["field"])][
        ["field", "kind", "label", "y", "x", "area", "doubt", "why"]
    ]
    return {
        "row": found.row,
        "others": found.others,
        "fields": worst.to_dict("records"),
        "nuclei": json.loads(nuclei.to_json(orient="records")),
    }
