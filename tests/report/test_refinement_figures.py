"""Pictures of what refining does and of generations: which rows belong together, and what is drawn of them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from harness.experiment.registry import _packaged, load_registry
from harness.experiment.results import RowResults
from harness.report.figures import refinement, style

BOOK = load_registry(_packaged("label-free.toml"))


def content_of(rows, **more):
    results = {name: RowResults(name, row, ["a run"], []) for name, row in rows.items()}
    titles = {name: row.title for name, row in rows.items()}
    return SimpleNamespace(results=results, done=list(results.values()), titles=titles, **more)


def rows_like(*changes):
    """Rows of the registry and some more, of which each is one of them with changes: (name, of, changes)."""
    more = {name: BOOK.rows[of].model_copy(update={"title": name} | changed) for name, of, changed in changes}
    return BOOK.rows | more


def test_a_row_that_refines_stands_beside_the_one_that_does_not():
    after = ("after", "network-half-contrast", {"refine_prediction": ["half-contrast"]})
    linear = ("linear", "network-half-contrast", {"loss": "dice"})
    same = ("same", "network-manual", {})
    found = [(pair.plain.name, pair.refined.name) for pair in refinement.pairs(content_of(rows_like(after, linear, same)))]
    assert {
        ("classical-shape-intensity", "classical-half-contrast"),
        ("network-shape-intensity", "network-shape-intensity-refined-after"),
        ("network-shape-intensity", "network-half-contrast"),
        ("network-shape-intensity", "network-half-contrast-ignore"),
        ("network-half-contrast", "after"),
    } <= set(found)
    assert len(set(found)) == len(found) and not {"linear", "same", "network-second-generation"} & {each for _, each in found}


def test_a_chain_begins_with_labels_where_there_is_a_row_of_them():
    last = "network-second-generation"
    first, linear = BOOK.rows[last].teacher, [BOOK.rows[last].teacher, f"{last}-linear"]
    assert refinement.chains(content_of(BOOK.rows)) == [[first, last], linear]
    third = ("third", last, {"labels": f"network:{last}"})
    other = ("other", last, {"labels": "network:network-half-contrast"})
    labels = ["classical-half-contrast", "network-half-contrast", "other"]
    assert refinement.chains(content_of(rows_like(third, other))) == [linear, [first, last, "third"], labels]
    alone = {name: row for name, row in BOOK.rows.items() if name != first}
    assert refinement.chains(content_of(alone)) == []


@pytest.fixture
def discs(monkeypatch):
    """Two fields with one nucleus each; refining moves the outline of the second by 3 px."""
    y, x = np.mgrid[:200, :240]
    stored = {
        (row, name): ((y - 60) ** 2 + (x - 180) ** 2 <= radius**2).astype(np.int32)
        for row, radii in (("classical-shape-intensity", (15, 18)), ("classical-half-contrast", (15, 15)))
        for name, radius in zip("ab", radii, strict=True)
    }
    monkeypatch.setattr(refinement, "_stored", lambda result, name: stored[result.name, name])
    image = 100 + 900 * stored["classical-half-contrast", "a"]
    dataset = SimpleNamespace(splits={"test": ("b", "a")}, read_image=lambda _: image, annotation=lambda _: image // 1000)
    return content_of(BOOK.rows, dataset=dataset)


def test_outlines_are_drawn_where_they_differ_and_the_quietest_field_is_shown_first(discs):
    shown = refinement.crops(refinement.pairs(discs)[0], discs)
    assert [crop.name for crop in shown] == ["a", "b"]
    assert shown[1].picture.shape == (refinement.SIDE, refinement.SIDE)
    changed = shown[1].labels["as they were"] != shown[1].labels["refined"]
    assert changed.sum() == pytest.approx(np.pi * (18**2 - 15**2), rel=0.05)  # all of the ring is in the window
    canvas = FigureCanvasAgg(refinement.outlines(shown))
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    for colour in (style.VERMILION, style.BLUE):
        assert (np.abs(pixels - style.rgb(colour)).max(axis=-1) < 0.05).sum() > 50


def test_a_dot_is_a_field_before_and_after(discs):
    pair = refinement.pairs(discs)[0]
    lines = [
        (pair.plain.name, "a", 0.5),
        (pair.plain.name, "b", 0.7),
        (pair.refined.name, "b", 0.1),
        (pair.refined.name, "a", 0.0),
    ]
    discs.per_field = pd.DataFrame(lines, columns=["row", "field", "outline_offset"])
    (axis,) = refinement.offsets([pair], discs).axes
    assert axis.collections[0].get_offsets().tolist() == [[0.5, 0.0], [0.7, 0.1]]


def test_generations_are_numbered_and_what_learned_from_the_annotation_is_a_line():
    logarithm = {name: row for name, row in BOOK.rows.items() if row.loss != "dice"}
    other = BOOK.rows["network-second-generation"].model_copy(update={"labels": "network:network-half-contrast"})
    content = content_of(logarithm | {"other": other})
    boot = {(row, metric): np.array([0.5, 0.4, 0.6]) for row in content.results for metric in refinement.SHOWN[:3]}
    content.boot = boot | {("network-manual", "dice_nuclei"): np.array([0.9, 0.8, 1.0])}
    figure = refinement.generations(refinement.chains(content), content)
    dice, *_, f1 = figure.axes
    assert [label.get_text() for label in dice.get_xticklabels()] == ["labels", "1", "2"]
    assert [0.9, 0.9] in [list(line.get_ydata()) for line in dice.lines]
    assert sum(line.get_linestyle() == "--" for line in dice.lines) == 1  # none of the same network's refined prediction
    assert [list(line.get_xdata()) for line in dice.lines if line.get_marker() in style.MARKERS[:2]] == [[1, 2], [0, 1, 2]]
    assert not f1.containers  # nothing is known of it
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        content.titles[row] for row in ("network-second-generation", "other", "network-manual")
    ]
