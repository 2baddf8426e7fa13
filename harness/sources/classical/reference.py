"""Runs the real IdentifyPrimaryObjects; by itself, with an interpreter that has CellProfiler 4.2.8 or the library of 5.

    python reference.py REQUEST.npz ANSWER.npz

It imports nothing of this package, as CellProfiler needs an environment (and a Python) of its own. The request
holds the images, float32 on the scale 0 to 1, as `image_0`, `image_1`, ... and, as JSON in `request`, the
configurations, the fields of `harness.sources.classical.Settings`, `thresholds` (one per image, or null for
CellProfiler's own) and `repeats`.
The answer holds label images `labels_0_shape/intensity`, ..., `seconds` (images, configurations; the best of the
repeats, for the module alone) and `program`.
"""

from __future__ import annotations  # that Python may be an old one

import json
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

FILL_HOLES = {"both": "After both thresholding and declumping", "declumping": "After declumping only", "never": "Never"}


def identify_by_4(image: np.ndarray, configuration: str, settings: dict, threshold: float | None) -> tuple[np.ndarray, float]:
    """Labels by CellProfiler 4.2.8's module, and the seconds it ran."""
    seeds, lines = configuration.title().split("/")
    module = _module_of_4(seeds, lines, settings)
    if threshold is not None:
        module.threshold.get_threshold = lambda *_, **__: (threshold, threshold, None)
    from cellprofiler_core.image import Image, ImageSetList
    from cellprofiler_core.measurement import Measurements
    from cellprofiler_core.object import ObjectSet
    from cellprofiler_core.pipeline import Pipeline
    from cellprofiler_core.workspace import Workspace

    image_sets, objects, measurements, pipeline = ImageSetList(), ObjectSet(), Measurements(), Pipeline()
    image_set = image_sets.get_image_set(0)
    image_set.add("DNA", Image(image))
    pipeline.add_module(module)
    workspace = Workspace(pipeline, module, image_set, objects, measurements, image_sets)
    start = time.process_time()
    module.run(workspace)
    seconds = time.process_time() - start
    measurements.close()
    return objects.get_objects("Nuclei").segmented, seconds


def _module_of_4(seeds: str, lines: str, settings: dict) -> Any:
    import cellprofiler_core.preferences

    cellprofiler_core.preferences.set_headless()
    from cellprofiler.modules import identifyprimaryobjects

    module = identifyprimaryobjects.IdentifyPrimaryObjects()
    module.set_module_num(1)
    module.show_window = False
    module.x_name.value, module.y_name.value = "DNA", "Nuclei"
    module.use_advanced.value = True
    module.size_range.value = (settings["min_diameter"], settings["max_diameter"])
    module.exclude_size.value = settings["discard_size"]
    module.exclude_border_objects.value = settings["discard_border"]
    module.unclump_method.value, module.watershed_method.value = seeds, lines
    module.automatic_smoothing.value = settings["seed_smoothing"] is None
    module.smoothing_filter_size.value = settings["seed_smoothing"] or 0
    module.automatic_suppression.value = settings["suppression"] is None
    module.maxima_suppression_size.value = settings["suppression"] or 0
    module.low_res_maxima.value = settings["low_resolution"]
    module.fill_holes.value = FILL_HOLES[settings["fill_holes"]]
    if settings["max_objects"] is not None:
        module.limit_choice.value = identifyprimaryobjects.LIMIT_ERASE
        module.maximum_object_count.value = settings["max_objects"]
    _set_threshold_of_4(module.threshold, settings)
    return module


def _set_threshold_of_4(threshold: Any, settings: dict) -> None:
    threshold.threshold_scope.value = "Global"
    threshold.global_operation.value = "Minimum Cross-Entropy"
    threshold.threshold_smoothing_scale.value = settings["threshold_smoothing"]
    threshold.threshold_correction_factor.value = settings["correction"]
    threshold.threshold_range.value = tuple(settings["bounds"])
    threshold.log_transform.value = settings["log_transform"]


def identify_by_5(image: np.ndarray, configuration: str, settings: dict, threshold: float | None) -> tuple[np.ndarray, float]:
    """Labels by the library of CellProfiler 5, and the seconds it ran."""
    from cellprofiler_library.modules import identifyprimaryobjects

    seeds, lines = configuration.title().split("/")
    start = time.process_time()
    labels = identifyprimaryobjects(
        image,
        predefined_threshold=threshold,
        threshold_smoothing=settings["threshold_smoothing"],
        threshold_correction_factor=settings["correction"] if threshold is None else 1,
        threshold_min=settings["bounds"][0] if threshold is None else threshold,
        threshold_max=settings["bounds"][1] if threshold is None else threshold,
        log_transform=settings["log_transform"],
        exclude_size=settings["discard_size"],
        min_size=settings["min_diameter"],
        max_size=settings["max_diameter"],
        exclude_border_objects=settings["discard_border"],
        unclump_method=seeds,
        watershed_method=lines,
        fill_holes_method=FILL_HOLES[settings["fill_holes"]],
        smoothing_filter_size=settings["seed_smoothing"],
        automatic_suppression=settings["suppression"] is None,
        maxima_suppression_size=settings["suppression"] or 0,
        low_res_maxima=settings["low_resolution"],
        maximum_object_count=settings["max_objects"],
    )
    return labels, time.process_time() - start


def _program() -> tuple[str, Callable[..., tuple[np.ndarray, float]]]:
    """What this interpreter has: its name, and the function that runs it."""
    for package, name, identify in (
        ("cellprofiler", "CellProfiler", identify_by_4),
        ("cellprofiler-library-nightly", "CellProfiler library", identify_by_5),
    ):
        try:
            return f"{name} {version(package)}", identify
        except PackageNotFoundError:
            continue
    raise SystemExit("this Python has neither cellprofiler nor cellprofiler-library-nightly")


def answer(request_file: str, answer_file: str) -> None:
    """Label every image in every configuration and write labels and seconds."""
    stored = np.load(request_file)
    request = json.loads(str(stored["request"]))
    program, identify = _program()
    answers: dict[str, Any] = {"program": program}
    seconds = []
    for index, threshold in enumerate(request["thresholds"]):
        for configuration in request["configurations"]:
            runs = [
                identify(stored[f"image_{index}"], configuration, request["settings"], threshold)
                for _ in range(request["repeats"])
            ]
            answers[f"labels_{index}_{configuration}"] = np.asarray(runs[0][0], np.int32)
            seconds.append(min(run[1] for run in runs))
    answers["seconds"] = np.reshape(seconds, (len(request["thresholds"]), len(request["configurations"])))
    np.savez_compressed(answer_file, **answers)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    answer(*sys.argv[1:])
