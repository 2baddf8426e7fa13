"""Each training of the study by itself: what wrong labels cost, and what ignoring them gives back, seed by seed.

    python docs/results/noise/seeds.py METRIC REPORT...

METRIC is `jaccard_equal` or `f1_90`; a REPORT is a folder with results.json and tables/noise.csv. Prints a Markdown table. A dash
stands for a training that failed, since it learned nothing, or was not run.
"""

import json
import sys
from pathlib import Path

import pandas as pd

SEEDS = (0, 1)
WHOLE = {"f1_90": "iou/f1_90"}  # what a run's metrics call it
VERDICTS = {"helps": "**helps**", "harms": "**harms**"}
IGNORED = "what is wrong ignored"


def lines(folder, metric):
    """Of one report, by kind and level: cost and gain of each seed, and the verdict of all of them."""
    runs = json.loads((folder / "results.json").read_text())["runs"]
    value = {(run["row"], run["seed"]): run["metrics"].get(WHOLE.get(metric, metric)) for run in runs}
    table = pd.read_csv(folder / "tables" / "noise.csv").query("metric == @metric and remedy == @IGNORED")
    for line in table.itertuples():
        costs, gains = (
            [_difference(value.get((row, seed)), value.get((other, seed))) for seed in SEEDS]
            for row, other in ((line.row_kept, line.row_clean), (line.row_remedied, line.row_kept))
        )
        level = f"{line.level:g}{' px' if line.unit == 'px' else ''}"
        yield (line.kind, level), [", ".join(costs), ", ".join(gains), VERDICTS.get(line.verdict, line.verdict)]


def _difference(value, other):
    return "–" if value is None or other is None else f"{value - other:+.3f}".replace("-", "−")


def main(metric, *folders):
    """Print the table."""
    found = [dict(lines(Path(folder), metric)) for folder in folders]
    names = [json.loads((Path(folder) / "results.json").read_text())["dataset"] for folder in folders]
    print(f"| | | {' '.join(f'{name} | | |' for name in names)}")
    print("|:--|--:|" + "--:|--:|:--|" * len(names))
    print(f"| *noise* | *level* | {' '.join(['*kept* | *gain by ignoring* | |'] * len(names))}")
    for key in dict.fromkeys(key for of_set in found for key in of_set):
        print("| " + " | ".join([*key, *(cell for of_set in found for cell in of_set.get(key, ["–", "–", "–"]))]) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:])
