"""The paper's tables as it prints them, with what the harness found beside them."""

import numpy as np
import pandas as pd

from harness.core.markdown import bounds, code, escape, number, signed, to_markdown
from harness.report.content import Content
from harness.report.tables import PUBLISHED_TIMES
from harness.report.text.rows import heading, title
from harness.scoring.names import METRICS

JACCARD = """\
Jaccard index |M| / (|G| + |R| − |M|), pooled over the test set: |M| nuclei matched one to one, |G| annotated,
|R| predicted, those at the edge or under 25 px left out. Two protocols:

- `paper`: on each {tile}x{tile} tile; overlaps under the binary mask eroded 3x3; classical label images as they are. A
  reconstruction: the paper prints the matching rule, but neither the unit nor the limit of 25 px.
- `equal`: on the whole field; each object eroded 3x3; classical label images post-processed like the network's.

"""
DICE = """\
Dice coefficient 2|A∩B| / (|A| + |B|), mean over the test tiles; a tile where the class is absent on both sides is
left out.

"""
F1 = """\
F1 over all nuclei of the whole fields, post-processed, where a pair counts from that intersection over union on.

"""
NOTES = """\
Bold: best of the column; a row in italics learned from the annotation itself, or is an annotation, and does not compete.
Interval: 95 % bootstrap over test fields, and over seeds where a row has several. ± sd: over seeds.
"""
OURS = "† Not in the paper's table.\n"
PUBLISHED = "Published: by the paper; – where it prints no value."
TIMES = """\
Wall time of a training step (without validation) and of an inference tile (without reading), medians; an epoch is
{epoch} such steps, the test set {tiles} such tiles. Processor time of labels and of post-processing, per field. The first line is
section 3.3 of the paper, on the authors' GPU and, for the last two columns, CellProfiler 3.1.9 on a laptop; the machine
behind the others stands with the runs below. Means over seeds.
"""
BUSY = "\n*busy*: other processes took more than a tenth of the cores' time meanwhile; such a time is no benchmark.\n"
COLUMNS = {
    "step_ms": ("training step, ms", 1),
    "epoch_s": ("epoch, s", 0),
    "tile_ms": ("inference tile, ms", 1),
    "test_s": ("test set, s", 1),
    "label_s": ("labels, s a field", 3),
    "postprocess_s": ("post-processing, s a field", 3),
}
WHOLE = {
    "labels": "labels, s",
    "training": "training, s",
    "training_cpu": "its processor time, s",
    "prediction": "prediction, s",
    "prediction_cpu": "its processor time, s",
    "scoring": "scoring, s",
}


def tables(content: Content) -> str:
    """Every table of the registry."""
    parts = []
    for number_, (name, table) in enumerate(content.registry.tables.items(), 1):
        cells = content.scores[content.scores["table"] == name]
        about = "".join(
            text
            for key, text in (("dice", DICE), ("jaccard", JACCARD.format(tile=content.tile)), ("f1", F1))
            if any(metric.startswith(key) for metric in table.metrics)
        )
        shown = to_markdown(score_table(content, cells))
        parts.append(f"## Table {number_}. {escape(table.title)}\n\n{about}{shown}{_farthest(content, cells)}")
    ours = "" if content.scores["printed"].all() else OURS
    return "\n\n".join([*parts, NOTES + ours + _published(content), *_left_out(content)])


