"""Seconds of processor time that a field takes a network of `harness segment`, StarDist or Cellpose, and the steps after it.

    python docs/results/speed/beside.py harness bbbc039 10        (HARNESS_DATA_DIR names the data)
    python docs/results/speed/beside.py stardist bbbc039 10       (pip install stardist==0.9.2)
    python docs/results/speed/beside.py cellpose bbbc039 10       (pip install cellpose==3.1.1.2)

All networks have random weights: time does not depend on them. The steps after them do, so each is given what a perfect network
would say of the annotation. Fields of the validation split.
"""

import sys
from time import process_time

import numpy as np

from harness.datasets import open_dataset

DIAMETER = 29  # px, of a nucleus of BBBC039


def harness():
    """The network of the paper's rows as `segment` shows it a field, and post-processing."""
    from harness.experiment.registry import load_registry
    from harness.method.classmap import class_map
    from harness.method.postprocess import nuclei_from_class_map
    from harness.network.inference import for_windows, precision, predict_windows
    from harness.network.unet import unet

    network = for_windows(unet(**load_registry().network.model_dump(), size=512), precision())
    yield f"network, {precision()}", lambda image, _: predict_windows(network, image, 512), None
    yield "nuclei", lambda _, classes: nuclei_from_class_map(classes), class_map


def stardist():
    """A network of the size of `2D_versatile_fluo`: depth 3, 32 filters, 32 rays, grid 2."""
    from csbdeep.utils import normalize
    from stardist import edt_prob, star_dist
    from stardist.models import Config2D, StarDist2D

    model = StarDist2D(Config2D(axes="YX", n_rays=32, grid=(2, 2)), name=None, basedir=None)

    def perfect(truth):
        return truth.shape, edt_prob(truth)[::2, ::2], star_dist(truth, 32, grid=(2, 2))

    yield "network, float32", lambda image, _: model.predict(normalize(image, 1, 99.8)), None
    yield "nuclei", lambda _, said: model._instances_from_prediction(*said, prob_thresh=0.48, nms_thresh=0.3), perfect  # noqa: SLF001


def cellpose():
    """Networks of the size of `cyto3`, for cells of 30 px, and of `nuclei`, for 17 px: images are made as much smaller."""
    import torch
    from cellpose import dynamics
    from cellpose.models import CellposeModel

    cpu = torch.device("cpu")

    def perfect(truth):
        return 5 * dynamics.labels_to_flows([truth], device=cpu)[0][2:], np.where(truth > 0, 6.0, -6.0).astype(np.float32)

    for name, mean in (("cyto3", 30.0), ("nuclei", 17.0)):
        model = CellposeModel(gpu=False, diam_mean=mean)
        options = {"channels": [0, 0], "diameter": DIAMETER, "compute_masks": False}
        yield f"network, {name}, float32", lambda image, _, model=model, options=options: model.eval(image, **options), None
    yield "nuclei", lambda _, said: dynamics.resize_and_compute_masks(*said, niter=200, device=cpu), perfect


def spent(way, image, said):
    """Seconds of processor time."""
    began = process_time()
    way(image, said)
    return process_time() - began


def main(tool, name, count):
    """Print each way's median, the first time through all fields left out."""
    dataset = open_dataset(name)
    names = dataset.splits["validation"][:count]
    fields = [(dataset.read_image(field).astype(np.float64), dataset.read_nuclei(field)) for field in names]
    for called, way, perfect in {"harness": harness, "stardist": stardist, "cellpose": cellpose}[tool]():
        given = [(image, perfect(truth) if perfect else None) for image, truth in fields]
        seconds = [[spent(way, *each) for each in given] for _ in range(3)][1:]
        print(f"{tool}, {called}: {np.median(seconds):.3f} s of processor time")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
