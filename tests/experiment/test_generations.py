"""Self-training and refined predictions: rows that need the network of another row.

Most tests have a network in the place of a trained one that calls every pixel above its tile's mean a nucleus.
"""

import json

import numpy as np
import pytest
from imageio.v3 import imread, imwrite

from harness.core.errors import HarnessError
from harness.datasets import DataSet, open_dataset
from harness.experiment import registry, runner, tracking
from harness.experiment.spec import Spec
from harness.method.classmap import class_map
from harness.method.postprocess import nuclei_from_class_map
from harness.sources import open_source
from harness.sources.outlines import outlines_at

SMOKE = ("--profile", "smoke")
PLAIN = 'title = "T"\nmethod = "network"\nlabels = "cellprofiler:shape/intensity"\n'
NETWORK = 'title = "T"\nmethod = "network"\nlabels = "network:{}"\n'
REFINED = 'refine = ["half-contrast"]\n'
CHAIN = (
    "[network]\nbase = 2\nlast = 2\n"
    f"[rows.third]\n{NETWORK.format('second')}"  # later generations first: a file may have any order
    f"[rows.second]\n{NETWORK.format('first')}{REFINED}"
    f'[rows.after]\n{PLAIN}{REFINED}refine_prediction = [{{step = "half-contrast", level = 0.4}}]\n'
    f"[rows.first]\n{PLAIN}{REFINED}"
)


class Bright:
    """Stands for a trained network, which takes tiles of any size."""

    input_shape = (None, None, None, 1)

    def predict_on_batch(self, tiles):
        nucleus = np.asarray(tiles)[..., 0] > 0
        return np.stack([~nucleus, nucleus, np.zeros_like(nucleus)], axis=-1).astype(np.float32)


@pytest.fixture
def trained(monkeypatch):
    """Nothing is trained; the list that is given holds the label sources that rows would have learned from."""
    sources = []
    for name, stand_in in {
        "load_backend": lambda threads: None,
        "_device": lambda: "CPU",
        "labelled_tiles": lambda dataset, split, source, side: sources.append(source),
        "_train": lambda *_: (Bright(), [], {"epoch": 1, "val_loss": 0.5}),
    }.items():
        monkeypatch.setattr(runner, name, stand_in)
    monkeypatch.setattr(tracking, "log_model", lambda *_: None)
    monkeypatch.setattr(tracking, "load_network", lambda run_id: Bright())
    monkeypatch.setattr("harness.network.inference.tiles_at_once", lambda: 1)
    return sources


@pytest.fixture
def book(tmp_path):
    """Write a registry: book(text) gives its path."""

    def write(text=CHAIN):
        (tmp_path / "book.toml").write_text(text)
        return tmp_path / "book.toml"

    return write


@pytest.fixture
def asked(harness, book, fields):
    """Run rows: asked("row", ...) gives exit code, output and error output."""
    file = book()
    return lambda *rows: harness("run", *rows, "--dataset", fields, "--file", file, *SMOKE)


def runs():
    return {run.row: run for run in tracking.runs()}


def seen_by_bright(image):
    from harness.network.inference import predict_field

    return nuclei_from_class_map(predict_field(Bright(), image)[1])


def label_images(folder):
    """Path to the label images of the first generation."""
    (first,) = {spec.nuclei_hash() for spec in map(spec_of, runs().values()) if spec.row == "first"}
    return folder / "runs" / f"labels-{first}"


def spec_of(run):
    return Spec.model_validate_json(tracking.artifact(run, "spec.json").read_text())


def test_generations_follow_each_other_and_the_first_are_run_without_being_named(asked, trained):
    code, out, err = asked("third", "after")
    assert code == 0, err
    ended = [line.split(" ")[0] for line in out.splitlines() if line.endswith("scoring 2 fields")]
    assert ended == ["first", "second", "after", "third"]
    there = runs()
    assert there["second"].tags["harness.network_run"] == there["after"].tags["harness.network_run"] == there["first"].run_id
    assert there["third"].tags["harness.network_run"] == there["second"].run_id
    code, out, _ = asked("third", "after")
    assert code == 0 and out.count("done before") == 4


def test_labels_are_what_the_network_before_sees_and_nothing_is_made_of_test_fields(asked, trained, fields, tmp_path):
    assert asked("second")[0] == 0
    dataset, made = open_dataset(str(fields)), label_images(tmp_path)
    learned = {*dataset.splits["training"], *dataset.splits["validation"]}
    assert {path.stem for path in made.glob("*.png")} == learned
    for name in learned:
        seen = seen_by_bright(dataset.read_image(name))
        np.testing.assert_array_equal(imread(made / f"{name}.png"), seen)
        labels, ignore = trained[-1].label(dataset.field(name))  # of the second row
        np.testing.assert_array_equal(labels, outlines_at(0.5, 0.12, dataset.read_image(name), seen))
        assert labels.any() and not ignore.any()


