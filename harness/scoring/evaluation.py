"""A row's prediction of the test fields, scored by both protocols (DESIGN: Dice before, Jaccard after post-processing)."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.method import tiles
from harness.method.classmap import NUCLEUS, SEPARATION, class_map
from harness.method.postprocess import nuclei_from_class_map
from harness.scoring import metrics, objects

CLASSES = {"nuclei": NUCLEUS, "separations": SEPARATION}
COUNTS = metrics.Counts._fields


class Prediction(NamedTuple):
    """What a row says about one field.

    Attributes
    ----------
    tile_maps : sequence of (S, S) uint8 ndarray
        Class maps before post-processing, one per tile.
    tile_nuclei : sequence of (S, S) int32 ndarray
        Label images that the protocol `paper` scores, one per tile.
    nuclei : (H, W) int32 ndarray
        Label image of the whole field, post-processed: what the protocol `equal` scores.
    kept : dict of str to ndarray
        What the rest can be made from again, to be stored beside `nuclei`; "{}" in a key stands for the field's name.
    """

    tile_maps: list
    tile_nuclei: list
    nuclei: np.ndarray
    kept: dict


def from_labels(labels):
    """Prediction of a classical row: label images as they are per tile, post-processed like a network's per field."""
    classes = class_map(labels)
    return Prediction(list(tiles.cut(classes)), list(tiles.cut(labels)), nuclei_from_class_map(classes), {"labels/{}": labels})


def from_class_maps(tile_maps, field_map):
    """Prediction of a network row, from the class maps of the tiles and of the stitched field."""
    return Prediction(
        list(tile_maps),
        [nuclei_from_class_map(tile) for tile in tile_maps],
        nuclei_from_class_map(field_map),
        {"tiles/{}": np.hstack(tile_maps)},
    )


