"""What is known of every field without annotation: what each row sees there, how far the rows agree, which nuclei are doubtful.

It is worked out once and kept with the runs: label images as `evidence/labels`, tables as `evidence/<key>`, whose key is that
of the rows that were compared.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from imageio.v3 import imread

from harness.core.errors import HarnessError
from harness.core.label_images import write_label_image
from harness.core.parallel import over_fields
from harness.datasets import SPLITS, DataSet
from harness.experiment import fields, stages, tracking
from harness.experiment.results import RowResults
from harness.method.postprocess import nuclei_from_class_map
from harness.scoring import metrics
from harness.scoring.doubt import doubt, measure, missing
from harness.sources.folder import IGNORE
from harness.sources.predicted import Predicted, refine
from harness.sources.refinements import open_steps

LABELS = "evidence/labels"
THRESHOLDS = (0.5, 0.75, 0.9)


class Evidence(NamedTuple):
    """What is known of every field of a data set.

    Attributes
    ----------
    nuclei : DataFrame
        row, field, kind ("label": a nucleus of the row; "missing": one that another row sees where this one has none), and
        what `harness.scoring.doubt.measure` gives, with doubt.
    pairs : DataFrame
        row, other, field: for every two rows, once, what they agree on; see `agreement`.
    labels : dict of str to Path
        Row to the folder of its label images, <field>.png.
    """

    nuclei: pd.DataFrame
    pairs: pd.DataFrame
    labels: dict[str, Path]


def label_sources(dataset: DataSet, results: Mapping[str, RowResults], say: Callable[[str], object]) -> dict[str, RowResults]:
    """The rows that learned from no field and have a run: to them, fields with and without annotation are alike.

    One that lacks a label image of some field, as a folder may, is left out, and said; where the data set is not at hand,
    one whose label images are not with its run.
    """
    sources = {}
    for name, result in results.items():
        if result.runs and result.row.method == "classical":
            lacking = _lacking(dataset, result)
            if lacking:
                say(f"{name}: left out, {lacking}")
            else:
                sources[name] = result
    return sources


def _lacking(dataset, result):
    if dataset.at_hand:
        return next((missing for split in SPLITS if (missing := result.row.source.missing(dataset, split))), None)
    names = [name for split in SPLITS for name in dataset.splits.get(split, ())]
    complete = dataset.splits.keys() >= set(SPLITS) and tracking.artifact(result.runs[0], f"{LABELS}/{names[-1]}.png")
    return None if complete else f"its label images of all fields are not in the store, and {dataset.name} is not at hand"


def gather(dataset: DataSet, rows: Mapping[str, RowResults], say: Callable[[str], object]) -> Evidence:
    """Everything that is known of the fields of a data set, from the store as far as it is there.

    Parameters
    ----------
    dataset : DataSet
    rows : mapping of str to RowResults
        Two at least, each with a run; the first run of each counts.
    say : callable
        Takes a line about work that takes long.

    Raises
    ------
    HarnessError
        There are fewer rows, or one lacks what it needs.
    """
    if len(rows) < 2:
        raise HarnessError("at least two rows with label images are needed to compare; run more with harness run")
    names = [name for split in dataset.splits.values() for name in split]
    labels = {name: _label_images(dataset, result, names, say) for name, result in rows.items()}
    first = next(iter(rows.values())).runs[0]
    path = f"evidence/{_key(rows)}"
    tables = _tables(first, path, names)
    if not tables:
        say(f"{', '.join(rows)}: comparing {len(names)} fields; done once")
        _keep(first, path, partial(_write_tables, dataset, labels, names))
        tables = _tables(first, path, names)
    if not tables:
        raise HarnessError(f"run {first.run_id}: its {path} cannot be read; check the store")
    nuclei, pairs = tables
    return Evidence(nuclei, pairs, labels)


def _tables(run, path, names):
    """Nuclei and pairs; None where they are not there, or damaged: they are then made again."""
    try:
        nuclei, pairs = (_table(tracking.artifact(run, f"{path}/{name}.csv")) for name in ("nuclei", "pairs"))
        return [nuclei, pairs] if set(pairs["field"]) == set(names) and {"kind", "doubt"} <= {*nuclei} else None
    except (OSError, ValueError, LookupError):  # of pandas, too
        return None


def _table(path):
    if path is None or not path.read_bytes().endswith(b"\n"):  # a line that was cut would be one with other numbers
        raise ValueError
    return pd.read_csv(path, dtype=dict.fromkeys(("row", "other", "field"), str))


def _key(rows):
    identity = [*sorted(result.runs[0].run_id for result in rows.values()), str(stages.VERSIONS["doubt"])]
    return hashlib.sha256(" ".join(identity).encode()).hexdigest()[:16]


def _keep(run, path, write):
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        tracking.add_files(run, Path(folder), path)


def _kept(run, path):
    local = tracking.artifact(run, path)
    if local is None:
        raise HarnessError(f"run {run.run_id}: its {path} cannot be read; check the store")
    return local


# ---- label images


def _label_images(dataset, result, names, say):
    """The folder of a row's label images of all fields, made where it is not there or one of them is damaged."""
    run = result.runs[0]
    folder = tracking.artifact(run, LABELS)
    if not folder or not all(_is_whole(folder / f"{name}.png") for name in names):
        say(f"{result.name}: label images of {len(names)} fields; done once")
        make = _predict if result.row.method == "network" else _label
        _keep(run, LABELS, partial(make, dataset, result, names))
    return _kept(run, LABELS)


