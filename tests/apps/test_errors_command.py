"""`harness errors`: error rates counted by hand, and noise that is found again as the recipe it was."""

import json
import shutil
import tomllib
from dataclasses import dataclass

import numpy as np
import pytest

from harness.apps.errors import measure, recipe
from harness.datasets import DataSet, open_dataset
from harness.sources import LabelSource, open_source


def squares(*corners, side=12):
    labels = np.zeros((60, 100), np.int32)
    for id_, (y, x) in enumerate(corners, 1):
        labels[y : y + side, x : x + side] = id_
    return labels


@dataclass(frozen=True)
class Fixed(LabelSource):
    family = "fixed"
    labels: np.ndarray | None = None

    def label(self, field):
        return self.labels, self.labels < 0


def dataset_of(nuclei):
    return DataSet("hand", "", {"training": ("a",)}, lambda _: nuclei.astype(np.uint16), lambda _: nuclei)


def test_rates_are_those_counted_by_hand():
    truth = squares((4, 4), (4, 30), (4, 43), (30, 4), (30, 30))
    labels = squares((30, 4), (30, 4), (30, 30), (30, 60))  # the first missing, one split, one right, one false
    labels[4:16, 30:55] = 5  # two in one
    labels[36:42, 4:16] = 6
    found = measure(Fixed(labels=labels), dataset_of(truth))
    rates = found.rates.set_index("size").loc["all"]
    assert rates[["missing", "merged", "split", "false"]].to_list() == [0.2] * 4 and rates["nuclei"] == 5
    assert found.offset == found.spread == 0


def test_what_lies_on_a_nucleus_that_does_not_count_is_not_false():
    truth = squares((0, 4), (30, 30))  # the first touches the edge
    labels = squares((1, 4), (30, 30))
    assert recipe(measure(Fixed(labels=labels), dataset_of(truth))) == []


@pytest.mark.parametrize(
    "step",
    [
        {"step": "noise-missing", "share": 0.2},
        {"step": "noise-split", "share": 0.2},
        {"step": "noise-merged", "share": 0.1},
        {"step": "noise-outline", "by": -1.3},
        {"step": "noise-outline", "by": 0.6, "wobble": 1.0},
    ],
)
def test_noise_is_found_again(step, fields):
    """Shares roughly, as nuclei at the edge are spoilt as well and do not count; outlines to a fifth of a pixel."""
    found = {each.pop("step"): each for each in recipe(measure(open_source("manual", {}, [step]), open_dataset(str(fields))))}
    for setting, value in step.items():
        if setting != "step":
            assert abs(found[step["step"]][setting] - value) < (0.05 if setting == "share" else 0.2)
    assert all(each["share"] < 0.05 for name, each in found.items() if name != step["step"] and "share" in each)


def test_the_command_prints_a_line_that_a_registry_takes(harness, fields):
    code, out, _ = harness("errors", "control:dilated", "--dataset", fields, "--every", 2)
    assert code == 0 and "2 training fields" in out and "| small" in out
    wanted = tomllib.loads(out.strip().splitlines()[-1])["refine"]
    assert json.loads(harness("errors", "control:dilated", "--dataset", fields, "--every", 2, "--json")[1])["refine"] == wanted
    assert wanted[-1]["step"] == "noise-outline" and abs(wanted[-1]["by"] - 1) < 0.2 and open_source("manual", {}, wanted)
    assert harness("errors", "manual", "--dataset", fields)[1].endswith("refine = []\n")


def test_without_annotation_nothing_is_measured(harness, fields, tmp_path):
    folder = tmp_path / "bare"
    shutil.copytree(fields, folder)
    for name in (folder / "metadata" / "training.txt").read_text().split():
        (folder / "masks" / name).unlink()
    code, _, err = harness("errors", "control:dilated", "--dataset", folder)
    assert code == 2 and "no annotated training field" in err and err.count("\n") == 1
