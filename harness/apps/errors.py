"""`harness errors`: how often, and how, a label source errs on annotated training fields, as the noise that does the same."""

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.core.errors import HarnessError
from harness.core.markdown import NONE, number, signed
from harness.datasets import DataSet
from harness.scoring.boundaries import FARTHEST, Distances, outline_distances, outline_offset
from harness.scoring.metrics import Matching, matching
from harness.sources import LabelSource, sample

KINDS = ("missing", "merged", "split", "false")  # in the order in which the steps are done
SIZES = ("small", "medium", "large")
GRID = 0.25  # px^2: variance of distances between outlines that is the pixels' own, of noise that has no wobble


class Errors(NamedTuple):
    """What a source does wrong.

    Attributes
    ----------
    source : str
    fields : int
        Annotated training fields that were looked at.
    rates : DataFrame
        size ("all", and a third of the annotated nuclei each), up_to (px of area), nuclei (annotated), and missing, merged,
        split, false as shares of them. Of nuclei that came as one all but the largest count as merged; false ones are of
        the size that the source gave them.
    offset, spread : float
        Mean and standard deviation, in px, of the signed distances between the outlines of matched nuclei, positive where the
        source's lies farther out; NaN where none matched.
    """

    source: str
    fields: int
    rates: pd.DataFrame
    offset: float
    spread: float


def measure(source: LabelSource, dataset: DataSet, every: int = 1) -> Errors:
    """Compare labels with the annotation of training fields; no other field is looked at.

    Parameters
    ----------
    source : LabelSource
        Its labels are taken as they are: what it ignores counts, too.
    dataset : DataSet
    every : int
        One of so many fields is looked at.

    Raises
    ------
    HarnessError
        No training field is annotated or holds a nucleus that counts, or the source has no labels of one.
    """
    names = [name for name in dataset.splits["training"] if name not in dataset.unannotated][::every]
    lacking = source.lacks(dataset, tuple(names))
    if not names or lacking:
        what = f"{source.needed} of training field {lacking[0]}" if lacking else "annotated training field"
        raise HarnessError(f"{dataset.name}: no {what}; add it, errors are measured on training fields")
    source = source.fitted(lambda: map(dataset.read_image, sample(dataset.splits["training"])))
    nuclei, distances = zip(*(_of_field(source, dataset, name) for name in names), strict=True)
    table, between = pd.concat(nuclei), Distances(*map(np.concatenate, zip(*distances, strict=True)))
    if not table["annotated"].any():
        raise HarnessError(f"{dataset.name}: its training fields hold no nuclei that count; give a data set that has some")
    near = np.concatenate(between)
    near = near[np.abs(near) <= FARTHEST]
    return Errors(source.name, len(names), _rates(table), outline_offset(between), float(near.std()) if len(near) else np.nan)


def _of_field(source: LabelSource, dataset: DataSet, name: str) -> tuple[pd.DataFrame, Distances]:
    """The nuclei that are annotated or false, each with its area and what became of it; distances between outlines."""
    labels, truth = source.label(dataset.field(name))[0], dataset.annotation(name)
    found = matching(truth, labels, "equal")
    areas = np.bincount(truth.ravel(), minlength=1)
    g, r = found.pairs.T
    of_true = pd.DataFrame({"annotated": 1, "area": areas[found.annotated]}, index=found.annotated)
    of_true["missing"] = np.isin(found.annotated, _alone(np.setdiff1d(found.annotated, g), truth, labels))
    of_true["merged"] = np.isin(found.annotated, _swallowed(found, areas))
    of_true["split"] = np.bincount(g, minlength=len(areas))[found.annotated] > 1
    extra = _alone(np.setdiff1d(found.predicted, r), labels, truth)
    of_extra = pd.DataFrame({"annotated": 0, "area": np.bincount(labels.ravel(), minlength=1)[extra], "false": True})
    matched = (np.isin(each, ids) for each, ids in zip((truth, labels), found.matched.T, strict=True))
    return pd.concat([of_true, of_extra]), outline_distances(*matched)


