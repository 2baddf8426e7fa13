"""Label sources: where the label images for training, and the predictions of classical rows, come from.

A new one is a module with a subclass of `LabelSource`, and its line in `FAMILIES`; a new step after them stands in
`refinements`.
"""

from collections.abc import Sequence
from typing import Any

from harness.core.errors import HarnessError
from harness.sources.base import AUTO, LabelSource, sample
from harness.sources.cellprofiler import CellProfiler, Consensus
from harness.sources.controls import Control
from harness.sources.folder import Folder
from harness.sources.manual import Manual
from harness.sources.predicted import Predicted
from harness.sources.refinements import Refined, open_steps

__all__ = ["AUTO", "FAMILIES", "LabelSource", "open_source", "sample"]

SOURCES = (Manual, CellProfiler, Consensus, Folder, Predicted, Control)
FAMILIES: dict[str, type[LabelSource]] = {kind.family: kind for kind in SOURCES}


def open_source(name: str, changed: dict[str, Any] | None = None, refine: Sequence[str | dict[str, Any]] = ()) -> LabelSource:
    """The label source of a name, as registries and commands have it.

    Parameters
    ----------
    name : str
        A family, or `family:argument`.
    changed : dict, optional
        Settings that differ from the source's defaults.
    refine : sequence of str or dict, optional
        Steps that its labels go through, see `harness.sources.refinements.open_step`.

    Raises
    ------
    HarnessError
        Unknown source, step or setting, a setting that is out of its range, or a step that does not go with the source.
    """
    family, _, argument = name.partition(":")
    if family not in FAMILIES:
        choices = ", ".join(choice for kind in FAMILIES.values() for choice in kind.choices)
        raise HarnessError(f"unknown label source '{name}'; expected one of {choices}")
    source = FAMILIES[family].named(argument, changed or {})
    return Refined(source=source, steps=open_steps(refine, source)) if refine else source