def test_label_images_are_made_once_and_again_where_they_have_changed(asked, trained, fields, tmp_path, monkeypatch):
    assert asked("second")[0] == 0
    made = sorted(label_images(tmp_path).glob("*.png"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in made}
    code, out, _ = asked("third", "second")
    assert code == 0 and {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in made} == before
    imwrite(made[0], np.zeros((240, 270), np.uint8))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    code, out, _ = asked("second")
    assert code == 0 and out.count("made again") == 1
    assert {path: path.read_bytes() for path in made} == {path: content for path, (_, content) in before.items()}


def test_what_needs_a_network_that_failed_is_not_tried_and_goes_on_later(asked, trained, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(runner, "_train", lambda *_: 1 / 0)
        code, _, err = asked("second", "after")
    assert code == 1 and err.count("\n") == 3 and set(runs()) == {"first"}
    assert "second (seed 0): not run, since it needs the network of first (seed 0), which was not finished" in err
    assert asked("second", "after")[0] == 0 and {run.state for run in runs().values()} == {"finished"}


def test_a_run_without_the_network_it_needs_is_refused_with_the_command_that_trains_it(harness, book, fields, trained):
    file = book()
    tracking.connect()
    dataset = open_dataset(str(fields))
    spec = registry.resolve(registry.load_registry(file), "second", "smoke", dataset, 3)
    with pytest.raises(HarnessError, match="first \\(seed 3\\), which has no finished run; give harness run first --seed 3"):
        runner.run(spec, dataset, lambda *_, **__: None, tracking.row_run(spec))
    assert not runs()


def test_a_refined_prediction_is_scored_as_the_class_map_of_the_refined_nuclei(asked, trained, fields):
    code, out, _ = asked("after")
    assert code == 0 and "refining the prediction of first (seed 0), run" in out
    dataset, plain, refined = open_dataset(str(fields)), runs()["first"], runs()["after"]
    for name in dataset.splits["test"]:
        before = imread(tracking.artifact(plain, f"predictions/nuclei/{name}.png")).astype(np.int32)
        classes = class_map(outlines_at(0.4, 0.12, dataset.read_image(name), before))
        kept = imread(tracking.artifact(refined, f"predictions/tiles/{name}.png"))
        np.testing.assert_array_equal(kept[: classes.shape[0], : classes.shape[1]], classes)
        nuclei = imread(tracking.artifact(refined, f"predictions/nuclei/{name}.png"))
        np.testing.assert_array_equal(nuclei, nuclei_from_class_map(classes))
    assert refined.metrics["dice_nuclei"] != plain.metrics["dice_nuclei"]
    assert "best_epoch" not in refined.metrics and len(trained) == 2  # the splits of the first row


# ---- identity

DATASET = DataSet("some-fields", "0" * 64, {"training": (), "validation": (), "test": ()}, None, None)


def resolved(path, row="third", seed=0):
    return registry.resolve(registry.load_registry(path), row, "smoke", DATASET, seed)


@pytest.mark.parametrize(
    "changed",
    [
        CHAIN.replace(f"[rows.first]\n{PLAIN}", f'[rows.first]\n{PLAIN}loss = "dice"\n').replace(
            f"[rows.after]\n{PLAIN}", f'[rows.after]\n{PLAIN}loss = "dice"\n'
        ),
        CHAIN.replace(REFINED, 'refine = [{step = "half-contrast", level = 0.4}]\n'),
        CHAIN.replace("base = 2", "base = 4"),
    ],
)
def test_an_identity_holds_those_of_all_generations_before(book, changed):
    before = [resolved(book(), row) for row in ("third", "second")]
    after = [resolved(book(changed), row) for row in ("third", "second")]
    for one, other in zip(before, after, strict=True):
        assert one.hash != other.hash and one.training_hashes() != other.training_hashes()


@pytest.mark.parametrize(("stage", "trains_anew"), [("network.inference", True), ("postprocess", True), ("metrics", False)])
def test_a_stage_that_decides_the_nuclei_of_one_generation_decides_the_training_of_the_next(book, stage, trains_anew):
    spec = resolved(book(), "second")
    parent = spec.parent.model_copy(update={"versions": spec.parent.versions | {stage: 99}})
    raised = spec.model_copy(update={"parent": parent})
    assert (raised.training_hashes() != spec.training_hashes()) == trains_anew


def test_what_rows_are_called_is_no_part_of_a_training_and_the_seed_is(book):
    first = resolved(book())
    assert resolved(book(CHAIN.replace("first", "begin"))).training_hashes() == first.training_hashes()
    other = resolved(book(), seed=1)
    assert other.parent.parent.seed == 1 and other.training_hashes() != first.training_hashes()
    assert other.row_hash == first.row_hash


# ---- refusals


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[rows.a]\n{NETWORK.format('')}", "rows.a.labels: the label source 'network:' names no row; write network:ROW"),
        (f"[rows.a]\n{NETWORK.format('b')}", "rows.a.labels: no such row 'b'; there is a"),
        (f"[rows.a]\n{NETWORK.format('a')}", "rows.a.labels: a learn from each other"),
        (f"[rows.a]\n{NETWORK.format('b')}[rows.b]\n{NETWORK.format('a')}", "rows.a.labels: a, b learn from each other"),
        (f"[rows.a]\n{NETWORK.format('b')}[rows.b]\n{NETWORK.format('b')}", "rows.a.labels: a, b learn from each other"),
        (
            f"[rows.a]\n{NETWORK.format('b')}[rows.b]\n{PLAIN.replace('network', 'classical')}",
            "rows.a.labels: 'b' trains no network",
        ),
        (CHAIN + f"[rows.a]\n{NETWORK.format('after')}", "rows.a.labels: 'after' trains no network"),
        (
            CHAIN + "[rows.a]\n" + NETWORK.format("first").replace('"network"', '"classical"'),
            "rows.a.labels: a network's nuclei are scored in its own row",
        ),
        (
            CHAIN + f'[rows.a]\n{NETWORK.format("first")}refine = ["ignore-discarded"]\n',
            "rows.a.labels: refinement ignore-discarded: network:first has no size filter; leave the step out",
        ),
        (
            f"[rows.a]\n{PLAIN.replace('network', 'classical')}refine_prediction = ['half-contrast']\n",
            "rows.a.refine_prediction: the prediction of a classical row is its labels; give the steps as refine",
        ),
        (f"[rows.a]\n{PLAIN}refine_prediction = ['half-contrast']\n", "rows.a.refine_prediction: no row is the same without it"),
        (
            f"[rows.b]\n{PLAIN}[rows.a]\n{PLAIN}refine_prediction = ['ignore-discarded']\n",
            "rows.a.refine_prediction: refinement ignore-discarded: network has no size filter",
        ),
        (f"[rows.b]\n{PLAIN}[rows.a]\n{PLAIN}refine_prediction = ['sharpen']\n", "rows.a.refine_prediction: unknown refinement"),
    ],
)
def test_a_network_that_no_row_has_is_refused_when_the_registry_is_read(book, text, said):
    path = book(text)
    with pytest.raises(HarnessError) as refusal:
        registry.load_registry(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: {said}") and "\n" not in message


def test_a_row_that_needs_one_that_is_not_available_is_not_available(book, fields):
    file = book(f"[rows.b]\n{PLAIN.replace('cellprofiler:shape/intensity', 'manual')}[rows.a]\n{NETWORK.format('b')}")
    dataset = open_dataset(str(fields))
    blind = DataSet("blind", "", dataset.splits, dataset.read_image, None, frozenset(sum(dataset.splits.values(), ())))
    reasons = registry.unavailable(registry.load_registry(file), blind)
    assert set(reasons) == {"a", "b"} and reasons["a"] == reasons["b"]


def test_the_name_of_a_network_labels_nothing_by_itself(harness, fields):
    code, _, err = harness("label", "network:first", fields / "images", "labels")
    assert code == 2 and "harness segment" in err and err.count("\n") == 1
    with pytest.raises(HarnessError, match="harness run"):
        open_source("network:first").label(open_dataset(str(fields)).field("training-01"))


@pytest.mark.integration
def test_a_chain_of_real_networks_side_by_side_is_one_after_the_other(harness, book, fields, tmp_path):
    from harness.network.inference import predict_field

    command = ("reproduce", "--dataset", fields, "--file", book(), *SMOKE)
    assert harness(*command, "--workers", 2)[0] == 0
    beside = runs()
    network, dataset = tracking.load_network(beside["first"].run_id), open_dataset(str(fields))
    for path in label_images(tmp_path).glob("*.png"):
        np.testing.assert_array_equal(
            imread(path), nuclei_from_class_map(predict_field(network, dataset.read_image(path.stem))[1])
        )
    (tmp_path / "runs").rename(tmp_path / "beside")
    assert harness(*command, "--tracking-uri", "sqlite:///other.db")[0] == 0
    assert len(runs()) == 4
    for row, run in runs().items():
        scores = {name: value for name, value in run.metrics.items() if not name.startswith("seconds")}
        assert scores == {name: beside[row].metrics[name] for name in scores}
    results = json.loads((tmp_path / "report" / "results.json").read_text())
    assert len(results["runs"]) == 4
