"""The machine and the versions that results and timings depend on."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> dict[str, str]:
    """The machine and the versions that decide its speed, as one dict of str; packages that are not there are left out."""
    packages = ("tensorflow", "jax", "keras", "numpy", "scipy", "scikit-image", "numba")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        **{name: found for name in packages if (found := _version(name))},
    }


def has_bfloat16() -> bool:
    """Whether the processor multiplies matrices of bfloat16 by instructions of its own, as far as Linux tells."""
    try:
        words = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return "avx512_bf16" in words or "amx_bf16" in words


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
