"""The pictures of a report, drawn with matplotlib's object interface: no screen, no global state."""

import shutil

import numpy as np
from imageio.v3 import imread
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from scipy.ndimage import binary_dilation, uniform_filter
from skimage.segmentation import find_boundaries

from harness.experiment import tracking
from harness.experiment.results import METRICS, read_all
from harness.method.classmap import NUCLEUS, SEPARATION, class_map
from harness.method.postprocess import postprocessing_steps
from harness.report.architecture import architecture
from harness.report.statistics import interval
from harness.scoring.mismatches import KINDS, classify

# Okabe & Ito's colours: told apart with every kind of colour vision, and of different lightness in print.
ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE, BLACK = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#000000",
)
PALETTE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = "os^vDPX"
ERROR_COLOURS = {"missed": VERMILION, "extra": SKY, "merged": YELLOW, "split": PURPLE}
METRIC_TITLES = {
    "dice_nuclei": "Dice, nuclei",
    "dice_separations": "Dice, separations",
    "jaccard": "Jaccard, protocol paper",
    "jaccard_equal": "Jaccard, protocol equal",
}
DPI = 120
FIELDS_DPI = 80  # noise hardly compresses: at 120 the fields of seven rows took 6 MB


def draw_all(content, dataset, folder):
    """Draw every picture of a report.

    Parameters
    ----------
    content : dict
        See `harness.report.gather`.
    dataset : harness.datasets.DataSet
    folder : Path

    Returns
    -------
    list of (str, str, str)
        File name, title and one line about it, in the order of the report.
    """
    done = [result for result in content["results"].values() if result.runs]
    if not done:
        return []
    drawn = [
        _save(
            score_dots(content),
            folder / "scores.png",
            "Scores of every test field",
            "A dot per field (mean over seeds); the bar is the table's value with its 95 % interval.",
        )
    ]
    if len(content["quality"]):
        drawn.append(
            _save(
                iou_curves(content["quality"], content["results"]),
                folder / "iou.png",
                "F1 over IoU",
                "Pooled over the test set, mean over seeds; networks solid, classical rows dashed.",
            )
        )
    drawn += _paper_figures(done, content, dataset, folder)
    history = read_all(content["results"], "history.csv")
    if len(history):
        drawn.append(
            _save(
                learning_curves(history, content["titles"]),
                folder / "learning-curves.png",
                "Learning curves",
                "Loss of training and validation by epoch; the ring marks the epoch that was kept.",
            )
        )
    for result in done:
        drawn += _row_pictures(result, content, dataset, folder)
    return drawn


def _paper_figures(done, content, dataset, folder):
    """The paper's Fig. 1 and 2; its Fig. 3 stands with each network row."""
    drawn, given = [], [result for result in done if result.row.method == "classical"]
    panels = label_panels(given, dataset)
    if len(panels) > 2:
        drawn.append(
            _save(
                label_sources(panels),
                folder / "labels.png",
                "What there is to learn from",
                "A window of one test field: manual labels and those of each classical row, as class maps.",
            )
        )
    networks = [result for result in done if result.row.method == "network"]
    for base, last in dict.fromkeys(_widths(result, content["registry"]) for result in networks):
        drawn.append(
            _save(
                architecture(base, last),
                folder / f"network-{base}-{last}.png",
                f"The U-Net, base {base}, last {last}",
                "Filters above the boxes, side of the feature maps in px below.",
            )
        )
    return drawn


def _widths(result, registry):
    network = result.row.network or registry.network
    return network.base, network.last


def _row_pictures(result, content, dataset, folder):
    drawn = []
    examples = _examples(result, content["field_scores"], dataset)
    if examples:
        drawn.append(
            _save(
                fields_with_errors(examples),
                folder / f"fields-{result.name}.png",
                f"{result.row.title}: best, median and worst field",
                "By the field's Jaccard index under `equal`; errors as that protocol counts them.",
                FIELDS_DPI,
            )
        )
    stored = tracking.artifact(result.runs[0], "figures/postprocessing.png")
    if stored and result.row.method == "network":
        name = f"postprocessing-{result.name}.png"
        shutil.copyfile(stored, folder / name)
        drawn.append((name, f"{result.row.title}: post-processing", "From the class map to nuclei, on one test tile."))
    return drawn


