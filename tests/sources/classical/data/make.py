"""Makes cellprofiler.npz anew: python tests/classical/data/make.py PYTHON_WITH_CELLPROFILER."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

from harness.apps.benchmarks.classical import run_reference
from harness.datasets.synthetic import synthetic_field
from harness.sources.classical import CONFIGURATIONS, Settings

OTHER_SETTINGS = [
    {"discard_border": True},
    {"discard_size": False, "fill_holes": "declumping"},
    {"fill_holes": "never", "threshold_smoothing": 2.5},
    {"min_diameter": 14, "max_diameter": 60},
    {"min_diameter": 14, "suppression": 4, "seed_smoothing": 5},
    {"min_diameter": 14, "low_resolution": False, "seed_smoothing": 0},
    {"correction": 1.3, "bounds": (0.0, 0.05), "suppression": 0},
    {"version": "4", "log_transform": True},
    {"version": "4", "threshold_smoothing": 0, "max_objects": 10},
]


def frames():
    """Crops of synthetic fields: as they are, with plateaus (a saturated camera), in 8 bits, and as floats."""
    crops = [synthetic_field(2021, index)[0][150:310, 200:392] for index in range(4)]
    return {
        "12-bit": crops[0],
        "saturated": np.minimum(crops[1], 550),
        "8-bit": (crops[2] >> 3).astype(np.uint8),
        "float": (crops[3] / 4096).astype(np.float32),
    }


def cases():
    """Frame, settings and configurations of each case."""
    for frame in frames():
        for version in ("3.1.9", "4"):
            yield frame, {"version": version}, CONFIGURATIONS
    for settings in OTHER_SETTINGS:
        yield "12-bit", settings, CONFIGURATIONS[:2]


def main(interpreter, out=Path(__file__).with_name("cellprofiler.npz")):
    images, labels, listed = frames(), {}, []
    for number, (frame, settings, configurations) in enumerate(cases()):
        answer = run_reference([images[frame]], configurations, Settings(**settings), interpreter)
        for name in configurations:
            found = answer[f"labels_0_{name}"]
            labels[f"{number} {name}"] = found.astype(np.uint8 if found.max() < 256 else np.uint16)
        listed.append({"frame": frame, "settings": asdict(Settings(**settings)), "configurations": configurations})
    np.savez_compressed(out, program=answer["program"], cases=json.dumps(listed), **images, **labels)


if __name__ == "__main__":
    main(sys.argv[1])