def tiles_of_strip(strip):
    """The class maps of a field's tiles from the strip they are stored as: side by side, which compresses best."""
    return np.hsplit(strip, strip.shape[1] // strip.shape[0])


class Scores(NamedTuple):
    """What one field scored.

    Attributes
    ----------
    tiles : list of dict
        One record per tile: Dice counts of both classes and the counts of protocol `paper`. The first one also holds
        the counts of protocol `equal`, whose unit is the whole field.
    sensitivity : DataFrame
        Object counts under every erosion and smallest nucleus: unit ("tile": the label images of protocol `paper`;
        "field": those of `equal`), erosion, smallest (px), matched, annotated, predicted.
    objects : dict
        See `harness.scoring.objects.score_field`.
    """

    tiles: list
    sensitivity: pd.DataFrame
    objects: dict


def score_field(prediction, nuclei):
    """Score the `Prediction` of one field against its manual labels, (H, W) int32; gives `Scores`."""
    return Scores(
        _score_tiles(prediction, nuclei), _sensitivity(prediction, nuclei), objects.score_field(nuclei, prediction.nuclei)
    )


def _score_tiles(prediction, nuclei):
    maps, labels, records = (_by_tile(class_map(nuclei), prediction.tile_maps), _by_tile(nuclei, prediction.tile_nuclei), [])
    for index, (classes, objects_there) in enumerate(zip(maps, labels, strict=True)):
        record, counts = {"tile": index}, metrics.dice_counts(*classes)
        for name, value in CLASSES.items():
            record[f"dice_{name}_twice_both"], record[f"dice_{name}_sum"] = (int(count) for count in counts[value])
        records.append(record | _counts("paper", *objects_there))
    records[0] |= _counts("equal", nuclei, prediction.nuclei)
    return records


def _by_tile(truth, predicted):
    """What is annotated and what is predicted in each tile, without the padding of a smaller field."""
    for tile, (y, x) in zip(predicted, tiles.tile_corners(truth.shape), strict=True):
        window = truth[y : y + tiles.SIZE, x : x + tiles.SIZE]
        yield window, tile[: window.shape[0], : window.shape[1]]


def _counts(protocol, truth, predicted):
    counts = metrics.match(truth, predicted, protocol)
    return {f"{protocol}_{name}": int(count) for name, count in zip(COUNTS, counts, strict=True)}


def _sensitivity(prediction, nuclei):
    pairs = [("field", nuclei, prediction.nuclei), *(("tile", *pair) for pair in _by_tile(nuclei, prediction.tile_nuclei))]
    return pd.DataFrame(
        [
            {"unit": unit, "erosion": erosion, "smallest": smallest} | counts._asdict()
            for unit, truth, predicted in pairs
            for (erosion, smallest), counts in metrics.sensitivity_counts(truth, predicted).items()
        ]
    )


def tables(scores):
    """Everything that a run stores of its scores.

    Parameters
    ----------
    scores : dict of str to Scores
        Field by field.

    Returns
    -------
    dict of str to DataFrame
        per_tile (the records of `Scores` with a column `field`), per_field (with those of `harness.scoring.objects`), and
        sensitivity (counts pooled over the fields).
    """
    per_tile = pd.DataFrame([{"field": name} | record for name, scored in scores.items() for record in scored.tiles])
    of_objects = pd.DataFrame([{"field": name} | scored.objects for name, scored in scores.items()])
    variants = pd.concat([scored.sensitivity for scored in scores.values()])
    return {
        "per_tile": per_tile,
        "per_field": per_field(per_tile).merge(of_objects, on="field"),
        "sensitivity": variants.groupby(["unit", "erosion", "smallest"], sort=False).sum().reset_index(),
    }


def per_field(per_tile):
    """Scores of each field: Dice is the mean over its tiles, Jaccard is pooled over them.

    Parameters
    ----------
    per_tile : DataFrame
        See `tables`.

    Returns
    -------
    DataFrame
        Per field: dice_nuclei, dice_separations, the same over the whole field's pixels (`_pooled`), jaccard,
        jaccard_equal and the counts behind them.
    """
    grouped = per_tile.assign(**_tile_dice(per_tile)).groupby("field", sort=False)
    sums = grouped.sum(numeric_only=True)
    table = grouped[[f"dice_{name}" for name in CLASSES]].mean()
    for name in CLASSES:
        table[f"dice_{name}_pooled"] = sums[f"dice_{name}_twice_both"] / sums[f"dice_{name}_sum"]
    table["jaccard"], table["jaccard_equal"] = _jaccard(sums, "paper"), _jaccard(sums, "equal")
    counts = [f"{protocol}_{name}" for protocol in ("paper", "equal") for name in COUNTS]
    return table.join(sums[counts].astype(int)).reset_index()


def totals(tables):
    """The metrics of a run, from what `tables` gave: name -> value.

    Dice: mean over tiles, a tile where the class is absent on both sides left out; beside it the mean over fields and
    the value pooled over all pixels. Jaccard: pooled over the test set.
    The rest: see `harness.scoring.objects.totals`.
    """
    per_tile, fields = tables["per_tile"], tables["per_field"]
    sums, values = per_tile.sum(numeric_only=True), objects.totals(fields)
    for name, dice in _tile_dice(per_tile).items():
        values[name] = dice.mean()
        values[f"{name}_fields"] = fields[f"{name}_pooled"].mean()
        values[f"{name}_pooled"] = sums[f"{name}_twice_both"] / sums[f"{name}_sum"]
    values["jaccard"], values["jaccard_equal"] = _jaccard(sums, "paper"), _jaccard(sums, "equal")
    values |= {f"{p}_{name}": sums[f"{p}_{name}"] for p in ("paper", "equal") for name in COUNTS}
    return {name: float(value) for name, value in values.items()}


def _tile_dice(table):
    return {f"dice_{name}": table[f"dice_{name}_twice_both"] / table[f"dice_{name}_sum"].replace(0, np.nan) for name in CLASSES}


def _jaccard(sums, protocol):
    matched, annotated, predicted = (sums[f"{protocol}_{name}"] for name in COUNTS)
    return matched / (annotated + predicted - matched)