def _alone(ids: np.ndarray, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of some nuclei those mostly on background: the others lie on one that does not count, being small or at the edge."""
    area, shared = (np.bincount(each, minlength=labels.max(initial=0) + 1) for each in (labels.ravel(), labels[others > 0]))
    return ids[2 * shared[ids] < area[ids]]


def _swallowed(found: Matching, areas: np.ndarray) -> np.ndarray:
    """Annotated nuclei that share a predicted one with a larger one."""
    g, r = found.pairs.T
    order = np.lexsort((-areas[g], r))
    g, r = g[order], r[order]
    return g[1:][r[1:] == r[:-1]]


def _rates(nuclei: pd.DataFrame) -> pd.DataFrame:
    """Shares of annotated nuclei, of all and of each third by area."""
    nuclei = nuclei.fillna(dict.fromkeys(KINDS, False)).astype(dict.fromkeys(KINDS, float))
    ends = nuclei["area"][nuclei["annotated"] == 1].quantile([1 / 3, 2 / 3]).to_numpy()
    third = np.searchsorted(ends, nuclei["area"])
    groups = {"all": nuclei} | {size: nuclei[third == nth] for nth, size in enumerate(SIZES)}
    sums = pd.DataFrame({size: group[["annotated", *KINDS]].sum() for size, group in groups.items()}).T
    shares = sums[list(KINDS)].div(sums["annotated"].where(sums["annotated"] > 0), axis=0)
    about = {"size": list(groups), "up_to": [np.inf, *ends, np.inf], "nuclei": sums["annotated"].astype(int)}
    return pd.DataFrame(about, index=sums.index).join(shares).reset_index(drop=True)


def recipe(found: Errors) -> list[dict]:
    """The steps of `harness.sources.noise` that spoil annotation as much, as registries have them; none for what never occurs."""
    shares = found.rates.iloc[0]
    steps = [{"step": f"noise-{kind}", "share": share} for kind in KINDS if (share := round(float(shares[kind]), 3))]
    if np.isnan(found.offset):
        return steps
    outline = {"by": round(found.offset, 2), "wobble": round(max(found.spread**2 - GRID, 0.0) ** 0.5, 2)}
    return [*steps, *([{"step": "noise-outline", **outline}] if any(outline.values()) else [])]


def as_line(steps: Sequence[dict]) -> str:
    """Steps as a line of a registry."""
    tables = (
        ", ".join(f'{key} = "{value}"' if key == "step" else f"{key} = {value}" for key, value in step.items()) for step in steps
    )
    return f"refine = [{', '.join(f'{{{table}}}' for table in tables)}]"


# ---- what is shown


def said(found: Errors) -> str:
    """Where the numbers come from, and how the outlines lie."""
    fields = f"{found.fields} training field{'s' * (found.fields != 1)}"
    return (
        f"{found.source}: shares of the annotated nuclei of {fields}; outlines of matched nuclei "
        f"{signed(found.offset, 2)} px off, standard deviation {number(found.spread, 2)} px."
    )


def rows(found: Errors) -> pd.DataFrame:
    """A line for all nuclei and for each third of them by size, as text."""
    return pd.DataFrame(
        [
            {"size": line.pop("size"), "up to px²": number(line["up_to"], 0) if np.isfinite(line["up_to"]) else NONE}
            | {"nuclei": str(line["nuclei"])}
            | {kind: number(line[kind]) for kind in KINDS}
            for line in found.rates.to_dict("records")
        ]
    )


def as_json(found: Errors) -> dict:
    """Ready for JSON."""
    rates = found.rates.replace(np.inf, np.nan)
    return {
        "source": found.source,
        "fields": found.fields,
        "rates": json.loads(rates.to_json(orient="records")),
        "offset": None if np.isnan(found.offset) else found.offset,
        "spread": None if np.isnan(found.spread) else found.spread,
        "refine": recipe(found),
    }
