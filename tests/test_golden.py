"""The output of each stage on one synthetic field, beside its version: neither moves without the other.

Where a test fails and the output was to change: raise the stage's number in `harness/experiment/stages.py` and renew both
here. What decides the trained weights has its own in tests/network, what is scored in tests/scoring.
"""

import hashlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from imageio.v3 import imwrite
from oracles import stitch

from harness.core.label_images import renumber
from harness.datasets import Field, image_files, open_dataset, read_image, read_nuclei
from harness.datasets.synthetic import synthetic_field
from harness.experiment.stages import VERSIONS
from harness.method import tiles
from harness.method.classmap import class_map, training_map
from harness.method.postprocess import nuclei_from_class_map
from harness.network import inference
from harness.scoring.doubt import doubt, measure, missing
from harness.sources import Folder, open_source
from harness.sources.controls import CONTROLS
from harness.sources.noise import NOISE
from harness.sources.refinements import REFINEMENTS

FIELD = synthetic_field(2021, 0)
IMAGE, NUCLEI = FIELD[0][150:310, 200:392], renumber(FIELD[1][150:310, 200:392])  # 19, of which several touch


def datasets(folder):
    """Images of each kind, nuclei in each form, and who is drawn for which split."""
    for part in ("images", "masks", "forms/single"):
        (folder / part).mkdir(parents=True)
    tifffile.imwrite(folder / "forms" / "a.tif", IMAGE)
    imwrite(folder / "forms" / "b.png", np.repeat((IMAGE >> 4).astype(np.uint8)[..., None], 3, axis=2))
    yield from map(read_image, image_files(folder / "forms"))
    imwrite(folder / "forms" / "labels.png", (NUCLEI * 9).astype(np.uint16))
    imwrite(folder / "forms" / "red.png", np.stack([NUCLEI * 13, NUCLEI * 0, NUCLEI * 0], axis=2).astype(np.uint8))
    for id_ in (3, 1, 2):
        imwrite(folder / "forms" / "single" / f"{id_}.png", np.isin(NUCLEI, [id_, id_ + 1]).astype(np.uint8) * 255)
    yield from (read_nuclei(folder / "forms" / name) for name in ("labels.png", "red.png", "single"))
    for name in "abcdefghijkl":
        tifffile.imwrite(folder / "images" / f"{name}.tif", IMAGE[:2, :2])
        if name < "h":
            imwrite(folder / "masks" / f"{name}.png", NUCLEI[:2, :2].astype(np.uint8))
    yield np.array([" ".join(fields) for fields in open_dataset(str(folder)).splits.values()])


def classical(folder):
    """Label images of all configurations at the settings of both versions and at others, and what the agreement ignores."""
    from harness.sources.classical import Settings
    from harness.sources.classical.agreement import consensus
    from harness.sources.classical.primary_objects import identify_all

    other = Settings(version="4", log_transform=True, min_diameter=14, fill_holes="never", discard_border=True)
    for settings in (Settings(), Settings(version="4"), other):
        yield from identify_all(FIELD[0], settings=settings).values()
    yield from consensus(FIELD[0])


def refinements(folder):
    """Each step by itself after the plain labels."""
    field = Field("a", lambda _: FIELD[0], lambda _: None)
    for step in REFINEMENTS:  # a new one at their end changes the digest alone, not what finished runs were made by
        yield from open_source("cellprofiler:shape/intensity", {}, [step.name]).label(field)


def noise(folder):
    """Each step by itself after the annotation, with the mask that takes innocent nuclei as well."""
    field = Field("a", lambda _: IMAGE, lambda _: NUCLEI)
    for step in NOISE:
        settings = {"share": 0.4, "seed": 7, "mask": 2}
        yield from open_source("manual", {}, [{"step": step.name, **settings}]).label(field)


def folder(folder):
    """A label image with gaps between its ids, and what it says nothing about."""
    tifffile.imwrite(folder / "a_cp_masks.tif", (NUCLEI * 9).astype(np.uint16))
    tifffile.imwrite(folder / "a_ignore.tif", (NUCLEI == 2).astype(np.uint8))
    yield from Folder(str(folder)).label(Field("a", lambda _: IMAGE, lambda _: None))