def score_table(content: Content, cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of one table as the paper prints it: a line per row, and per metric what the harness found beside it.

    Parameters
    ----------
    content : Content
    cells : DataFrame
        The lines of `harness.report.tables.scores` that belong to one table.

    Returns
    -------
    DataFrame
        Of strings. Names of columns may come twice: they stand next to the metric they belong to.
    """
    rows = cells.drop_duplicates("row")
    columns = [("", [title(content, cell.row) + " †" * (not cell.printed) for cell in rows.itertuples()])]
    for metric, group in cells.groupby("metric", sort=False):
        columns += [
            (heading(metric), [_value(cell) for cell in group.itertuples()]),
            ("95 % interval", [bounds(cell.low, cell.high) for cell in group.itertuples()]),
        ]
        if group["published"].notna().any():
            columns += [
                ("published", [number(value) for value in group["published"]]),
                ("difference", [signed(value) for value in group["difference"]]),
            ]
    frame = pd.DataFrame(dict(enumerate(values for _, values in columns)))
    return frame.set_axis([name for name, _ in columns], axis=1)


def _value(cell):
    if np.isnan(cell.value):
        return cell.state
    spread = f" ± {cell.sd:.3f} (n = {cell.n})" if cell.n > 1 else ""
    return (f"**{cell.value:.3f}**" if cell.best else f"{cell.value:.3f}") + spread


def _farthest(content, cells):
    if cells["difference"].isna().all():
        return ""
    cell = cells.loc[cells["difference"].abs().idxmax()]
    return (
        f"\n\nFarthest from the print: {title(content, cell['row'])}, {METRICS[cell['metric']].title}, "
        f"{number(cell['value'])} for {number(cell['published'])} ({signed(cell['difference'])})."
    )


def _published(content):
    of = content.registry.dataset
    return (
        PUBLISHED
        if of in (None, content.dataset.name)
        else f"The paper's values are of {code(of)} and stand in the report on that alone."
    )


def _left_out(content):
    results = content.results.values()
    lines = [f"- {escape(result.row.title)}: not available, {escape(result.missing)}" for result in results if result.missing]
    lines += [
        f"- {escape(result.row.title)}, seed {run.seed}: {why}, run {code(run.run_id[:8])}{_failure(run)}"
        for result in results
        for run, why in result.left_out
    ]
    return ["Not in the tables:\n\n" + "\n".join(lines)] if lines else []


def _failure(run):
    said = run.tags.get("harness.failure")
    return f" ({escape(said)})" if said and run.state != "finished" else ""


# ---- processing times


def times(content: Content) -> str:
    """The paper's section 3.3, and how long the runs took as wholes."""
    timed = content.timings
    frame = timed[timed[[*COLUMNS, *WHOLE]].notna().any(axis=1)]
    parts = []
    if frame[list(COLUMNS)].notna().any(axis=None):
        epoch, tiles = _lengths(frame)
        busy = BUSY if frame["busy"].any() else ""
        parts.append(TIMES.format(epoch=epoch, tiles=tiles) + busy + "\n" + to_markdown(_steps(content, frame)))
    whole = [name for name in WHOLE if frame[name].notna().any()]
    if whole:
        lines = [
            {"": title(content, line["row"])} | {name: number(line[name], 1) for name in whole}
            for line in frame.to_dict("records")
        ]
        text = pd.DataFrame(lines).set_axis(["", *(WHOLE[name] for name in whole)], axis=1)
        parts.append("Whole runs, wall time unless said otherwise:\n\n" + to_markdown(text))
    heading_ = f"## Table {len(content.registry.tables) + 1}. Processing times\n\n"
    return heading_ + "\n\n".join(parts) if parts else ""


def _lengths(frame):
    """Steps of an epoch and tiles of the test set, from the line that has both."""
    steps, tiles = frame["epoch_s"] / frame["step_ms"] * 1000, frame["test_s"] / frame["tile_ms"] * 1000
    return tuple("so many" if np.isnan(count) else f"{count:,.0f}" for count in (steps.max(), tiles.max()))


def _steps(content, frame):
    lines = [{"": "Published", **{name: number(PUBLISHED_TIMES[name], 0) for name in COLUMNS}}]
    for line in frame.to_dict("records"):
        shown = {name: number(line[name], decimals) for name, (_, decimals) in COLUMNS.items()}
        if line["busy"]:
            timed = [name for name in ("step_ms", "epoch_s", "tile_ms", "test_s") if not np.isnan(line[name])]
            shown |= {name: f"{shown[name]} *busy*" for name in timed}
        lines.append({"": title(content, line["row"])} | shown)
    return pd.DataFrame(lines).rename(columns={name: shown for name, (shown, _) in COLUMNS.items()})
