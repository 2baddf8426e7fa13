"""Every metric that is reported: its name, what people read, how it is rounded, and which value is best."""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """How a metric is shown: its title in Markdown, decimals, unit, and which of its values is best."""

    title: str
    decimals: int = 3
    unit: str = ""
    best: Literal["highest", "lowest", "zero"] = "highest"

    @property
    def plain(self) -> str:
        """The title where Markdown is not obeyed, as in a picture."""
        return self.title.replace("`", "")

    def rank(self, value: float) -> float:
        """Larger is better, as far as is shown."""
        shown = round(value, self.decimals)
        return {"highest": shown, "lowest": -shown, "zero": -abs(shown)}[self.best]


# What a table of a registry may hold.
TableMetric = Literal["dice_nuclei", "dice_separations", "jaccard", "jaccard_equal", "f1_50", "f1_75", "f1_90"]
TABLES: dict[str, Metric] = {  # of the paper, and what its claims are checked with
    "dice_nuclei": Metric("Dice, nuclei"),
    "dice_separations": Metric("Dice, separations"),
    "jaccard": Metric("Jaccard, `paper`"),
    "jaccard_equal": Metric("Jaccard, `equal`"),
}
QUALITY = {
    "f1_50": Metric("F1 at 0.5"),
    "f1_75": Metric("F1 at 0.75"),
    "f1_90": Metric("F1 at 0.9"),
    "ap_50": Metric("AP at 0.5"),
    "ap": Metric("AP, 0.5 to 0.95"),
    "pq": Metric("PQ"),
    "aji": Metric("AJI"),
}
OUTLINES = {
    "outline_offset": Metric("outline offset", 2, "px", "zero"),
    "area_bias": Metric("area bias", 3, "", "zero"),
    "nsd": Metric("NSD at 1 px"),
    "hd95": Metric("HD95", 2, "px", "lowest"),
    "count_error": Metric("count error", 1, "", "zero"),
    "count_error_absolute": Metric("absolute count error", 1, "", "lowest"),
}
CROWDING = {
    f"{name}_{kind}": Metric(f"{title}, {kind}")
    for name, title in (("jaccard", "Jaccard `paper`"), ("jaccard_equal", "Jaccard `equal`"), ("f1_50", "F1 at 0.5"))
    for kind in ("touching", "isolated")
}
GROUPS = {"iou": QUALITY, "outlines": OUTLINES, "crowding": CROWDING}  # as MLflow's charts show them
METRICS: dict[str, Metric] = {**TABLES, **QUALITY, **OUTLINES, **CROWDING}
SIGNED = tuple(name for name, metric in METRICS.items() if metric.best == "zero")


def logged(metric: str) -> str:
    """What a metric is called in MLflow: a word and a slash before those that are not of the paper's tables."""
    return next((f"{group}/{metric}" for group, names in GROUPS.items() if metric in names), metric)
