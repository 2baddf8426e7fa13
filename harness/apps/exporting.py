"""What there is already, in files of other programs: stored predictions, label images, networks."""

from pathlib import Path

import numpy as np

from harness import exports
from harness.apps.jobs import images_in
from harness.core.errors import HarnessError
from harness.core.label_images import check_labels
from harness.datasets import field_name, read_image
from harness.sources.folder import IGNORE


def export_label_images(labels: Path, out: Path, formats: tuple[str, ...]) -> int:
    """Write the label images of a folder in some formats, `OUT/<name>` and the format's ending; ids stay as they are.

    Parameters
    ----------
    labels, out : path-like
        See `harness.apps.jobs.images_in`; ignore masks are no label images.
    formats : tuple of str
        Of `harness.exports`.

    Returns
    -------
    int
        How many label images.

    Raises
    ------
    HarnessError
        One is an image of a data set, is no label image or cannot be written; or see `harness.exports.check`.
    """
    chosen = exports.check(formats)
    if not chosen:
        raise HarnessError(f"nothing says what to export as; give --format {', --format '.join(exports.FORMATS)}")
    files = {name: file for name, file in images_in(labels, out).items() if not field_name(name).endswith(IGNORE)}
    grey = next((file for file in files.values() if file.parent.name == "images" and (file.parents[1] / "masks").is_dir()), None)
    if grey:
        raise HarnessError(f"{grey}: is the image of the masks beside it; give the folder of masks, {grey.parents[1] / 'masks'}")
    for name, file in files.items():
        exports.write(Path(out) / field_name(name), _labels(file), chosen)
    return len(files)


def _labels(file: Path) -> np.ndarray:
    try:
        return check_labels(read_image(file))
    except HarnessError as error:
        raise HarnessError(str(error) if str(file) in str(error) else f"{file}: {error}") from error


def export_predictions(run_id: str, out: Path, formats: tuple[str, ...]) -> int:
    """Write what a run of the connected store predicted for the test fields; see `export_label_images`.

    Raises
    ------
    HarnessError
        There is no such run, or it holds no predictions.
    """
    from harness.experiment import tracking

    run = tracking.known(run_id)
    stored = run and tracking.artifact(run, "predictions")
    kinds = [stored / kind for kind in ("labels", "nuclei") if stored and (stored / kind).is_dir()]
    if not kinds:
        raise HarnessError(
            f"{run_id}: neither a folder of label images nor a run with predictions in {tracking.uri()}; "
            "give one, or models:/NAME/VERSION"
        )
    return export_label_images(kinds[0], out, formats)


def export_network(uri: str, out: Path) -> None:
    """Write a network of the connected store as a bioimage.io package; see `harness.exports.bioimageio`.

    Parameters
    ----------
    uri : str
        As `harness.experiment.tracking.load_network` takes it.
    out : path-like
        `.zip`.

    Raises
    ------
    HarnessError
        There is no such network, or the package cannot be written.
    """
    from harness.datasets.synthetic import SEED, synthetic_field
    from harness.experiment import tracking
    from harness.exports import bioimageio
    from harness.method import tiles
    from harness.network.start import load_backend

    if Path(out).suffix != ".zip":
        raise HarnessError(f"{out}: a network is written as a package; give a name that ends in .zip")
    load_backend()
    network = tracking.load_network(uri)
    from harness.network.inference import side_of  # imports Keras, which `load_backend` keeps quiet

    tile = tiles.cut(synthetic_field(SEED, 0)[0], side_of(network))[0]
    bioimageio.write(Path(out), network, tile, *tracking.about_network(uri))
