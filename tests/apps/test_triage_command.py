"""`harness triage`: what to correct first, and the way there and back."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from harness.datasets import open_dataset
from tests.apps.conftest import FOUR

ROW = "classical-shape-intensity"


def test_the_worst_first_with_reasons(in_lab, lab):
    code, out, _ = in_lab("triage", ROW, "--fields", 3, "--json")
    assert code == 0
    said, dataset = json.loads(out), open_dataset(str(lab))
    assert said["row"] == ROW and sorted([*said["others"], ROW]) == sorted(FOUR)
    doubts = [line["doubt"] for line in said["nuclei"]]
    assert doubts == sorted(doubts, reverse=True) and all(line["why"] for line in said["nuclei"])
    assert len(said["fields"]) == 3
    assert {line["field"] for line in said["nuclei"]} <= {line["field"] for line in said["fields"]}
    assert {line["field"] for line in said["fields"]} <= {*dataset.splits["training"], *dataset.splits["validation"]}


def test_it_is_said_that_doubt_is_no_quality(in_lab):
    code, out, _ = in_lab("triage", ROW)
    assert code == 0 and "no share of wrong labels" in out and "of all doubt" in out


def test_corrected_labels_come_back_as_a_label_source_and_the_rest_unchanged(in_lab, lab, tmp_path):
    out = tmp_path / "correct"
    assert in_lab("triage", ROW, "--fields", 2, "--out", out)[0] == 0
    dataset = open_dataset(str(lab))
    names = [name for split in dataset.splits.values() for name in split]
    assert sorted(path.stem for path in (out / "labels").iterdir()) == sorted(names)
    assert len(list((out / "images").iterdir())) == 2 and (out / "worst.png").stat().st_size > 20_000
    first = pd.read_csv(out / "fields.csv")["field"][0]
    assert np.array_equal(tifffile.imread(out / "images" / f"{first}.tif"), dataset.read_image(first))

    edited, kept = dataset.splits["test"][0], dataset.splits["test"][1:]
    corrected = tifffile.imread(out / "labels" / f"{edited}.tif")
    assert corrected.dtype == np.uint16 and corrected.max() > 3
    corrected[corrected == 1] = 0  # as an editor would
    tifffile.imwrite(out / "labels" / f"{edited}.tif", corrected)

    registry = tmp_path / "own.toml"
    registry.write_text(f'[rows.corrected]\ntitle = "corrected"\nmethod = "classical"\nlabels = "folder:{out / "labels"}"\n')
    assert in_lab("run", "corrected", "--file", registry)[0] == 0
    from harness.experiment import tracking

    runs = {run.row: run for run in tracking.runs() if run.state == "finished"}
    before, after = (tracking.artifact(runs[row], "predictions/labels") for row in (ROW, "corrected"))
    from harness.experiment.evidence import read_labels

    for name in kept:
        assert np.array_equal(read_labels(before / f"{name}.png") > 0, read_labels(after / f"{name}.png") > 0)
    assert read_labels(before / f"{edited}.png").max() == read_labels(after / f"{edited}.png").max() + 1


def test_labels_that_may_be_corrected_are_not_overwritten(in_lab, tmp_path):
    (tmp_path / "there" / "labels").mkdir(parents=True)
    code, _, err = in_lab("triage", ROW, "--out", tmp_path / "there")
    assert code == 2 and "may hold corrected labels" in err


@pytest.mark.integration
def test_pixels_a_source_knows_nothing_about_go_along(harness, lab, tmp_path):
    registry = tmp_path / "own.toml"
    registry.write_text(
        '[rows.all]\ntitle = "consensus"\nmethod = "classical"\nlabels = "consensus"\n'
        '[rows.one]\ntitle = "one"\nmethod = "classical"\nlabels = "cellprofiler:intensity/intensity"\n'
    )
    assert harness("run", "all", "one", "--dataset", lab, "--file", registry)[0] == 0
    assert harness("triage", "all", "--dataset", lab, "--file", registry, "--out", tmp_path / "out")[0] == 0
    from harness.sources import open_source

    dataset = open_dataset(str(lab))
    given, back = open_source("consensus"), open_source(f"folder:{tmp_path / 'out' / 'labels'}")
    ignored = 0
    for name in dataset.splits["training"]:
        (labels, ignore), (labels_back, ignore_back) = (source.label(dataset.field(name)) for source in (given, back))
        assert np.array_equal(labels > 0, labels_back > 0) and np.array_equal(ignore, ignore_back)
        ignored += ignore.sum()
    assert ignored > 0


def test_a_network_is_compared_with_the_labels_it_learned_from(in_finished, fields, tiny):
    where = ("--dataset", fields, "--file", tiny, "--profile", "smoke")
    code, out, err = in_finished("triage", "network-shape-intensity", *where, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["row"] == ROW and "network-shape-intensity" in said["others"]
    code, _, err = in_finished("triage", "network-manual", *where)
    assert code == 2 and "no classical row with its labels" in err


def test_evidence_that_is_damaged_is_made_again(harness, fields, tmp_path):
    assert harness("run", ROW, FOUR[0], FOUR[3], "--dataset", fields)[0] == 0
    asked = ("triage", ROW, "--dataset", fields, "--json")
    code, before, _ = harness(*asked)
    assert code == 0
    for pattern, spoil in (
        ("pairs.csv", lambda content: b""),
        ("pairs.csv", lambda content: content[: len(content) // 2]),
        ("nuclei.csv", lambda content: b"\xff\x00" * 40 + b"\n"),
        ("nuclei.csv", lambda content: b"a,b\n1,2\n"),
        ("labels/*.png", lambda content: b""),
        ("labels/*.png", lambda content: content[:-5]),
    ):
        stored = min(tmp_path.glob(f"mlartifacts/**/evidence/**/{pattern}"))
        whole = stored.read_bytes()
        stored.write_bytes(spoil(whole))
        code, out, err = harness(*asked)
        assert code == 0 and out == before and "done once" in err
        assert stored.read_bytes() == whole


def test_a_label_image_with_another_bit_is_named(tmp_path):
    from harness.core.errors import HarnessError
    from harness.core.label_images import write_label_image
    from harness.experiment.evidence import read_labels

    path = tmp_path / "a.png"
    write_label_image(path, np.arange(20000, dtype=np.int32).reshape(100, 200))
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(8) + content[108:])
    with pytest.raises(HarnessError, match=r"a\.png: cannot be read; delete it"):
        read_labels(path)


@pytest.mark.parametrize(("row", "said"), [("nobody", "unknown row"), ("network-consensus", "network-consensus: not run")])
def test_refusals(in_lab, row, said):
    code, _, err = in_lab("triage", row)
    assert code == 2 and said in err


def test_one_source_alone_has_nothing_to_be_compared_with(harness, fields):
    assert harness("run", ROW, "--dataset", fields)[0] == 0
    code, _, err = harness("triage", ROW, "--dataset", fields)
    assert code == 2 and "at least two rows" in err
