"""Self-training: the nuclei that the network of a finished run sees, as label images for the run after it.

They are predicted once on a machine, on the fields to learn from and to validate on alone, and kept beside the states of
trainings as `labels-<what decides them>`: a folder that is there whole or not at all, with the digest of its images.
"""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from harness.core.errors import HarnessError
from harness.core.label_images import write_label_image
from harness.datasets import DataSet
from harness.experiment import tracking
from harness.experiment.spec import Spec, source_of
from harness.method.postprocess import nuclei_from_class_map
from harness.sources import LabelSource
from harness.sources.folder import Folder

LEARNED_FROM = ("training", "validation")
DIGEST = ".digest"


def parents_run(spec: Spec) -> tracking.Run:
    """The finished run whose network a spec needs.

    Raises
    ------
    HarnessError
        There is none.
    """
    assert spec.parent  # noqa: S101  of a spec that needs one
    run = tracking.find(spec.parent)
    if run is None:
        raise HarnessError(
            f"{spec.name}: needs the network of {spec.parent.name}, which has no finished run; "
            f"give harness run {spec.parent.row} --seed {spec.seed} first"
        )
    return run


def labels_of(spec: Spec, dataset: DataSet, states: Path, say: Callable[..., None]) -> LabelSource:
    """The source of a spec's labels, with label images in the place of `network:ROW`.

    Parameters
    ----------
    spec : harness.experiment.spec.Spec
    dataset : harness.datasets.DataSet
    states : Path
        Folder of the states of trainings.
    say : callable
        Takes a line about the progress, `passing=True` where the next one replaces it.

    Raises
    ------
    HarnessError
        The network that makes the labels has no finished run.
    """
    if not spec.parent:
        return spec.source
    folder = (states / f"labels-{spec.parent.nuclei_hash()}").resolve()
    if not _whole(folder, dataset, say):
        with _appearing(folder) as new:
            _predict(parents_run(spec), dataset, new, say)
            (new / DIGEST).write_text(Folder(str(new)).digest(dataset))
    return source_of(f"folder:{folder}", {}, spec.refine)


def _whole(folder: Path, dataset: DataSet, say: Callable[..., None]) -> bool:
    """Whether the label images are there; where they are not what they were, they are taken away."""
    if not folder.exists():
        return False
    kept = folder / DIGEST
    if kept.exists() and kept.read_text() == Folder(str(folder)).digest(dataset):
        return True
    say(f"{folder}: the label images are not those that were written; they are made again")
    shutil.rmtree(folder)
    return False


@contextmanager
def _appearing(folder: Path):
    """A new folder to write into, which takes its place when all is written; where another process was first, theirs stays."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        new = Path(beside) / "new"
        new.mkdir()
        yield new
        try:
            new.rename(folder)
        except OSError:
            if not folder.exists():
                raise


def _predict(run: tracking.Run, dataset: DataSet, folder: Path, say: Callable[..., None]) -> None:
    from harness.network.inference import predict_field

    network = tracking.load_network(run.run_id)
    names = [name for split in LEARNED_FROM for name in dataset.splits[split]]
    for number, name in enumerate(names, start=1):
        _, classes = predict_field(network, dataset.read_image(name))
        write_label_image(folder / f"{name}.png", nuclei_from_class_map(classes))
        say(f"{run.row}: nuclei of field {number}/{len(names)}", passing=True)