def _save(figure, path, title, about, dpi=DPI):
    figure.savefig(path, dpi=dpi, pil_kwargs={"optimize": True})
    return path.name, title, about


# ---- scores and learning curves


def score_dots(content):
    """Every field's score per row and metric, with the tables' values; a matplotlib Figure."""
    done = [result for result in content["results"].values() if result.runs]
    figure = Figure(figsize=(10, 1.6 + 0.75 * len(done)), layout="constrained")
    figure.get_layout_engine().set(wspace=0.06)  # else the last tick of one panel runs into the first of the next
    axes = figure.subplots(1, len(METRICS), sharey=True)
    for metric, axis in zip(METRICS, axes, strict=True):
        for height, result in enumerate(done):
            _dots(axis, height, content["field_scores"].loc[result.name, metric].dropna())
            _mean(axis, height, content["boot"].get((result.name, metric)))
        axis.set_title(METRIC_TITLES[metric], fontsize=10)
        _bare(axis)
        axis.grid(axis="x", color="0.9")
    axes[0].set_yticks(range(len(done)), [result.row.title for result in done])
    axes[0].set_ylim(len(done) - 0.5, -0.5)
    return figure


def _dots(axis, height, scores):
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(scores))
    axis.scatter(scores, height + jitter, s=9, color=BLUE, alpha=0.45, linewidths=0)


def _mean(axis, height, values):
    if values is not None:
        value, low, high = interval(values)
        axis.plot([low, high], [height, height], color=BLACK, linewidth=1.6, zorder=3)
        axis.plot([value, value], [height - 0.36, height + 0.36], color=BLACK, linewidth=1.6, zorder=3)


def _bare(axis):
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(left=False, labelsize=9)
    axis.set_axisbelow(True)


def iou_curves(quality, results):
    """F1 of each row over the IoU from which a pair counts; a matplotlib Figure.

    Parameters
    ----------
    quality : DataFrame
        See `harness.scoring.objects.quality`.
    results : dict of str to RowResults
    """
    columns = [name for name in quality if name.startswith("f1_")]
    thresholds = [int(name.removeprefix("f1_")) / 100 for name in columns]
    figure = Figure(figsize=(8.4, 3.8), layout="constrained")
    axis = figure.subplots()
    for number, line in enumerate(quality.itertuples()):
        row = results[line.row].row
        axis.plot(
            thresholds,
            [getattr(line, name) for name in columns],
            label=row.title,
            color=PALETTE[number % len(PALETTE)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linestyle="-" if row.method == "network" else "--",
        )
    axis.set(xlabel="IoU", ylabel="F1", ylim=(0, 1.02))
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(color="0.9")
    figure.legend(loc="outside right center", frameon=False, fontsize=9)
    return figure


def learning_curves(history, titles):
    """Loss of training and validation by epoch, one panel per row and one line per seed; a matplotlib Figure.

    Parameters
    ----------
    history : DataFrame
        row, seed, epoch, loss, val_loss.
    titles : dict of str to str
        Of the rows.
    """
    rows = list(history["row"].unique())
    figure = Figure(figsize=(3.4 * len(rows), 3.2), layout="constrained")
    axes = figure.subplots(1, len(rows), sharey=True, squeeze=False)[0]
    for row, axis in zip(rows, axes, strict=True):
        for _, run in history[history["row"] == row].groupby("seed"):
            axis.plot(run["epoch"], run["loss"], color=BLUE, marker=".", label="training")
            axis.plot(run["epoch"], run["val_loss"], color=VERMILION, linestyle="--", marker=".", label="validation")
            best = run.loc[run["val_loss"].idxmin()]
            axis.plot(best["epoch"], best["val_loss"], "o", markersize=10, markerfacecolor="none", color=VERMILION)
        axis.set_title(titles[row], fontsize=10)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="0.9")
    axes[0].set_ylabel("loss")
    handles, labels = axes[0].get_legend_handles_labels()
    axes[0].legend(handles[:2], labels[:2], frameon=False)
    return figure


