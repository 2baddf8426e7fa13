"""CellProfiler's IdentifyPrimaryObjects: classical label images of nuclei."""

from harness.classical.agreement import consensus
from harness.classical.primary_objects import identify, identify_all
from harness.classical.settings import CONFIGURATIONS, Settings

VERSION = 1

__all__ = ["CONFIGURATIONS", "VERSION", "Settings", "consensus", "identify", "identify_all"]
