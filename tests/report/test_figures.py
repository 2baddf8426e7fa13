import io

import numpy as np
import pytest
from matplotlib.image import imread

from harness.report.figures import fields, paper, style
from harness.report.figures.architecture import architecture, sizes
from harness.scoring.mismatches import KINDS


def drawn(figure):
    """A figure as (H, W, 4) pixels."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    file.seek(0)
    return imread(file)


def near(pixels, colour):
    """Number of pixels of a colour."""
    return int((np.abs(pixels[..., :3] - style.rgb(colour)).max(axis=-1) < 0.02).sum())


@pytest.fixture
def disc():
    y, x = np.mgrid[:96, :128]
    return ((y - 48) ** 2 + (x - 64) ** 2 < 300).astype(np.int32)


def test_missed_and_extra_nuclei_have_their_colours(disc):
    image = 100.0 + 50 * disc
    none = np.zeros_like(disc)
    tinted = fields._overlay(image, disc, none, {"missed": [1], "extra": [], "merged": [], "split": []})
    plain = fields._overlay(image, disc, none, {key: [] for key in KINDS})
    changed = (tinted != plain).any(axis=-1)
    assert changed.any() and (disc[changed] == 1).all()
    assert np.corrcoef(tinted[48, 64] - plain[48, 64], style.rgb(style.VERMILION))[0, 1] > 0.9


def test_fields_are_drawn_with_their_window(disc):
    figure = fields.fields_with_errors([fields.Example("best: 0.500", "a" * 30, 100.0 + 50 * disc, disc, np.zeros_like(disc))])
    whole, detail = figure.axes
    assert whole.get_title() == f"best: 0.500, field {'a' * 20}…\n1 missed, 0 extra, 0 merged, 0 split"
    (frame,) = whole.patches
    assert disc[int(frame.get_y()) :, int(frame.get_x()) :][: int(frame.get_height()), : int(frame.get_width())].any()
    assert detail.images[0].get_array().shape == (96, 128, 3)
    assert drawn(figure).shape[2] == 4


def test_the_window_is_where_the_errors_are():
    mask = np.zeros((100, 120), bool)
    mask[80:90, 100:110] = True
    rows, columns = fields.densest(mask)
    assert mask[rows, columns].sum() == mask.sum()
    assert (rows.stop - rows.start, columns.stop - columns.start) == (25, 30)


def test_postprocessing_has_four_panels_and_all_classes():
    classes = np.zeros((512, 512), np.uint8)
    classes[100:200, 100:200], classes[100:200, 148:152], classes[300:400, :60] = 1, 2, 1  # the last one at the edge
    figure = paper.postprocessing(np.random.default_rng(0).normal(500, 20, (512, 512)), classes)
    assert [axis.get_title("left")[0] for axis in figure.axes] == list("1234")
    pixels = drawn(figure)
    assert all(near(pixels, colour) > 20 for colour in (style.SKY, style.VERMILION, style.BLACK))
    lines, nuclei = (figure.axes[at].images[0].get_array() for at in (2, 3))
    assert (lines[150, 149:151] == 0).all()  # the skeleton, dilated, runs where the separation was
    assert (nuclei[300:400, :60] == 1).all() and not (nuclei[120:180, 110:140] == 1).all(axis=-1).any()


def test_the_raw_input_is_shown_from_black_to_white():
    image = np.arange(64, dtype=np.uint16).reshape(8, 8) + 500
    shown = paper.raw_input(image).axes[0].images[0]
    assert shown.get_clim() == (500, 563) and shown.get_cmap().name == "gray"


def test_a_title_with_a_dollar_sign_is_drawn():
    panels = {"input": np.zeros((4, 4)), r"costs $5 and \frac$": np.zeros((4, 4), np.uint8)}
    assert drawn(paper.label_sources(panels)).shape[2] == 4


@pytest.mark.parametrize("image", [np.zeros((64, 64), np.uint16), np.full((64, 64), 4095, np.uint16)])
def test_constant_images_are_drawn(image):
    assert np.isfinite(style.printed(image)).all()


def test_colours_differ_in_lightness_for_print():
    lightness = sorted(style.rgb(colour) @ [0.2126, 0.7152, 0.0722] for colour in fields.ERROR_COLOURS.values())
    assert min(np.diff(lightness)) > 0.04


def test_architecture_has_the_sizes_of_the_network(backend):
    from harness.network.unet import unet

    layers = {layer.name: layer.output.shape[1:] for layer in unet(4, 6, size=64).layers}
    for level, (side, down, up) in enumerate(sizes(4, 6, 64)):
        names = (f"down{level}", f"merge{level}") if level < 4 else ("bottom", "bottom")
        assert layers[names[0] + "b"] == (side, side, down) and layers[names[1] + "b"] == (side, side, up)
    assert layers["skip0"][-1] == 2 * 4
    numbers = [text.get_text() for text in architecture(4, 6).axes[0].texts]
    assert numbers.count("6") == 2 and "64" in numbers and "512²" in numbers