# ---- fields with their errors


def _examples(result, field_scores, dataset):
    """Best, median and worst field of a row: (heading, image, annotated, predicted) of each."""
    ranked = field_scores.loc[result.name, "jaccard_equal"].dropna().sort_values(ascending=False, kind="stable")
    examples, last = [], len(ranked) - 1
    places = {last // 2: "median", last: "worst", 0: "best"} if len(ranked) else {}
    for at, rank in sorted(places.items()):
        name = ranked.index[at]
        stored = tracking.artifact(result.runs[0], f"predictions/nuclei/{name}.png")
        if stored:
            examples.append(
                (
                    f"{rank}: {ranked.iloc[at]:.3f}",
                    name,
                    dataset.read_image(name),
                    dataset.read_nuclei(name),
                    imread(stored).astype(np.int32),
                )
            )
    return examples


def fields_with_errors(examples):
    """Fields with what the protocol `equal` counts as errors filled, and below each the window with most of them.

    Parameters
    ----------
    examples : list of (str, str, ndarray, ndarray, ndarray)
        Heading, name of the field, image, annotated and predicted label image.

    Returns
    -------
    matplotlib.figure.Figure
    """
    height, width = examples[0][2].shape
    figure = Figure(figsize=(4.8 * len(examples), 9.6 * height / width + 0.9), layout="constrained")
    axes = figure.subplots(2, len(examples), squeeze=False)
    for (whole, detail), (heading, name, image, annotated, predicted) in zip(axes.T, examples, strict=True):
        errors = classify(annotated, predicted)
        window = _busiest(errors, annotated, predicted)
        whole.imshow(_overlay(image, annotated, predicted, errors))
        whole.add_patch(_frame(window))
        counts = ", ".join(f"{len(errors[kind])} {kind}" for kind in KINDS)
        whole.set_title(f"{heading}, field {_short(name)}\n{counts}", fontsize=10)
        detail.imshow(
            _overlay(
                *(_enlarged(array[window]) for array in (image, annotated, predicted)),
                errors,
                levels=_levels(image),
                outline="thick",
            )
        )
        for axis in (whole, detail):
            axis.set(xticks=[], yticks=[])
    handles = [Patch(facecolor=colour, edgecolor=BLACK, label=kind) for kind, colour in ERROR_COLOURS.items()]
    handles += [
        Line2D([], [], color=colour, label=f"{whose} outline") for whose, colour in (("annotated", BLACK), ("predicted", GREEN))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=10)
    return figure


def _short(name):
    """Names of BBBC039 are long; the plate's well and site tell its fields apart."""
    return name if len(name) <= 24 else f"{name[:20]}…"


def _busiest(errors, annotated, predicted):
    """The window with most pixels of errors, or of nuclei where there are none."""
    wrong = np.isin(annotated, errors["missed"] + errors["split"])
    wrong |= np.isin(predicted, errors["extra"] + errors["merged"])
    return _densest(wrong if wrong.any() else annotated > 0)


def _densest(mask, parts=4):
    """The window, a `parts`-th of the field each way, with most pixels of a mask."""
    size = [length // parts for length in mask.shape]
    near = uniform_filter(mask.astype(np.float32), size, mode="constant")
    centre = np.unravel_index(near.argmax(), near.shape)
    corner = [int(np.clip(c - n // 2, 0, whole - n)) for c, n, whole in zip(centre, size, mask.shape, strict=True)]
    return tuple(slice(start, start + n) for start, n in zip(corner, size, strict=True))


def _frame(window):
    rows, columns = window
    return Rectangle(
        (columns.start, rows.start),
        columns.stop - columns.start,
        rows.stop - rows.start,
        fill=False,
        edgecolor=BLACK,
        linewidth=1.2,
    )


def _enlarged(array, times=4):
    return array.repeat(times, axis=0).repeat(times, axis=1)


def _overlay(image, annotated, predicted, errors, levels=None, outline="inner"):
    """RGB picture: the image dark on white, errors filled, outlines on top."""
    picture = np.repeat(_printed(image, levels)[..., None], 3, axis=2)
    for kind, colour in ERROR_COLOURS.items():
        labels = predicted if kind in ("extra", "merged") else annotated
        inside = np.isin(labels, errors[kind])
        picture[inside] = 0.35 * picture[inside] + 0.65 * _rgb(colour)
    picture[find_boundaries(annotated, mode=outline)] = _rgb(BLACK)
    picture[find_boundaries(predicted, mode=outline)] = _rgb(GREEN)
    return picture


def _levels(image):
    return np.percentile(image, [1, 99.7])


def _printed(image, levels=None):
    """Intensities as (H, W) floats, bright nuclei dark on white paper, dim ones still to be seen."""
    low, high = _levels(image) if levels is None else levels
    bright = np.clip((image - low) / max(high - low, 1), 0, 1) ** 0.6
    return 1 - 0.6 * bright


def _rgb(colour):
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


# ---- label sources


def label_panels(given, dataset):
    """One window of the test field with most separations: title to image or class map.

    Parameters
    ----------
    given : list of RowResults
        Classical rows that are done.
    dataset : harness.datasets.DataSet

    Returns
    -------
    dict of str to ndarray
        "input", "manual labels", and the labels of each row whose run stored them.
    """
    name = max(dataset.splits["test"], key=lambda field: (class_map(dataset.read_nuclei(field)) == SEPARATION).sum())
    manual, image = dataset.read_nuclei(name), dataset.read_image(name)
    window = _densest(class_map(manual) == SEPARATION, parts=3)
    panels = {"input": _printed(image)[window], "manual labels": class_map(manual)[window]}
    for result in given:
        stored = tracking.artifact(result.runs[0], f"predictions/labels/{name}.png")
        if stored:
            panels[result.row.title] = class_map(imread(stored).astype(np.int32))[window]
    return panels


def label_sources(panels):
    """What `label_panels` gave, side by side; a matplotlib Figure."""
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    height, width = panels["input"].shape
    figure = Figure(figsize=(3.4 * columns, 3.4 * rows * height / width + 0.3 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, panel) in zip(axes, panels.items(), strict=False):
        axis.imshow(panel if panel.dtype != np.uint8 else _classes(panel), cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set(xticks=[], yticks=[])
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    figure.legend(
        handles=[Patch(facecolor=SKY, label="nucleus"), Patch(facecolor=VERMILION, label="separation")],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    return figure


def _classes(classes):
    picture = np.ones((*classes.shape, 3))
    picture[classes == NUCLEUS], picture[classes == SEPARATION] = _rgb(SKY), _rgb(VERMILION)
    return picture


# ---- post-processing


def postprocessing(image, classes):
    """The paper's Fig. 3: input, class map, skeleton lines and nuclei of one tile.

    Parameters
    ----------
    image : (H, W) ndarray
        Intensities.
    classes : (H, W) uint8 ndarray
        Background 0, nucleus 1, separation 2.

    Returns
    -------
    matplotlib.figure.Figure
    """
    steps = postprocessing_steps(classes)
    coloured = _classes(classes)
    lines = coloured.copy()
    lines[classes == SEPARATION] = _rgb(SKY)
    lines[binary_dilation(steps["skeleton"], np.ones((2, 2)))] = _rgb(BLACK)
    panels = {
        "a  input": _printed(image),
        "b  class map": coloured,
        "c  skeleton of separations and background": lines,
        "d  nuclei": _coloured(steps["nuclei"]),
    }
    figure = Figure(figsize=(14, 3.9), layout="constrained")
    for axis, (title, picture) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set(xticks=[], yticks=[])
    figure.legend(
        handles=[
            Patch(facecolor=SKY, label="nucleus"),
            Patch(facecolor=VERMILION, label="separation"),
            Line2D([], [], color=BLACK, label="skeleton"),
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return figure


def _coloured(labels):
    """Label image in colours that differ between most neighbours; white background."""
    colours = np.array([_rgb(colour) for colour in PALETTE[:-1]])
    picture = colours[(labels * 7) % len(colours)]
    picture[labels == 0] = 1
    return picture
