"""What "auto" diameters are on data sets, how many annotated nuclei they hold, and what they do to label images.

    python docs/results/diameters/measure.py synthetic bbbc039 FOLDER...      (HARNESS_DATA_DIR names BBBC039)

The range is told from training images and compared with the annotation of the training fields; label images are scored on
validation fields, 42 at most. No test field is looked at.
"""

import json
import sys
from collections import Counter
from functools import partial

import numpy as np

from harness.datasets import open_dataset
from harness.experiment.evidence import agreement
from harness.method.classmap import class_map
from harness.method.postprocess import nuclei_from_class_map
from harness.sources import open_source, sample

FIXED, AUTO = {"min_diameter": 10, "max_diameter": 50}, {"min_diameter": "auto", "max_diameter": "auto"}
QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
MOST = 42  # validation fields


def training_images(dataset):
    """What the range is told from."""
    return map(dataset.read_image, sample(dataset.splits["training"]))


def diameters(dataset):
    """Of discs of the annotated areas, in px."""
    areas = np.concatenate([np.bincount(dataset.annotation(name).ravel())[1:] for name in dataset.splits["training"]])
    return np.sqrt(4 / np.pi * areas[areas >= 25])


def scores(dataset, source):
    """Of label images of the validation fields, pooled."""
    names, sums = dataset.splits["validation"], Counter()
    for name in names[:: -(-len(names) // MOST)]:
        labels = nuclei_from_class_map(class_map(source.label(dataset.field(name))[0]))
        sums.update(agreement(dataset.annotation(name), labels))
    return {kind: round(sums[f"{kind}_above"] / sums[f"{kind}_below"], 4) for kind in ("equal", "f1_50", "foreground")}


def measure(dataset):
    """All that is printed, by name."""
    wide = diameters(dataset)
    told = open_source("cellprofiler:shape/intensity", AUTO).fitted(partial(training_images, dataset)).changed
    yield "told", told
    yield "annotated", np.quantile(wide, QUANTILES).round(1).tolist()
    for name, low, high in (("fixed", *FIXED.values()), ("auto", *told.values())):
        yield f"inside, {name}", round(float(((wide >= low) & (wide <= high)).mean()), 4)
    for configuration in ("shape/intensity", "shape/shape"):
        for name, settings in (("fixed", FIXED), ("auto", told)):
            yield f"{configuration}, {name}", scores(dataset, open_source(f"cellprofiler:{configuration}", settings))


for name in sys.argv[1:]:
    print(name, json.dumps(dict(measure(open_dataset(name)))))
