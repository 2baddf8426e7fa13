"""The report as a markdown text, made from the DataFrames of its other modules."""

import numpy as np
import pandas as pd

NONE = "–"
WORDS = ("", "claim", "verdict", "erosion", "size", "Jaccard index", "row", "run_id", "spec_hash", "stages")
METRIC_TITLES = {
    "dice_nuclei": "Dice, nuclei",
    "dice_separations": "Dice, separations",
    "jaccard": "Jaccard, `paper`",
    "jaccard_equal": "Jaccard, `equal`",
}
JACCARD = """\
Jaccard index |M| / (|G| + |R| − |M|), pooled over the test set: |M| nuclei matched one to one, |G| annotated,
|R| predicted, those at the edge or under 25 px left out. Two protocols:

- `paper`: on each 512x512 tile; overlaps under the binary mask eroded 3x3; classical label images as they are.
- `equal`: on the whole field; each object eroded 3x3; classical label images post-processed like the network's.

"""
DICE = """\
Dice coefficient 2|A∩B| / (|A| + |B|), mean over the test tiles; a tile where the class is absent on both sides is
left out.

"""
NOTES = """\
Bold: best of the column. Interval: 95 % bootstrap over test fields, which says nothing about the spread between
trainings. ± sd: over seeds.
"""
PUBLISHED = "Published: by the paper; – where the registry has no value."
CLAIMS = """\
## The paper's claims, checked

Difference with its 95 % bootstrap interval over fields; p: Wilcoxon's signed-rank test, paired over the fields' own
scores, two-sided. A difference counts where both agree at the 5 % level; nothing is corrected for the number of lines.
Published: the same difference in the paper's numbers."""
ONE_TRAINING = """\
One training stands for each network row here, or for some: the fields then cannot tell what its labels do from the luck
of one training. More seeds can."""
SENSITIVITY = """\
## Sensitivity of the Jaccard index

Pooled over the test set, under each erosion (of none, of the binary mask, of each object) and smallest nucleus counted;
on tiles with the label images of `paper`, on fields with those of `equal`. Bold: the two protocols.

"""
QUALITY = """\
## Nuclei over IoU

On the whole-field nuclei of `equal`, every nucleus counted, also those at the edge and under 25 px. F1 (Caicedo et al.
2019) and average precision TP / (TP + FP + FN) (2018 Data Science Bowl) at an intersection over union, panoptic quality
(Kirillov et al. 2019), pooled; aggregated Jaccard index (Kumar et al. 2017), mean over fields.

"""
UNSCORED = "Runs of an earlier harness stored none of this; `harness report --recompute` scores them again: "
ERRORS = """\
## Missed, extra, merged and split nuclei

After Caicedo et al. (2019), on the same nuclei: missed, or extra, without a partner of IoU above 0.7; merged, or split,
with two partners or more of IoU above 0.1. Sizes are those of annotated nuclei for missed and split, of predicted ones
for extra and merged.

"""
TIMINGS = """\
Means over seeds. Published: section 3.3 of the paper, on the authors' GPU; the machine behind the others stands with
the runs below.

"""


