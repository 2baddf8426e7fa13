"""The pictures of a report."""

from pathlib import Path

from harness.core.markdown import escape
from harness.experiment.registry import CONTROL
from harness.experiment.results import RowResults, read_all
from harness.report.content import Content
from harness.report.figures import fields, noise, paper, placed, refinement, scores
from harness.report.figures.architecture import architecture
from harness.report.figures.style import Picture, save
from harness.report.noise import is_spoilt, of_masks
from harness.scoring.names import METRICS

__all__ = ["Picture", "draw_all"]

FIELDS_DPI = 80  # noise hardly compresses: at 120 the fields of seven rows took 6 MB


def draw_all(content: Content, folder: Path) -> list[Picture]:
    """Draw every picture of a report into a folder; in the order of the report."""
    if not content.done:
        return []
    drawn = [
        save(
            scores.score_dots(content),
            folder / "scores.png",
            "Scores of every test field",
            "A dot per field (mean over seeds); the bar is the table's value with its 95 % interval.",
        )
    ]
    if len(content.quality):
        drawn.append(
            save(
                scores.iou_curves(content),
                folder / "iou.png",
                "F1 over IoU",
                "Pooled over the test set, mean over seeds; networks solid, classical rows dashed.",
            )
        )
    if placed.references(content):
        drawn.append(
            save(
                placed.placed(content),
                folder / "placed.png",
                "Rows between controls and ceiling",
                "A dot per row with its 95 % interval; lines: the annotation spoilt in a known way, and a second annotation.",
            )
        )
    drawn += _of_noise(content, folder)
    drawn += _of_the_paper(content, folder)
    drawn += _of_refinements(content, folder)
    history = read_all(content.results, "history.csv")
    if len(history):
        drawn.append(
            save(
                scores.learning_curves(history, content.titles),
                folder / "learning-curves.png",
                "Learning curves",
                "Loss of training and validation by epoch; the ring marks the epoch that was kept.",
            )
        )
    for result in content.done if content.dataset.at_hand else ():
        drawn += [] if result.row.method == CONTROL or is_spoilt(result.row) else _of_row(result, content, folder)
    return drawn


def _of_noise(content, folder):
    """Where rows learn from labels that were made worse on purpose."""
    masked = of_masks(content.noise)
    if masked.empty:
        return []
    panels = {METRICS[metric].plain: lines for metric, lines in masked.groupby("metric", sort=False)}
    return [
        save(
            noise.doses(panels),
            folder / "noise.png",
            "What wrong labels cost, kept and ignored",
            "Difference from the row without noise, with 95 % intervals, by the level of each kind of noise.",
        )
    ]


def _of_the_paper(content, folder):
    """The paper's Fig. 1 and 2, and what there is to learn from; its Fig. 3 stands with each network row."""
    if not content.dataset.at_hand:
        return _networks(content, folder)
    name = paper.most_separated(content.dataset)
    return [_input(content, name, folder), *_networks(content, folder), *_labels(content, name, folder)]


def _input(content, name, folder):
    about = f"Test field {escape(fields.short(name))}, its intensities from black to white."
    image = content.dataset.read_image(name)
    return save(paper.raw_input(image), folder / "input.png", "Raw input image (the paper's Fig. 1)", about)


def _networks(content, folder):
    drawn = []
    networks = [result for result in content.done if result.row.method == "network"]
    for base, last in dict.fromkeys(_widths(result, content.registry) for result in networks):
        drawn.append(
            save(
                architecture(base, last, content.tile),
                folder / f"network-{base}-{last}.png",
                f"The U-Net, base {base}, last {last} (the paper's Fig. 2)",
                "Filters above the boxes, side of the feature maps in px below.",
            )
        )
    return drawn


def _labels(content, name, folder):
    panels = paper.label_panels([result for result in content.done if result.row.method == "classical"], content.dataset, name)
    if len(panels) <= 2:
        return []
    return [
        save(
            paper.label_sources(panels),
            folder / "labels.png",
            "What there is to learn from",
            "A window of the same field: manual labels and those of each classical row, as class maps.",
        )
    ]


def _of_refinements(content: Content, folder: Path) -> list[Picture]:
    """Where rows refine something, and where networks learn from networks."""
    drawn, pairs, chains = [], refinement.pairs(content), refinement.chains(content)
    crops = refinement.crops(pairs[0], content) if pairs and content.dataset.at_hand else []
    if crops:
        plain, refined = (escape(result.row.title) for result in pairs[0])
        drawn.append(
            save(
                refinement.outlines(crops),
                folder / "outlines.png",
                "Outlines before and after refining",
                f"{plain} and {refined}: the windows where their outlines differ most, of the test fields that change "
                "least, a middling share and most.",
            )
        )
    offsets = [pair for pair in pairs if all((result.name, "outline_offset") in content.boot for result in pair)]
    if offsets:
        drawn.append(
            save(
                refinement.offsets(offsets, content),
                folder / "offsets.png",
                "Outline offset of every test field, before and after refining",
                "A dot per field (mean over seeds); on the horizontal line an outline lies where the annotated one does.",
            )
        )
    if chains:
        drawn.append(
            save(
                refinement.generations(chains, content),
                folder / "generations.png",
                "Learning over generations",
                "Each network learned from the nuclei of the one before; bars are 95 % intervals, the dashed line is the row "
                "that learned from the annotation.",
            )
        )
    return drawn


def _widths(result, registry):
    network = result.row.network or registry.network
    return network.base, network.last


def _of_row(result: RowResults, content: Content, folder: Path) -> list[Picture]:
    drawn, title = [], result.row.title
    examples = fields.examples(result, content)
    if examples:
        drawn.append(
            save(
                fields.fields_with_errors(examples),
                folder / f"fields-{result.name}.png",
                f"{title}: best, median and worst field",
                "By the field's Jaccard index under `equal`; errors as that protocol counts them.",
                FIELDS_DPI,
            )
        )
    found = paper.tile_to_show(result, content.dataset) if result.row.method == "network" else None
    if found:
        drawn.append(
            save(
                paper.postprocessing(*found),
                folder / f"postprocessing-{result.name}.png",
                f"{title}: post-processing (the paper's Fig. 3)",
                "The test tile with most separations: from the class map to nuclei, those at the edge removed.",
            )
        )
    return drawn
