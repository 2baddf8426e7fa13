"""CellProfiler's IdentifyPrimaryObjects: classical label images of nuclei.

`primary_objects` and `agreement` make label images; they import numba, which whoever only names settings need not wait for.
"""

from harness.classical.settings import CONFIGURATIONS, Settings

VERSION = 1

__all__ = ["CONFIGURATIONS", "VERSION", "Settings"]
