"""Finished runs keep their identity: the hashes of the runs that were published with the first build."""

import pytest

from harness.datasets import DataSet
from harness.experiment import stages
from harness.experiment.registry import load_registry, resolve
from harness.experiment.spec import Spec

BBBC039 = DataSet(
    "bbbc039",
    "b66031b825c56e3e22e85d70a6c59d2ef16f6ac33f587a3a1c8bdf63871926cc",
    {"training": (), "validation": (), "test": ()},
    None,
    None,
)
PUBLISHED = {
    ("network-manual", 0): "a8786ebf2aa5acf7",
    ("network-manual", 1): "564c908eaadb1e4a",
    ("network-manual", 2): "09300dc6c36384b4",
    ("network-shape-intensity", 0): "708520cb8ed4e3b3",
    ("network-shape-intensity", 1): "76bf26db4d0cc347",
    ("network-shape-intensity", 2): "4defa61b000abb31",
    ("network-consensus", 0): "0c3f84d848a5fba2",
    ("network-consensus", 1): "ee2bca790e08dfe5",
    ("network-consensus", 2): "02c1bb766433b3a6",
    ("classical-shape-intensity", 0): "57168d00668aa966",
    ("classical-intensity-shape", 0): "42c097d4227e6581",
    ("classical-shape-shape", 0): "6cc4d30729056680",
    ("classical-intensity-intensity", 0): "2c9cc3df1b1598bc",
}


def spec(row, seed, loss="dice"):
    registry = load_registry()
    entry = registry.rows[row].model_copy(update={"loss": loss})
    return resolve(registry.model_copy(update={"rows": {row: entry}}), row, "cpu", BBBC039, seed)


@pytest.mark.parametrize(("row", "seed"), PUBLISHED)
def test_published_runs_keep_their_hash(row, seed):
    """They were trained with the linear loss, which specs of then did not name."""
    assert spec(row, seed).hash == PUBLISHED[row, seed]


def test_a_state_of_the_first_build_is_found_under_its_hash():
    assert spec("network-consensus", 1).training_hashes()[0] == "36ce6df186288718"


def test_another_loss_is_another_training():
    linear, printed = spec("network-manual", 0), spec("network-manual", 0, "log-dice")
    assert linear.hash != printed.hash and linear.training_hashes()[0] != printed.training_hashes()[0]


def test_another_tile_is_another_training():
    paper = spec("network-manual", 0)
    smaller = paper.model_copy(update={"tile": 256})
    assert paper.tile == 512
    assert smaller.hash != paper.hash and smaller.training_hashes()[0] != paper.training_hashes()[0]


def test_what_was_learned_elsewhere_is_a_run_of_its_own_known_by_its_training():
    paper = [spec("network-manual", seed) for seed in (0, 1)]
    other = DataSet("other", "0" * 64, {"test": ()}, None, None)
    first, second = (each.scored_on(other, 256) for each in paper)
    assert (
        first.dataset == "other" and first.learned_on == paper[0] and first.name == "network-manual learned on bbbc039 (seed 0)"
    )
    assert len({first.hash, second.hash, paper[0].hash, first.model_copy(update={"learned_on": None}).hash}) == 4
    assert first.row_hash == second.row_hash != paper[0].row_hash, "the seeds of a row"
    assert Spec.model_validate_json(first.model_dump_json()) == first
    same_weights = paper[0].model_copy(update={"title": "Other words", "versions": paper[0].versions | {"metrics": 99}})
    assert same_weights.hash != paper[0].hash
    assert same_weights.scored_on(other, 256).model_copy(update={"versions": first.versions}).hash == first.hash
    other_weights = paper[0].model_copy(update={"digest": "1" * 64})
    assert other_weights.scored_on(other, 256).hash != first.hash


@pytest.mark.parametrize("stage", stages.NAMED_LATER)
def test_a_stage_named_later_counts_from_its_second_version(monkeypatch, stage):
    before = spec("network-manual", 0)
    monkeypatch.setitem(stages.VERSIONS, stage, 2)
    assert (spec("network-manual", 0).hash != before.hash) == (stage in before.versions)