def document(content):
    """The whole report.

    Parameters
    ----------
    content : dict
        What `harness.report.write` gathered: names, DataFrames and paths of figures.

    Returns
    -------
    str
    """
    parts = [
        _head(content),
        _tables(content),
        _timings(content),
        _effect(content),
        _claims(content),
        _sensitivity(content),
        _quality(content),
        _errors(content),
        _figures(content),
        _runs(content),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _head(content):
    again = " Scored again from the stored predictions." if content["recomputed"] else ""
    return (
        f"# {content['dataset']}, profile {content['profile']}\n\n"
        f"{len(content['fields'])} test fields of `{content['dataset']}` (digest `{content['digest'][:16]}`), "
        f"{_count_runs(content['results'])}.{again}"
    )


def _count_runs(results):
    runs = sum(len(result.runs) for result in results.values())
    done = sum(bool(result.runs) for result in results.values())
    return f"{done} of {len(results)} rows done, in {runs} run{'s' * (runs != 1)}"


# ---- the paper's tables, and its processing times


def _tables(content):
    parts = []
    for number, (name, table) in enumerate(content["registry"].tables.items(), 1):
        cells = content["scores"][content["scores"]["table"] == name]
        about = "".join(
            text
            for key, text in (("dice", DICE), ("jaccard", JACCARD))
            if any(metric.startswith(key) for metric in table.metrics)
        )
        parts.append(f"## Table {number}. {table.title}\n\n{about}{to_markdown(score_table(cells))}")
    return "\n\n".join([*parts, NOTES + _published(content), *_left_out(content["results"].values())])


def _left_out(results):
    lines = [f"- {result.row.title}: not available, {result.missing}" for result in results if result.missing]
    lines += [
        f"- {result.row.title}, seed {run.seed}: {why}, run `{run.run_id[:8]}`{_failure(run)}"
        for result in results
        for run, why in result.left_out
    ]
    return ["Not in the tables:\n\n" + "\n".join(lines)] if lines else []


def _published(content):
    of = content["registry"].dataset
    return (
        PUBLISHED
        if of in (None, content["dataset"])
        else f"The paper's values are of `{of}` and stand in the report on that alone."
    )


def _failure(run):
    said = run.tags.get("harness.failure")
    return f" ({said})" if said else ""


def score_table(cells):
    """The cells of one table as the paper prints it: a line per row, and per metric what the harness found beside it.

    Parameters
    ----------
    cells : DataFrame
        The lines of `tables.scores` that belong to one table.

    Returns
    -------
    DataFrame
        Of strings. Names of columns may come twice: they stand next to the metric they belong to.
    """
    columns = [("", cells.drop_duplicates("row")["title"].tolist())]
    for metric, group in cells.groupby("metric", sort=False):
        columns += [
            (METRIC_TITLES.get(metric, metric), [_value(cell) for cell in group.itertuples()]),
            ("95 % interval", [_interval(cell.low, cell.high) for cell in group.itertuples()]),
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


def number(value, decimals=3):
    """A number, or a dash where there is none."""
    return NONE if value is None or pd.isna(value) else f"{value:.{decimals}f}"


def signed(value, decimals=3):
    """A difference with its sign, or a dash."""
    return NONE if pd.isna(value) else f"{value:+.{decimals}f}".replace("-", "−")


def _interval(low, high):
    return NONE if pd.isna(low) else f"{low:.3f}–{high:.3f}"


def to_markdown(frame):
    """A DataFrame as a pipe table, padded to be read as text too; numbers to the right."""
    lines = [list(frame.columns), *frame.astype(str).to_numpy().tolist()]
    lines = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    pads = [str.ljust if name in WORDS else str.rjust for name in frame.columns]
    padded = [[pad(cell, width) for pad, cell, width in zip(pads, line, widths, strict=True)] for line in lines]
    rule = [pad(":", width, "-") for pad, width in zip(pads, widths, strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in (padded[0], rule, *padded[1:]))


def _timings(content):
    frame = content["timings"]
    if frame.drop(columns=["row", "title"]).filter(regex="^(?!.*published)").isna().all(axis=None):
        return ""
    published = [name for name in ("step_ms_published", "tile_ms_published") if name in frame]
    names = {
        "title": "",
        "step_ms": "training step, ms",
        "step_ms_published": "published",
        "tile_ms": "inference tile, ms",
        "tile_ms_published": "published",
        "labels": "labels, s",
        "training": "training, s",
        "prediction": "prediction, s",
        "scoring": "scoring, s",
    }
    columns = [name for name in names if name in frame]
    text = frame[columns].copy().astype(object)
    for name in columns[1:]:
        text[name] = [number(value, 0 if name in published or name == "training" else 1) for value in frame[name]]
    heading = f"## Table {len(content['registry'].tables) + 1}. Processing times\n\n"
    return heading + TIMINGS + to_markdown(text.set_axis([names[name] for name in columns], axis=1))


# ---- what the protocol does, and the paper's claims


def _effect(content):
    effect, titles = content["effect"], content["titles"]
    if effect.empty:
        return "## What the protocol does\n\nNeeds a network row and the classical row with its labels; none is done."
    lines = []
    for line in effect.itertuples():
        lines.append(
            [
                titles[line.classical],
                number(line.jaccard_classical),
                number(line.between_classical),
                number(line.jaccard_equal_classical),
                _gain(line, "protocol_lift"),
            ]
        )
        lines.append(
            [
                titles[line.network],
                number(line.jaccard_network),
                number(line.between_network),
                number(line.jaccard_equal_network),
                "",
            ]
        )
        lines.append(
            [
                "Gain by learning",
                _gain(line, "jaccard_gain"),
                signed(line.between_network - line.between_classical),
                _gain(line, "jaccard_equal_gain"),
                "",
            ]
        )
    columns = ["Jaccard index", "`paper`", "`paper`, each object eroded", "`equal`", "between the protocols"]
    return "\n\n".join(
        [
            "## What the protocol does",
            *(_effect_text(line, titles) for line in effect.itertuples()),
            to_markdown(pd.DataFrame(lines, columns=columns)),
        ]
    )


def _effect_text(line, titles):
    eroded = line.between_classical - line.jaccard_classical
    return (
        f"Without any learning, the protocol alone moves {titles[line.classical]} by "
        f"{signed(line.protocol_lift_value)}: {signed(eroded)} by eroding each object instead of the mask, "
        f"{signed(line.protocol_lift_value - eroded)} by post-processing and scoring whole fields. Learning from "
        f"these labels adds {signed(line.jaccard_gain_value)} under `paper` and "
        f"{signed(line.jaccard_equal_gain_value)} under `equal`."
    )


def _gain(line, name):
    value, low, high = (getattr(line, f"{name}_{key}") for key in ("value", "low", "high"))
    return f"{signed(value)} ({signed(low)} to {signed(high)})"


def _claims(content):
    claims, titles = content["claims"], content["titles"]
    if claims.empty:
        return ""
    trainings = [len(result.runs) for result in content["results"].values() if result.row.method == "network"]
    parts = [CLAIMS, *([ONE_TRAINING] if 1 in trainings else []), to_markdown(_verdicts(claims))]
    for claim, group in claims[claims["difference"].notna()].groupby("claim", sort=False):
        parts.append(f"### {claim}")
        for (better, worse), lines in group.groupby(["better", "worse"], sort=False):
            parts.append(
                f"{titles[better]} against {titles[worse]}:\n\n"
                + to_markdown(pd.DataFrame([_claim_line(line) for line in lines.itertuples()]))
            )
    return "\n\n".join(parts)


def _verdicts(claims):
    """One line per claim and row that is claimed to be better, one column per metric."""
    verdicts = claims.groupby(["claim", "better", "metric"], sort=False)["verdict"].agg("; ".join).unstack("metric")
    order = claims.drop_duplicates(["claim", "better"]).set_index(["claim", "better"]).index
    verdicts = verdicts.loc[order].reindex(columns=list(METRIC_TITLES)).rename(columns=METRIC_TITLES).fillna(NONE)
    return verdicts.reset_index().drop(columns="better")


def _claim_line(line):
    return {
        "": METRIC_TITLES[line.metric],
        "values": f"{line.value_better:.3f} / {line.value_worse:.3f}",
        "difference": f"{signed(line.difference)} ({signed(line.low)} to {signed(line.high)})",
        "p": _p(line.p),
        "published": signed(line.published),
        "verdict": f"**{line.verdict}**" + (f": {line.why}" if line.why else ""),
    }


def _p(value):
    return NONE if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


# ---- sensitivity, and what else the field reports


def _sensitivity(content):
    frame, titles = content["sensitivity"], content["titles"]
    if frame.empty:
        return ""
    units = {"tile": "tiles", "field": "fields"}
    lines = []
    frame = frame.sort_values("unit", ascending=False, kind="stable", key=lambda unit: unit == "tile")
    for (row, erosion), group in frame.groupby(["row", "erosion"], sort=False):
        line = {"": titles[row], "erosion": erosion}
        for cell in group.itertuples():
            chosen = (cell.unit, erosion, cell.smallest) in (("tile", "mask", 25), ("field", "object", 25))
            text = number(cell.jaccard)
            line[f"{units[cell.unit]}, {cell.smallest} px"] = f"**{text}**" if chosen else text
        lines.append(line)
    table = pd.DataFrame(lines)
    table.loc[table[""].duplicated(), ""] = ""
    return SENSITIVITY + to_markdown(table)


def _quality(content):
    frame = content["quality"]
    if frame.empty:
        return ""
    names = {
        "f1_50": "F1 at 0.5",
        "f1_75": "F1 at 0.75",
        "f1_90": "F1 at 0.9",
        "ap_50": "AP at 0.5",
        "ap": "AP, 0.5 to 0.95",
        "pq": "PQ",
        "aji": "AJI",
    }
    text = frame[["row", *names]].set_axis(["", *names.values()], axis=1).astype(object)
    text[""] = text[""].map(content["titles"])
    for name in names.values():
        top = text[name].round(3).max()
        text[name] = [f"**{number(value)}**" if round(value, 3) == top else number(value) for value in text[name]]
    bare = [
        content["titles"][name] for name, result in content["results"].items() if result.runs and name not in set(frame["row"])
    ]
    return QUALITY + to_markdown(text) + (f"\n\n{UNSCORED}{', '.join(bare)}." if bare else "")


def _errors(content):
    frame = content["errors"]
    if frame.empty:
        return ""
    text = frame.astype(object)
    text["row"] = text["row"].map(content["titles"]).where(~text["row"].duplicated(), "")
    for name in frame.columns[2:]:
        text[name] = [number(value, 0 if float(value).is_integer() else 1) for value in frame[name]]
    return ERRORS + to_markdown(text.rename(columns={"row": ""}))


# ---- pictures, and the runs


def _figures(content):
    parts = [f"### {title}\n\n{about}\n\n![{title}](figures/{name})" for name, title, about in content["figures"]]
    return "\n\n".join(["## Figures", *parts]) if parts else ""


def _runs(content):
    frame = content["run_details"]
    if frame.empty:
        return "## Runs\n\nNone is finished."
    shared = [
        name for name in frame if frame[name].nunique(dropna=False) == 1 and name not in ("row", "seed", "run_id", "spec_hash")
    ]
    text = frame.drop(columns=shared).fillna("").astype(str)
    for name in ("run_id", "spec_hash"):
        text[name] = "`" + text[name] + "`"
    common = "".join(f"- {name}: {frame[name].iloc[0]}\n" for name in shared if frame[name].iloc[0])
    about = f"The same for all of them:\n\n{common}\n" if common else ""
    return f"## Runs\n\n{about}" + to_markdown(text)
