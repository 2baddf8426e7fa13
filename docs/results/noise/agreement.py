"""Whether a short training ranks rows as a long one does: rank correlations over the rows that two reports share.

    python docs/results/noise/agreement.py SHORT/results.json LONG/results.json...

SHORT is the report of docs/results/noise/agreement.toml; of a row that several LONG reports hold the first one counts.
Prints a Markdown table per metric: values and ranks of both, Spearman's and Kendall's correlation.
"""

import json
import sys
from pathlib import Path

import pandas as pd
from scipy.stats import kendalltau, spearmanr

METRICS = {"dice_nuclei": "Dice, nuclei", "jaccard": "Jaccard, `paper`", "jaccard_equal": "Jaccard, `equal`"}


def values(path):
    """The means over seeds of a report's network rows, by row and metric."""
    cells = [cell for table in json.loads(Path(path).read_text())["tables"].values() for cell in table["cells"]]
    done = [cell for cell in cells if cell["n"] and cell["row"].startswith("network-")]
    return pd.Series({(cell["row"], cell["metric"]): cell["value"] for cell in done})


def main(short, *long):
    """Print the tables."""
    longer = pd.concat([values(path) for path in long])
    both = pd.DataFrame({"short": values(short), "long": longer[~longer.index.duplicated()]}).dropna()
    for metric, name in METRICS.items():
        rows = both.xs(metric, level=1)
        ranks = rows.rank(ascending=False).astype(int)
        rho, tau = spearmanr(rows["short"], rows["long"]).statistic, kendalltau(rows["short"], rows["long"]).statistic
        print(f"**{name}**: {len(rows)} rows, Spearman {rho:.2f}, Kendall {tau:.2f}\n\n| row | short | long |\n|---|---|---|")
        for row, line in rows.sort_values("long", ascending=False).iterrows():
            print(f"| {row} | {line['short']:.3f} ({ranks.loc[row, 'short']}) | {line['long']:.3f} ({ranks.loc[row, 'long']}) |")
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])
