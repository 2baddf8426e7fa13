"""What the scores say: about the protocols, the paper's claims and the registry's own, and why Dice stays where it is."""

import pandas as pd

from harness.core.markdown import NONE, bounds, escape, number, percent, signed, to_markdown
from harness.report.content import Content
from harness.report.margins import together
from harness.report.noise import NO_NOISE, helps_from
from harness.report.tables import learned_from
from harness.report.text.rows import heading, section, title, unscored
from harness.scoring.names import TABLES

CROWDING = """\
### Touching and isolated nuclei

A nucleus touches where a 3x3 square holds it and another one. A prediction counts with the nucleus that it matches or, if
it matches none, with the one it shares most pixels with; one that shares none is isolated. F1 counts every nucleus.

"""
CLAIMS = """\
## The paper's claims, checked

A claim is a quantity that has to be above 0. Its interval is the 95 % bootstrap over fields and, where rows have several,
over seeds; its p, two-sided, is that of the same resamples, corrected by Holm's method for the number of lines. That p
decides at the 5 % level; intervals stand as they are. *On the paper's numbers*: the same criterion on the published
values, which tell nothing of chance."""
ONE_TRAINING = """\
One training stands for each network row here, or for some: the fields then cannot tell what its labels do from the luck
of one training. More seeds can."""
MARGINS = """\
## Not worse by more than a margin

Tests of non-inferiority, with margins that the registry states. *Bound*: one-sided 95 %, of the difference, from the same
bootstrap over fields and seeds. It holds where that bound is above minus the margin, does not hold where the bound on the
other side is below it, and cannot be told otherwise. A claim holds where it holds by all of its metrics.

"""
NOISE = """\
## Wrong labels, and what helps

Networks that learned from labels with a known error, against the same without. *Kept*: difference from the row without noise,
the errors being in the labels; *remedied*: the same for a training with a remedy, which is to ignore what is wrong by a mask that
knows, to ignore a band along all outlines, or the loss without its logarithm; *gain*: remedied minus kept. 95 % intervals; p of
no gain, from the same bootstrap over fields and seeds, corrected by Holm's method for the lines of a table, which decides at the
5 % level. *Seeds*: how many all three rows have; where a training has failed, its seed counts for none of them. A remedy helps
from a level on where it does so there and at all higher levels tried."""
WHY = """\
Wrong pixels of class nucleus, before post-processing, as shares of the annotated area of that class, pooled over the test
tiles. *Predicted, not annotated*: where a separation is annotated; within 1 px of an annotated nucleus; 1 to 2 px from it;
farther out. *Annotated, not predicted*: predicted as separation; in nuclei that are missed altogether; within 2 px of the
background; deeper inside. *Rim right*: Dice if all within 2 px of the annotated outline were right.

"""
PIXELS = {
    "fp_separation": "on separations",
    "fp_1px": "to 1 px",
    "fp_2px": "1 to 2 px",
    "fp_far": "farther",
    "fn_separation": "as separations",
    "fn_missed": "missed nuclei",
    "fn_rim": "rim",
    "fn_inside": "inside",
}


# ---- what the protocol does


def protocol(content: Content) -> str:
    """What learning adds, and what scoring alone changes."""
    effect = content.effect
    parts = ["## What the protocol does"]
    if effect.empty:
        parts.append("Needs a network row and the classical row with its labels; none is done.")
    else:
        columns = ["Jaccard index", "`paper`", "`paper`, each object eroded", "`equal`", "between the protocols"]
        lines = [cells for line in effect.itertuples() for cells in _effect_lines(content, line)]
        parts += [_effect_text(content, line) for line in effect.itertuples()]
        parts.append(to_markdown(pd.DataFrame(lines, columns=columns), ("Jaccard index",)))
    parts.append(section(content, CROWDING, content.crowding, "px_annotated"))
    return "\n\n".join(part for part in parts if part)


def _effect_lines(content, line):
    yield [
        title(content, line.classical),
        number(line.jaccard_classical),
        number(line.between_classical),
        number(line.jaccard_equal_classical),
        _gain(line, "protocol_lift"),
    ]
    yield [
        title(content, line.network),
        number(line.jaccard_network),
        number(line.between_network),
        number(line.jaccard_equal_network),
        "",
    ]
    between = signed(line.between_network - line.between_classical)
    yield ["Gain by learning", _gain(line, "jaccard_gain"), between, _gain(line, "jaccard_equal_gain"), ""]