def _is_whole(path):
    """Whether a PNG is there to its end; reading all of them takes seconds."""
    try:
        return path.read_bytes()[-8:-4] == b"IEND"
    except OSError:
        return False


def _label(dataset, result, names, folder):
    for _ in over_fields(partial(_label_field, dataset, result.row.source, folder), names):
        pass


def _label_field(dataset, source, folder, name):
    labels, ignore = fields.labels_of(dataset, source, name)
    write_label_image(folder / f"{name}.png", labels)
    if ignore.any():
        write_label_image(folder / f"{name}{IGNORE}.png", ignore)


def _predict(dataset, result, names, folder):
    from harness.network.start import load_backend

    load_backend()
    from harness.network.inference import predict_field

    run, steps = result.runs[0], open_steps(result.row.refine_prediction, Predicted())
    network = tracking.load_network(run.tags["harness.network_run"] if steps else run.run_id)
    for name in names:
        image = dataset.read_image(name)
        _, classes = predict_field(network, image)
        write_label_image(folder / f"{name}.png", refine(steps, image, nuclei_from_class_map(classes)))


def read_labels(path: Path) -> np.ndarray:
    """Read a label image, (H, W) int32."""
    try:
        return imread(path).astype(np.int32)
    except Exception as error:  # decoders raise anything
        raise HarnessError(f"{path}: cannot be read; delete it, and the same command makes it again") from error


# ---- tables


def _write_tables(dataset, labels, names, folder):
    found = list(over_fields(partial(compare_field, dataset, labels), names))
    for table, parts in zip(("nuclei", "pairs"), zip(*found, strict=True), strict=True):
        pd.concat(parts).to_csv(folder / f"{table}.csv", index=False, float_format="%.5g")


def compare_field(dataset: DataSet, labels: Mapping[str, Path], name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines of `Evidence.nuclei` and `Evidence.pairs` of one field."""
    seen = {row: read_labels(folder / f"{name}.png") for row, folder in labels.items()}
    nuclei, pairs = compare_labels(dataset.read_image(name), seen)
    return nuclei.assign(field=name), pairs.assign(field=name)


def compare_labels(image: np.ndarray, seen: dict[str, np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What label images of one field, (H, W) int32 by row, say of each other; see `Evidence`."""
    return pd.concat(_nuclei(image, seen)), pd.DataFrame(_pairs(seen))


def _nuclei(image: np.ndarray, seen: dict[str, np.ndarray]) -> Iterator[pd.DataFrame]:
    others = {row: [each for other, each in seen.items() if other != row] for row in seen}
    measured = {row: measure(labels, others[row], image) for row, labels in seen.items()}
    measured = {row: table.assign(doubt=doubt(table)) for row, table in measured.items()}
    for row, table in measured.items():
        yield table.assign(row=row, kind="label")
        theirs = [measured[other] for other in seen if other != row]
        yield missing(seen[row], others[row], theirs).assign(row=row, kind="missing")


def _pairs(seen: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for (row, mine), (other, theirs) in combinations(seen.items(), 2):
        yield {"row": row, "other": other} | agreement(mine, theirs)


def agreement(one: np.ndarray, other: np.ndarray) -> dict[str, int]:
    """What two label images of a field, (H, W) int32, agree on.

    Returns
    -------
    dict of str to int
        By kind the terms of a ratio, `<kind>_above` and `<kind>_below`: f1_50, f1_75, f1_90 (F1 at IoU), equal (Jaccard index
        by the protocol `equal`), foreground (Dice of the masks). nuclei: of both together.
    """
    areas = [np.bincount(labels.ravel(), minlength=1) for labels in (one, other)]
    g, r, pixels = metrics.overlaps(one, other)
    iou = pixels / (areas[0][g] + areas[1][r] - pixels)
    nuclei = sum(int((area[1:] > 0).sum()) for area in areas)
    kept = {f"f1_{round(100 * thresh)}": (2 * int((iou > thresh).sum()), nuclei) for thresh in THRESHOLDS}
    matched, *both = metrics.match(one, other, "equal")
    kept["equal"] = (matched, sum(both) - matched)
    kept["foreground"] = (2 * int(pixels.sum()), sum(int(area[1:].sum()) for area in areas))
    terms = {
        f"{kind}_{place}": value for kind, pair in kept.items() for place, value in zip(("above", "below"), pair, strict=True)
    }
    return terms | {"nuclei": nuclei}
