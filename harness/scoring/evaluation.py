"""A row's prediction of the test fields, scored: Dice before, objects after post-processing (paper, sections 2.4 and 3.1)."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.method import tiles
from harness.method.classmap import BACKGROUND, NUCLEUS, SEPARATION, class_map
from harness.method.postprocess import nuclei_from_class_map
from harness.scoring import boundaries, metrics, names, objects, pixels, pooling
from harness.scoring.crowding import touching_counts, touching_nuclei
from harness.scoring.mismatches import KINDS
from harness.scoring.objects import prefixed

CLASSES = {"nuclei": NUCLEUS, "separations": SEPARATION}
COUNTS = metrics.Counts._fields
PIXELS = (*pixels.RIGHT, *pixels.FALSE_FOREGROUND, *pixels.FALSE_BACKGROUND)


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

    tile_maps: list[np.ndarray]
    tile_nuclei: list[np.ndarray]
    nuclei: np.ndarray
    kept: dict[str, np.ndarray]


def from_labels(labels: np.ndarray, side: int = tiles.SIZE) -> Prediction:
    """Prediction of a classical row: label images as they are per tile, post-processed like a network's per field.

    Parameters
    ----------
    labels : (H, W) int32 ndarray
    side : int
        Of the tiles in px.
    """
    classes = class_map(labels)
    tile_maps, tile_nuclei = (list(tiles.cut(field, side)) for field in (classes, labels))
    return Prediction(tile_maps, tile_nuclei, nuclei_from_class_map(classes), {"labels/{}": labels})


def from_class_maps(tile_maps: np.ndarray, field_map: np.ndarray) -> Prediction:
    """Prediction of a network row, from the (N, S, S) class maps of the tiles and the (H, W) one of the stitched field."""
    return Prediction(
        list(tile_maps),
        [nuclei_from_class_map(tile) for tile in tile_maps],
        nuclei_from_class_map(field_map),
        {"tiles/{}": np.hstack(list(tile_maps))},
    )


def tiles_of_strip(strip: np.ndarray) -> list[np.ndarray]:
    """The class maps of a field's tiles from the strip they are stored as: side by side, which compresses best."""
    return np.hsplit(strip, strip.shape[1] // strip.shape[0])


class Scores(NamedTuple):
    """What one field scored.

    Attributes
    ----------
    tiles : list of dict
        One record per tile: Dice counts of both classes, the counts of protocol `paper`, of all nuclei and of those that
        touch, and the wrong pixels of class nucleus (see `harness.scoring.pixels.dice_errors`).
    field : dict
        Of the whole field: the counts of protocol `equal`, of all and of touching nuclei; outline_offset, nsd, hd95 of the
        foreground before post-processing; and what `harness.scoring.objects.record` gives.
    sensitivity : DataFrame
        Object counts under every erosion and smallest nucleus: unit ("tile": the label images of protocol `paper`;
        "field": those of `equal`), erosion, smallest (px), matched, annotated, predicted.
    """

    tiles: list[dict]
    field: dict
    sensitivity: pd.DataFrame


def score_field(prediction: Prediction, nuclei: np.ndarray) -> Scores:
    """Score the prediction of one field against its manual labels, (H, W) int32."""
    classes, touching = class_map(nuclei), touching_nuclei(nuclei)
    whole = _counts("equal", nuclei, prediction.nuclei, touching) | objects.record(nuclei, prediction.nuclei, touching)
    return Scores(
        _score_tiles(prediction, nuclei, classes, touching),
        whole | _outlines(classes, _joined(prediction.tile_maps, nuclei.shape)),
        _sensitivity(prediction, nuclei),
    )


def _score_tiles(prediction, nuclei, classes, touching):
    records, zones = [], pixels.zones(classes)
    for index, (window, tile_map, labels) in enumerate(_windows(nuclei.shape, prediction.tile_maps, prediction.tile_nuclei)):
        record, counts = {"tile": index}, metrics.dice_counts(classes[window], tile_map)
        for name, value in CLASSES.items():
            record[f"dice_{name}_twice_both"], record[f"dice_{name}_sum"] = (int(count) for count in counts[value])
        record |= _counts("paper", nuclei[window], labels, touching)
        records.append(record | pixels.dice_errors(classes[window], tile_map, nuclei[window], zones[window]))
    return records


def _windows(shape: tuple[int, ...], *predicted: list[np.ndarray]) -> Iterator[tuple]:
    """Each tile's place in the field, and what is predicted there, without the padding of a smaller field."""
    side = len(predicted[0][0])
    for (y, x), *there in zip(tiles.tile_corners(shape, side), *predicted, strict=True):
        window = np.s_[y : min(y + side, shape[0]), x : min(x + side, shape[1])]
        height, width = window[0].stop - y, window[1].stop - x
        yield window, *(tile[:height, :width] for tile in there)


def _counts(protocol, y_true, y_pred, touching):
    found = metrics.matching(y_true, y_pred, protocol)
    crowded = touching_counts(found, y_true, y_pred, touching)
    return prefixed(protocol, found.counts) | prefixed(f"{protocol}_touching", crowded)


def _outlines(y_true, y_pred):
    found = boundaries.outline_distances(y_true != BACKGROUND, y_pred != BACKGROUND)
    return {
        "outline_offset": boundaries.outline_offset(found),
        "nsd": boundaries.normalised_surface_distance(found),
        "hd95": boundaries.hausdorff_95(found),
    }


def _joined(tile_maps, shape):
    """The class map of a field from those of its tiles: each pixel from the tile in which it lies farthest inside."""
    joined, owners = np.zeros(shape, np.uint8), _owners(shape, len(tile_maps[0]))
    for index, (window, tile_map) in enumerate(_windows(shape, tile_maps)):
        joined[window] = np.where(owners[window] == index, tile_map, joined[window])
    return joined


@lru_cache(maxsize=4)
def _owners(shape, side):
    ramp = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1))
    weight, best, owners = np.outer(ramp, ramp), np.zeros(shape, int), np.zeros(shape, int)
    for index, (window, inside) in enumerate(_windows(shape, [weight] * len(tiles.tile_corners(shape, side)))):
        owners[window] = np.where(inside > best[window], index, owners[window])
        best[window] = np.maximum(best[window], inside)
    return owners


