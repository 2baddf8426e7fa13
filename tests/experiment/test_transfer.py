"""A network that learned on one data folder is scored on another, whose fields are smaller."""

import shutil

import numpy as np
import pandas as pd
import pytest
from imageio.v3 import imread

from harness.datasets import DataSet, open_dataset, write_folder
from harness.experiment import tracking
from harness.method.postprocess import nuclei_from_class_map

ASKED = ("network-manual", "--profile", "smoke")


@pytest.fixture
def elsewhere(tmp_path):
    """Two annotated test fields, and no others: nothing could be trained on them."""
    whole, crop = open_dataset("synthetic"), np.s_[200:300, 300:420]
    splits = {"training": (), "validation": (), "test": whole.splits["test"][4:6]}
    small = DataSet("", "", splits, lambda name: whole.read_image(name)[crop], lambda name: whole.read_nuclei(name)[crop])
    write_folder(small, tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


@pytest.fixture
def command(finished, harness, tiny, tmp_path):
    """The command in a copy of the store in which every row was reproduced on the fields."""
    shutil.copy(finished / "mlflow.db", tmp_path)
    return lambda *arguments: harness(*arguments, "--file", tiny)


def transferred():
    tracking.connect()
    return [run for run in tracking.runs() if tracking.LEARNED_ON in run.tags]


def test_a_trained_network_is_scored_on_other_fields(command, fields, elsewhere, tmp_path):
    asked = ("run", *ASKED, "--dataset", elsewhere, "--learned-on", fields)
    code, out, err = command(*asked)
    assert code == 0, err
    assert "network-manual (seed 0): done before" in out and "network-manual learned on small (seed 0)" in out
    (run,) = transferred()
    assert (run.dataset, run.tags[tracking.LEARNED_ON], run.params["tile"]) == ("elsewhere", "small", "128")
    check_prediction(run, open_dataset(str(elsewhere)))

    assert command(*asked)[1].count("done before") == 2 and len(transferred()) == 1
    listed = command("list", "--dataset", elsewhere, "--profile", "smoke")[1]
    assert "no training fields" in listed and "finished" not in listed, "it is no run of the row on these fields"

    assert command("report", "--dataset", elsewhere, "--profile", "smoke")[0] == 0
    table = pd.read_csv(tmp_path / "report" / "tables" / "transfer.csv")
    assert [tuple(line) for line in table[["row", "learned_on", "scored_on", "seeds"]].to_numpy()] == [
        ("network-manual", "small", "elsewhere", 1),
        ("network-manual", "small", "small", 1),
    ]
    assert table["dice_nuclei"][0] == pytest.approx(run.metrics["dice_nuclei"])
    assert "## Learned on one data set, scored on another" in (tmp_path / "report" / "report.md").read_text()

    assert command("report", "--dataset", fields, "--dataset", elsewhere, "--profile", "smoke", "--out", "both")[0] == 0
    assert pd.read_csv(tmp_path / "both" / "tables" / "transfer.csv").equals(table)


def check_prediction(run, dataset):
    """By the same weights in a network of any size, which no run has."""
    from harness.network.inference import predict_field
    from harness.network.unet import unet

    (trained,) = [each for each in tracking.runs() if (each.row, each.dataset, each.seed) == ("network-manual", "small", 0)]
    network = unet(base=2, last=2)
    network.set_weights(tracking.load_network(trained.run_id).get_weights())
    for name in dataset.splits["test"]:
        _, classes = predict_field(network, dataset.read_image(name), 128)
        stored = imread(tracking.artifact(run, f"predictions/nuclei/{name}.png"))
        np.testing.assert_array_equal(stored, nuclei_from_class_map(classes))


@pytest.mark.parametrize(
    ("row", "learned_on", "said"),
    [
        ("classical-shape-shape", "fields", "classical-shape-shape: trains no network; run it without --learned-on"),
        ("network-manual", "elsewhere", "elsewhere: is both learned and scored on; leave out --learned-on"),
        ("network-manual", "nowhere", "no data set 'nowhere'"),
    ],
)
def test_what_cannot_be_transferred_is_refused_in_one_line(command, fields, elsewhere, row, learned_on, said):
    folder = {"fields": fields, "elsewhere": elsewhere}.get(learned_on, learned_on)
    code, _, err = command("run", row, "--profile", "smoke", "--dataset", elsewhere, "--learned-on", folder)
    assert code == 2 and said in err and err.count("\n") == 1
    assert not transferred()