def classmap(folder):
    """The class map, and that of a training which leaves a nucleus out."""
    yield class_map(NUCLEI)
    yield training_map(NUCLEI, NUCLEI == 2)


def method_tiles(folder):
    """Tiles as they are cut, normalised and put together."""
    cut = tiles.cut(IMAGE, 96)
    yield cut
    yield np.stack([tiles.normalise(tile) for tile in cut]).round(1)  # float bits differ between machines
    yield stitch(cut[..., None] * np.arange(1, len(cut) + 1)[:, None, None, None], IMAGE.shape).round()
    yield tiles.cut(IMAGE[:50, :70], 96)


def network_inference(folder):
    """Class maps of tiles and field by a network that tells three levels of brightness apart; bits of Keras are not in it."""

    def levels(batch):
        return 1 / (1 + (batch - np.array([-0.6, 0.4, 1.2], np.float32)) ** 2)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(inference, "tiles_at_once", lambda: 3)
        yield from inference.predict_field(SimpleNamespace(predict_on_batch=levels), IMAGE, 96)


def windows(folder):
    """Class map and probability of a field seen through several windows, by a network that tells levels apart."""

    def levels(batch):
        return 1 / (1 + (batch - np.array([-0.6, 0.4, 1.2], np.float32)) ** 2)

    for largest in (2**20, 130**2):
        seen = inference.predict_windows(SimpleNamespace(predict_on_batch=levels), FIELD[0][:, :340], largest=largest)
        yield from (seen.classes, seen.nucleus.astype(float).round(1))


def postprocess(folder):
    """The nuclei of a class map, and those of one that nothing separates well."""
    yield nuclei_from_class_map(class_map(NUCLEI))
    yield nuclei_from_class_map(1 * (IMAGE > 330) + (IMAGE > 600))


def nuclei_in_doubt(folder):
    """What is measured of nuclei, how doubtful they are, and which are missing."""
    others = [np.roll(NUCLEI, 1, axis=0), NUCLEI * (NUCLEI % 5 > 0)]
    measured = [measured.assign(doubt=doubt(measured)) for measured in (measure(each, [NUCLEI], IMAGE) for each in others)]
    table = measure(NUCLEI, others, IMAGE)
    yield table.assign(doubt=doubt(table)).to_numpy().round(2)
    yield missing(others[1], others[:1], measured[:1]).to_numpy().round(2)


def controls(folder):
    """The annotation in every way in which it is spoilt."""
    field = Field("field", lambda _: IMAGE, lambda _: NUCLEI)
    for change in CONTROLS:
        yield open_source(f"control:{change}").label(field)[0]


STAGES = {
    "datasets": (datasets, 1, "266b7b55240380df"),
    "classical": (classical, 1, "aed427048d3dbef0"),
    "refinements": (refinements, 3, "8ccc19b623098ade"),
    "noise": (noise, 1, "c76772a04e445216"),
    "controls": (controls, 1, "2a49ff386c2ff0ca"),
    "folder": (folder, 1, "05b4710739750890"),
    "classmap": (classmap, 1, "1284b83c80fdba1d"),
    "tiles": (method_tiles, 1, "cfefb9acf4c9b74e"),
    "windows": (windows, 1, "71dc6d8446e245da"),
    "network.inference": (network_inference, 1, "7cc317e503344e23"),
    "doubt": (nuclei_in_doubt, 1, "0a0843fd723a6750"),
    "postprocess": (postprocess, 1, "020a18f60e82601e"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_output_of_a_stage_moves_with_its_version_alone(stage, tmp_path):
    output, version, digest = STAGES[stage]
    found = hashlib.sha256()
    for array in output(tmp_path):
        found.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    assert (VERSIONS[stage], found.hexdigest()[:16]) == (version, digest)


def test_every_stage_has_a_golden_output():
    """Here, or beside the tests of what is trained and what is scored."""
    files = [file.read_text() for room in ("network", "scoring") for file in (Path(__file__).parent / room).glob("test_*.py")]
    golden = "".join(text for text in files if "VERSIONS[" in text)
    assert [stage for stage in VERSIONS if stage not in STAGES and f'"{stage}"' not in golden] == []