def _sensitivity(prediction, nuclei):
    pairs = [("field", nuclei, prediction.nuclei)]
    pairs += [("tile", nuclei[window], labels) for window, labels in _windows(nuclei.shape, prediction.tile_nuclei)]
    return pd.DataFrame(
        [
            {"unit": unit, "erosion": erosion, "smallest": smallest} | counts._asdict()
            for unit, y_true, y_pred in pairs
            for (erosion, smallest), counts in metrics.sensitivity_counts(y_true, y_pred).items()
        ]
    )


def tables(scores: dict[str, Scores]) -> dict[str, pd.DataFrame]:
    """Everything that a run stores of its scores.

    Parameters
    ----------
    scores : dict of str to Scores
        Field by field.

    Returns
    -------
    dict of str to DataFrame
        per_tile (the records of `Scores.tiles` with a column `field`), per_field (see `per_field`), and sensitivity (counts
        pooled over the fields).
    """
    per_tile = pd.DataFrame([{"field": name} | record for name, scored in scores.items() for record in scored.tiles])
    whole = pd.DataFrame([{"field": name} | scored.field for name, scored in scores.items()])
    variants = pd.concat([scored.sensitivity for scored in scores.values()])
    return {
        "per_tile": per_tile,
        "per_field": per_field(per_tile, whole),
        "sensitivity": variants.groupby(["unit", "erosion", "smallest"], sort=False).sum().reset_index(),
    }


def per_field(per_tile: pd.DataFrame, whole: pd.DataFrame) -> pd.DataFrame:
    """Scores of each field: Dice is the mean over its tiles, Jaccard is pooled over them.

    Parameters
    ----------
    per_tile : DataFrame
        See `tables`.
    whole : DataFrame
        The records of `Scores.field` with a column `field`.

    Returns
    -------
    DataFrame
        Per field: dice_nuclei, dice_separations, the same over the whole field's pixels (`_pooled`), jaccard,
        jaccard_equal and the counts behind them; then the rest of `whole`, and sums over the tiles.
    """
    grouped = per_tile.assign(**_tile_dice(per_tile)).groupby("field", sort=False)
    sums = grouped.sum(numeric_only=True).join(whole.set_index("field"))
    table = grouped[[f"dice_{name}" for name in CLASSES]].mean()
    for name in CLASSES:
        table[f"dice_{name}_pooled"] = sums[f"dice_{name}_twice_both"] / sums[f"dice_{name}_sum"].replace(0, np.nan)
    table["jaccard"], table["jaccard_equal"] = _jaccard(sums, "paper"), _jaccard(sums, "equal")
    counts = [f"{protocol}_{name}" for protocol in metrics.PROTOCOLS for name in COUNTS]
    rest = [name for name in whole if name not in ("field", *counts)]
    of_tiles = [*(f"paper_touching_{name}" for name in COUNTS), *PIXELS]
    return table.join(sums[[*counts, *rest, *of_tiles]]).reset_index()


def totals(tables: dict[str, pd.DataFrame]) -> dict[str, float]:
    """The metrics of a run, from what `tables` gave: name -> value.

    Dice: mean over tiles, a tile where the class is absent on both sides left out; beside it the mean over fields and
    the value pooled over all pixels. Jaccard: pooled over the test set. The rest as `harness.scoring.pooling` has it,
    behind a word and a slash: MLflow's charts make a section of that, so that the scores of the tables stand first.
    """
    per_tile, fields = tables["per_tile"], tables["per_field"]
    sums, values = per_tile.sum(numeric_only=True), pooling.pooled(pooling.terms(per_tile, fields))
    logged = {name: values.get(name, np.nan) for name in names.TABLES}
    logged |= {name: dice.mean() for name, dice in _tile_dice(per_tile).items()}
    for name in CLASSES:
        logged[f"dice_{name}_fields"] = fields[f"dice_{name}_pooled"].mean()
        logged[f"dice_{name}_pooled"] = np.divide(sums[f"dice_{name}_twice_both"], sums[f"dice_{name}_sum"] or np.nan)
    logged |= {f"{p}_{name}": fields[f"{p}_{name}"].sum() for p in metrics.PROTOCOLS for name in COUNTS}
    logged |= {names.logged(name): values.get(name, np.nan) for of_group in names.GROUPS.values() for name in of_group}
    logged |= {f"iou/{kind}": fields.filter(regex=rf"^{kind}_\d$").to_numpy().sum() for kind in KINDS}
    return {name: float(value) for name, value in logged.items()}


def _tile_dice(table):
    return {f"dice_{name}": table[f"dice_{name}_twice_both"] / table[f"dice_{name}_sum"].replace(0, np.nan) for name in CLASSES}


def _jaccard(sums, protocol):
    matched, annotated, predicted = (sums[f"{protocol}_{name}"] for name in COUNTS)
    return matched / (annotated + predicted - matched)
