"""A trained network as a package of the BioImage Model Zoo, bioimage.io."""

import hashlib
import io
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from harness import __version__
from harness.core.extras import need
from harness.core.files import whole
from harness.method.tiles import SIZE, normalise

if TYPE_CHECKING:
    import keras

FORMAT = "0.5.12"  # of the model description
EPS = 1e-12  # the harness adds nothing to the deviation; the description asks for more than 0
CLASSES = ["background", "nucleus", "separation"]

README = """# {name}

A U-Net that tells background, nuclei and separations of touching nuclei apart in fluorescence images, trained by
nuclei-label-harness {version} (Matuszewski & Ranefall 2021, "Learning Cell Nuclei Segmentation Using Labels Generated with
Classical Image Analysis Methods").

{about}

## Input

One grey tile of {size}x{size} px. The network is used with tiles normalised each by its own
mean and standard deviation; a field is covered by the fewest evenly spaced tiles, one that is smaller is padded by
reflection. A program that normalises a whole image, or cuts it otherwise, gets other probabilities.

## Output, and what is left to do

Probabilities of the three classes for each pixel; no nuclei yet. The harness makes them so, and no step of bioimage.io
describes it:

1. blend overlapping tiles, weighted by the distance to the tile's rim, and take the most probable class of a pixel;
2. dilate the separations by 3x3, merge them with the background, and thin the result to its skeleton;
3. take the skeleton, dilated by 3x3, out of the pixels of class nucleus;
4. number the 4-connected components.

`harness segment` and `harness.method.postprocess.nuclei_from_class_map` do this.

## Validation

The run named above holds its scores on annotated test fields, if there are any. On images of another kind, score it with
`harness score` or Dice and F1 over IoU on annotated images of that kind before it is relied on.

## Before it is uploaded

Authors and licence are left out: they are those of whoever trained the network, and of the data.
"""


def write(path: Path, network: "keras.Model", tile: np.ndarray, name: str, about: dict[str, str]) -> None:
    """Write a network as a package that bioimage.io's programs test, run and upload.

    It holds the network in Keras' own format, its description (`rdf.yaml`), a text about it, and a tile with the
    probabilities that belong to it, by which `bioimageio test` judges.

    Parameters
    ----------
    path : Path
        `.zip`, written whole or not at all.
    network : keras.Model
        From (N, S, S, 1) normalised tiles to (N, S, S, 3) class probabilities.
    tile : (S, S) ndarray
        Intensities as stored, in the size that the network takes and the package asks for.
    name : str
        Of the network: letters, digits, `_`, `-`, spaces.
    about : dict of str to str
        What it was trained on and by, for the text.

    Raises
    ------
    HarnessError
        A package is missing, or the file cannot be written.

    References
    ----------
    https://github.com/bioimage-io/spec-bioimage-io
    """
    need("a bioimage.io package", "yaml")
    import yaml

    files = {"network.keras": _saved(network), "README.md": _text(name, about).encode()}
    y_pred = np.asarray(network.predict_on_batch(normalise(tile)[None, ..., None]))  # (1, S, S, 3)
    files |= {"test_input.npy": _npy(tile.astype(np.float32)[None, ..., None]), "test_output.npy": _npy(y_pred)}
    described = yaml.safe_dump(
        _description(name, len(tile), {each: _hashed(each, files[each]) for each in files}), sort_keys=False
    )
    with whole(path) as partial, ZipFile(partial, "w", ZIP_DEFLATED) as archive:
        for each, content in {"rdf.yaml": described.encode(), **files}.items():
            archive.writestr(each, content)


def _saved(network: "keras.Model") -> bytes:
    with TemporaryDirectory() as folder:
        network.save(Path(folder) / "network.keras")
        return (Path(folder) / "network.keras").read_bytes()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _hashed(source: str, content: bytes) -> dict[str, str]:
    return {"source": source, "sha256": hashlib.sha256(content).hexdigest()}


def _text(name: str, about: dict[str, str]) -> str:
    listed = "\n".join(f"- {key}: {value}" for key, value in about.items())
    return README.format(name=name, version=__version__, about=listed, size=SIZE)


def _description(name: str, size: int, files: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {
        "format_version": FORMAT,
        "type": "model",
        "name": name,
        "description": "U-Net for nuclei in fluorescence images: background, nucleus, separation of touching nuclei",
        "documentation": files["README.md"],
        "tags": ["nuclei", "fluorescence-light-microscopy", "segmentation", "unet", "2d", "keras"],
        "inputs": [_input(size, files["test_input.npy"])],
        "outputs": [_output(files["test_output.npy"])],
        "weights": {
            "keras_v3": {
                **files["network.keras"],
                "keras_version": version("keras"),
                "backend": ["tensorflow", version("tensorflow")],
            }
        },
    }


def _input(size: int, test: dict[str, str]) -> dict[str, Any]:
    return {
        "id": "tile",
        "axes": [
            {"type": "batch"},
            {"type": "space", "id": "y", "size": size},
            {"type": "space", "id": "x", "size": size},
            {"type": "channel", "channel_names": ["nuclei"]},
        ],
        "data": {"type": "float32"},
        "preprocessing": [{"id": "zero_mean_unit_variance", "kwargs": {"axes": ["y", "x", "channel"], "eps": EPS}}],
        "test_tensor": test,
    }


def _output(test: dict[str, str]) -> dict[str, Any]:
    same = {axis: {"tensor_id": "tile", "axis_id": axis} for axis in "yx"}
    return {
        "id": "probabilities",
        "axes": [
            {"type": "batch"},
            {"type": "space", "id": "y", "size": same["y"]},
            {"type": "space", "id": "x", "size": same["x"]},
            {"type": "channel", "channel_names": CLASSES},
        ],
        "data": {"type": "float32", "range": [0.0, 1.0]},
        "test_tensor": test,
    }
