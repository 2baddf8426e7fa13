"""A row's prediction of the test fields, scored by both protocols (DESIGN: Dice before, Jaccard after post-processing)."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from harness import metrics, tiles
from harness.classmap import NUCLEUS, SEPARATION, class_map
from harness.postprocess import nuclei_from_class_map

VERSION = 1
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
    return Prediction(list(tiles.cut(classes)), list(tiles.cut(labels)), nuclei_from_class_map(classes),
                      {"labels/{}": labels})


def from_class_maps(tile_maps, field_map):
    """Prediction of a network row, from the class maps of the tiles and of the stitched field."""
    return Prediction(list(tile_maps), [nuclei_from_class_map(tile) for tile in tile_maps],
                      nuclei_from_class_map(field_map),
                      {"tiles/{}": np.hstack(tile_maps)})


def tiles_of_strip(strip):
    """The class maps of a field's tiles from the strip they are stored as: side by side, which compresses best."""
    return np.hsplit(strip, strip.shape[1] // strip.shape[0])


def score_field(prediction, nuclei):
    """Score the prediction of one field.

    Parameters
    ----------
    prediction : Prediction
    nuclei : (H, W) int32 ndarray
        Manual labels.

    Returns
    -------
    list of dict
        One record per tile: Dice counts of both classes and the counts of protocol `paper`. The first one also holds
        the counts of protocol `equal`, whose unit is the whole field.
    """
    truth, records = class_map(nuclei), []
    for index, (y, x) in enumerate(tiles.tile_corners(nuclei.shape)):
        window = np.s_[y:y + tiles.SIZE, x:x + tiles.SIZE]
        inside = np.s_[:nuclei[window].shape[0], :nuclei[window].shape[1]]
        record = {"tile": index}
        counts = metrics.dice_counts(truth[window], prediction.tile_maps[index][inside])
        for name, value in CLASSES.items():
            record[f"dice_{name}_twice_both"], record[f"dice_{name}_sum"] = (int(count) for count in counts[value])
        record |= _counts("paper", nuclei[window], prediction.tile_nuclei[index][inside])
        records.append(record)
    records[0] |= _counts("equal", nuclei, prediction.nuclei)
    return records


def _counts(protocol, truth, predicted):
    counts = metrics.match(truth, predicted, protocol)
    return {f"{protocol}_{name}": int(count) for name, count in zip(COUNTS, counts, strict=True)}


def per_field(per_tile):
    """Scores of each field: Dice is the mean over its tiles, Jaccard is pooled over them.

    Parameters
    ----------
    per_tile : DataFrame
        The records of `score_field` with a column `field`.

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


def totals(per_tile):
    """The metrics of the tables, from the same records: name -> value.

    Dice: mean over tiles, a tile where the class is absent on both sides left out; beside it the mean over fields and
    the value pooled over all pixels. Jaccard: pooled over the test set.
    """
    fields, sums = per_field(per_tile), per_tile.sum(numeric_only=True)
    values = {}
    for name, dice in _tile_dice(per_tile).items():
        values[name] = dice.mean()
        values[f"{name}_fields"] = fields[f"{name}_pooled"].mean()
        values[f"{name}_pooled"] = sums[f"{name}_twice_both"] / sums[f"{name}_sum"]
    values["jaccard"], values["jaccard_equal"] = _jaccard(sums, "paper"), _jaccard(sums, "equal")
    values |= {f"{p}_{name}": sums[f"{p}_{name}"] for p in ("paper", "equal") for name in COUNTS}
    return {name: float(value) for name, value in values.items()}


def _tile_dice(table):
    return {f"dice_{name}": table[f"dice_{name}_twice_both"] / table[f"dice_{name}_sum"].replace(0, np.nan)
            for name in CLASSES}


def _jaccard(sums, protocol):
    matched, annotated, predicted = (sums[f"{protocol}_{name}"] for name in COUNTS)
    return matched / (annotated + predicted - matched)


def table_of(names, records):
    """Records of `score_field` of several fields as one DataFrame with a column `field`."""
    return pd.DataFrame([{"field": name} | record for name, scored in zip(names, records, strict=True)
                         for record in scored])


def sensitivity_of_field(prediction, nuclei):
    """Object counts of one field under every erosion and smallest nucleus, on its tiles and as a whole.

    Parameters
    ----------
    prediction : Prediction
    nuclei : (H, W) int32 ndarray
        Manual labels.

    Returns
    -------
    DataFrame
        unit ("tile": the label images of protocol `paper`; "field": those of `equal`), erosion, smallest (px),
        matched, annotated, predicted.
    """
    pairs = [("field", nuclei, prediction.nuclei)]
    for tile, (y, x) in zip(prediction.tile_nuclei, tiles.tile_corners(nuclei.shape), strict=True):
        truth = nuclei[y:y + tiles.SIZE, x:x + tiles.SIZE]
        pairs.append(("tile", truth, tile[:truth.shape[0], :truth.shape[1]]))
    return pd.DataFrame([
        {"unit": unit, "erosion": erosion, "smallest": smallest} | counts._asdict()
        for unit, truth, predicted in pairs
        for (erosion, smallest), counts in metrics.sensitivity_counts(truth, predicted).items()])


def sensitivity(tables):
    """The counts of `sensitivity_of_field` pooled over the test set; one table."""
    return pd.concat(tables).groupby(["unit", "erosion", "smallest"], sort=False).sum().reset_index()
