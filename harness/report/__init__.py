"""The report: the tables, claims and pictures that finished runs come to, as one folder."""

import json
import shutil
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from harness.core.errors import HarnessError
from harness.core.files import whole_folder
from harness.datasets import DataSet
from harness.experiment import tracking
from harness.experiment.registry import Registry
from harness.experiment.spec import Spec
from harness.report import html
from harness.report.content import OWN_TABLES, Content, gather
from harness.report.record import as_json

__all__ = ["check_replaceable", "write"]


def write(
    registry: Registry,
    resolve: Callable[[str, int], Spec],
    dataset: DataSet,
    profile: str,
    runs: list[tracking.Run],
    out: str | PathLike[str],
    figures: bool = True,
    recompute: bool = False,
    predictions: bool = False,
) -> dict[str, Any]:
    """Write the report of one data set and profile.

    Parameters
    ----------
    registry : harness.experiment.registry.Registry
    resolve : callable
        (row, seed) to the current Spec; a finished run with another spec hash is stale and enters no number.
    dataset : harness.datasets.DataSet
    profile : str
    runs : list of harness.experiment.tracking.Run
        Of this data set and profile, the newest first.
    out : path-like
        Folder to write: report.md, report.html, results.json, tables/*.csv, per_image.csv, figures/*.png. It appears
        whole or not at all; an earlier report there is replaced.
    figures : bool
        Whether to draw pictures.
    recompute : bool
        Whether to score the stored predictions again rather than to read the scores. A run whose code of scoring alone
        has changed is then not stale.
    predictions : bool
        Whether to copy what the first run of each network row predicted: predictions/<row>/nuclei/<field>.png, label
        images, and predictions/<row>/tiles/<field>.png, the class maps of the field's tiles side by side.

    Returns
    -------
    dict
        What results.json holds.

    Raises
    ------
    HarnessError
        `out` holds something else than a report, or cannot be written.
    """
    out = Path(out)
    check_replaceable(out)
    _check_names(registry.tables)
    content = gather(registry, resolve, dataset, profile, runs, recompute, figures or predictions)
    results = as_json(content)
    with whole_folder(out) as new:
        _write_folder(new, content, results, figures)
        if predictions:
            _copy_predictions(new / "predictions", content)
    return results


def check_replaceable(out: Path) -> None:
    """Refuse a folder that is there and is no report; an earlier one's may be replaced."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "results.json").exists())):
        raise HarnessError(f"{out}: is there and is no report; give a new or empty folder, or an earlier report's")


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name in OWN_TABLES or not name.strip(".") or set(name) & set("/\\:"):
            raise HarnessError(
                f"table '{name}': its file in the report cannot have this name; call it something else "
                f"than {', '.join(OWN_TABLES)}, without slashes"
            )


def _write_folder(folder: Path, content: Content, results: dict[str, Any], figures: bool) -> None:
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    for name, table in content.scores.groupby("table", sort=False):
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)
    for name in OWN_TABLES:
        getattr(content, name).to_csv(folder / "tables" / f"{name}.csv", index=False)
    content.per_field.to_csv(folder / "per_image.csv", index=False)
    (folder / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")
    _write_text(folder, content, figures)


def _write_text(folder: Path, content: Content, figures: bool) -> None:
    from harness.report.figures import draw_all
    from harness.report.text import document

    pictures = draw_all(content, folder / "figures") if figures else []
    text = document(content, pictures)
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.html").write_text(html.page(text, folder, [f"figures/{each.name}" for each in pictures]), encoding="utf-8")


def _copy_predictions(folder: Path, content: Content) -> None:
    """Of network rows alone: classical label images are made again in seconds."""
    for result in content.done:
        if result.row.method == "network":
            stored = tracking.artifact(min(result.runs, key=lambda run: run.seed), "predictions")
            if stored:
                shutil.copytree(stored, folder / result.name)