def _effect_text(content, line):
    eroded = line.between_classical - line.jaccard_classical
    return (
        f"Without any learning, the protocol alone moves {title(content, line.classical)} by "
        f"{signed(line.protocol_lift_value)}: {signed(eroded)} by eroding each object instead of the mask, "
        f"{signed(line.protocol_lift_value - eroded)} by post-processing and scoring whole fields. Learning from "
        f"these labels adds {signed(line.jaccard_gain_value)} under `paper` and "
        f"{signed(line.jaccard_equal_gain_value)} under `equal`."
    )


def _gain(line, name):
    value, low, high = (getattr(line, f"{name}_{key}") for key in ("value", "low", "high"))
    return f"{signed(value)} ({signed(low)} to {signed(high)})"


# ---- the paper's claims


def claims(content: Content) -> str:
    """The verdicts, then each claim with its numbers."""
    lines = content.claims
    if lines.empty:
        return ""
    parts = [CLAIMS, *_one_training(content), to_markdown(_verdicts(lines), ("claim",)), *_protocols_differ(lines)]
    for claim, group in lines[lines["difference"].notna()].groupby("claim", sort=False):
        parts.append(f"### {claim}")
        for (better, worse), same in group.groupby(["better", "worse"], sort=False):
            shown = pd.DataFrame([_claim_line(line) for line in same.itertuples()])
            table = to_markdown(shown, ("", "verdict", "on the paper's numbers"))
            parts.append(f"{title(content, better)} against {title(content, worse)}:\n\n{table}")
    return "\n\n".join(parts)


def _one_training(content):
    trainings = [len(result.runs) for result in content.results.values() if result.row.method == "network"]
    return [ONE_TRAINING] if 1 in trainings else []


def _verdicts(claims):
    """One line per claim and row that is claimed to be better, one column per metric."""
    verdicts = claims.groupby(["claim", "better", "metric"], sort=False)["verdict"].agg("; ".join).unstack("metric")
    order = claims.drop_duplicates(["claim", "better"]).set_index(["claim", "better"]).index
    verdicts = verdicts.loc[order].reindex(columns=list(TABLES)).rename(columns=heading).fillna(NONE)
    return verdicts.reset_index().drop(columns="better")


def _protocols_differ(claims):
    """A sentence for each claim that one protocol settles and the other does not, or settles otherwise."""
    sides = claims.pivot_table(index=["claim", "better"], columns="metric", values="verdict", aggfunc="first", sort=False)
    if not {"jaccard", "jaccard_equal"} <= set(sides):
        return []
    said = [
        f"“{claim}” {line.jaccard} under `paper` and {line.jaccard_equal} under `equal`."
        for (claim, _), line in sides.dropna(subset=["jaccard", "jaccard_equal"]).iterrows()
        if line.jaccard != line.jaccard_equal
    ]
    return ["The protocol decides: " + " ".join(said)] if said else []


def _claim_line(line):
    on_paper = NONE if pd.isna(line.published_verdict) else line.published_verdict
    return {
        "": heading(line.metric),
        "values": f"{line.value_better:.4f} / {line.value_worse:.4f}",
        "difference": f"{signed(line.difference, 4)} ({signed(line.low, 4)} to {signed(line.high, 4)})",
        "p (Holm)": _p(line.p_holm),
        "verdict": f"**{line.verdict}**" + (f": {escape(line.why)}" if line.why else ""),
        "published": signed(line.published),
        "on the paper's numbers": on_paper
        + (f": {escape(line.published_why)}" if on_paper != NONE and line.published_why else ""),
    }


# ---- the registry's claims


def margins(content: Content) -> str:
    """Of each claim the verdict, and below it a line per metric."""
    parts = []
    for claim, lines in content.margins.groupby("claim", sort=False):
        first = lines.iloc[0]
        rows = f"{title(content, first['row'])} against {title(content, first['reference'])}"
        shown = pd.DataFrame([_margin_line(line) for line in lines.itertuples()])
        parts.append(f"**{escape(claim)}: {together(lines)}.** {rows}:\n\n{to_markdown(shown, ('', 'verdict'))}")
    return MARGINS + "\n\n".join(parts) if parts else ""


def _margin_line(line):
    values = NONE if pd.isna(line.difference) else f"{line.value:.4f} / {line.value_reference:.4f}"
    return {
        "": heading(line.metric),
        "values": values,
        "difference": signed(line.difference, 4),
        "bound": signed(line.low, 4),
        "margin": number(line.margin, 3),
        "p": _p(line.p),
        "verdict": f"**{line.verdict}**" + (f": {escape(line.why)}" if line.why else ""),
    }


