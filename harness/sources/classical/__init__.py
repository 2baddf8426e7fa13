"""CellProfiler's IdentifyPrimaryObjects: classical label images of nuclei.

`primary_objects` and `agreement` make label images; they import numba, which whoever only names settings need not wait for.
"""

from harness.sources.classical.settings import CONFIGURATIONS, Settings

__all__ = ["CONFIGURATIONS", "Settings"]
