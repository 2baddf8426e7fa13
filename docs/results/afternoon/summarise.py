"""The tables of simulate.py in short, as summary.md beside them.

python docs/results/afternoon/summarise.py OUT
"""

import sys
from pathlib import Path

import pandas as pd

from harness.core.markdown import number, percent, to_markdown

PROMISED = (0.93, 0.97)  # coverage
WITHIN = 0.25  # of what resampling shows, a plan


def main():
    """Each table as a few lines per data set."""
    out = Path(sys.argv[1])
    parts = [_title(name, pd.read_csv(out / f"{name}.csv"), make) for name, make in TABLES.items()]
    (out / "summary.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _title(name, table, make):
    text = pd.DataFrame(make(table))
    return f"## {name}\n\n{to_markdown(text, tuple(text.columns[:2]))}"


def _coverage(table):
    table["kind"] = table["what"].str.contains(" - ").map({True: "differences", False: "scores"})
    for (dataset, by, fields, kind), part in table.groupby(["dataset", "by", "fields", "kind"], sort=False):
        said = part.dropna(subset="coverage")
        yield {
            "data set": dataset,
            "what": f"{kind}, pilots by {by}",
            "annotated fields": str(fields),
            "refused": percent(part["refused"].mean()),
            "coverage, mean": percent(said["coverage"].mean(), 1),
            "lowest": percent(said["coverage"].min(), 1),
            "highest": percent(said["coverage"].max(), 1),
            "93 to 97 % in": f"{said['coverage'].between(*PROMISED).sum()} of {len(said)}",
            "mean without refusing": percent(part["coverage_unrefused"].mean(), 1),
            "width to that without control": number((part["half"] / part["half_alone"]).median(), 2),
        }


def _saved(table):
    for line in table.itertuples():
        yield {
            "data set": line.dataset,
            "row": line.row,
            "metric": line.metric,
            "correlation": number(line.correlation, 2),
            "fields for ±0.02, of all": str(line.fields_every),
            "set apart": str(line.apart),
            "fields for ±0.02, of the others": str(line.fields_alone),
            "with control": str(line.fields),
            "saved by control": percent(line.saved),
        }


def _power(table):
    for line in table.itertuples():
        told = pd.notna(line.needed)
        yield {
            "data set": line.dataset,
            "rows": f"{line.one} − {line.other}",
            "metric": line.metric,
            "difference": number(line.difference),
            "planned": _fields(line.planned),
            "resampling shows": _fields(line.needed),
            "within 25 %": ("yes" if abs(line.planned / line.needed - 1) <= WITHIN else "no") if told else "",
            "planned from pilots of 20, quartiles": f"{_fields(line.pilots_low)} to {_fields(line.pilots_high)}",
        }


def _fields(count):
    return "not resampled" if pd.isna(count) else "none is enough" if count == float("inf") else f"{count:.0f}"


def _triage(table):
    for line in table.itertuples():
        yield {
            "data set": line.dataset,
            "row": line.row,
            "wrong: IoU at most": str(line.thresh),
            "nuclei": str(line.nuclei),
            "wrong": percent(line.wrong, 1),
            "found in the worst 10 %": percent(line.found),
            "most possible": percent(line.most_possible),
            "random 10 %": percent(line.by_lot),
            "missed nuclei": str(line.missed),
            "of these seen by others": str(line.missed_seen),
            "found of both": percent(line.found_with_missed),
        }


def _agreement(table):
    for line in table.itertuples():
        yield {
            "data set": line.dataset,
            "row": line.row,
            "metric": line.metric,
            "agreement": number(line.agreement),
            "with annotation": number(line.true),
        }


TABLES = {"coverage": _coverage, "saved": _saved, "power": _power, "triage": _triage, "agreement": _agreement}

if __name__ == "__main__":
    main()