def _p(value):
    return NONE if pd.isna(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


# ---- labels that are wrong on purpose


def noise(content: Content) -> str:
    """What each kind of error costs, by its level, and from which level on a remedy helps."""
    parts = []
    for metric, lines in content.noise.groupby("metric", sort=False):
        table = pd.DataFrame([_noise_line(line) for line in lines.itertuples()])
        parts.append(f"**{heading(metric)}**\n\n{_helps(lines)}\n\n{to_markdown(table, ('noise', 'remedy', 'it'))}")
    return "\n\n".join([NOISE, *_one_training(content), *parts]) if parts else ""


def _helps(lines):
    """A sentence of every kind of noise and remedy."""
    kinds = lines[lines["kind"] != NO_NOISE].groupby(["kind", "remedy"], sort=False)
    return "Helps: " + "; ".join(f"{kind}, {remedy}: {helps_from(same)}" for (kind, remedy), same in kinds) + "."


def _noise_line(line):
    return {
        "noise": line.kind,
        "level": f"{line.level:g} {line.unit if line.unit == 'px' else ''}".strip(),
        "remedy": line.remedy,
        "kept": _difference(line, "kept"),
        "remedied": _difference(line, "remedied"),
        "gain": _difference(line, "gain"),
        "seeds": line.seeds,
        "p (Holm)": _p(line.p_holm),
        "it": f"**{line.verdict}**",
    }


def _difference(line, name):
    value, low, high = (getattr(line, f"{name}{end}") for end in ("", "_low", "_high"))
    return f"{signed(value)} ({bounds(low, high, sign=True)})"


# ---- why Dice stays where it is


def why(content: Content) -> str:
    """Where networks that learned from classical labels are wrong, beside these labels and the other rows."""
    frame = content.wrong_pixels
    pairs = [pair for pair in learned_from(content.results) if not frame.empty and set(pair) <= set(frame["row"])]
    if not pairs:
        return ""
    rows = frame.set_index("row")
    level = content.boot[pairs[0][0], "dice_nuclei"][0]
    shares = pd.DataFrame([_shares(content, line) for line in frame.itertuples()])
    return "\n\n".join(
        [
            f"## Why Dice stays at {level:.3f}",
            *(_why_text(content, rows, network, labels) for network, labels in pairs),
            WHY + to_markdown(shares),
            *filter(None, [unscored(content, "px_annotated")]),
            _density(content),
        ]
    )


def _why_text(content, rows, network, labels):
    learned, given = rows.loc[network], rows.loc[labels]
    offsets = [signed(content.boot[row, "outline_offset"][0], 2) for row in (labels, network)]
    near, far = (
        percent(share, 1) for share in (learned["fp_1px"] + learned["fp_2px"], learned["fp_far"] + learned["fp_separation"])
    )
    missed = [percent(each["fn_missed"], 1) for each in (given, learned)]
    return (
        f"The outlines of {title(content, labels)} lie {offsets[0]} px from the annotated ones (positive: outside), those of "
        f"{title(content, network)}, which learned from them, {offsets[1]} px. What the network predicts and nobody annotated "
        f"comes to {near} of the annotated area within 2 px of annotated nuclei, and to {far} elsewhere. Missed nuclei are "
        f"{missed[0]} of that area in the labels, {missed[1]} in the network. With all right within 2 px of the annotated "
        f"outlines, the network's pooled Dice would be {learned['dice_rim']:.3f} instead of {learned['dice']:.3f}."
    )


def _shares(content, line):
    kinds = {shown: percent(getattr(line, name), 2) for name, shown in PIXELS.items()}
    return {"": title(content, line.row), **kinds, "Dice, pooled": number(line.dice), "rim right": number(line.dice_rim)}


def _density(content):
    """Two lines a row: its scores in the half of the fields with fewer nuclei and in the other."""
    shown = content.density.assign(**{"": [title(content, row) for row in content.density["row"]]})
    table = pd.DataFrame(
        {
            "": shown[""].where(~shown[""].duplicated(), ""),
            "fields": shown["half"],
            "nuclei a field": [number(value, 1) for value in shown["nuclei"]],
            "Dice, nuclei": [number(value) for value in shown["dice_nuclei"]],
            "outline offset, px": [signed(value, 2) for value in shown["outline_offset"]],
            "NSD at 1 px": [number(value) for value in shown["nsd"]],
        }
    )
    about = "The half of the test fields with fewer annotated nuclei, and the other half; means over fields:\n\n"
    return about + to_markdown(table, ("", "fields"))
