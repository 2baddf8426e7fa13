"""The key `clumps` of a row: part of what decides the weights, in training tiles alone, another draw with each seed."""

import numpy as np
import pytest

from harness.datasets import open_dataset
from harness.experiment import registry, runner
from harness.experiment.stages import VERSIONS

BOOK = """
[rows.plain]
title = "Plain"
method = "network"
labels = "cellprofiler:shape/intensity"

[rows.clumped]
title = "Clumped"
method = "network"
labels = "cellprofiler:shape/intensity"
clumps = 0.5
"""


@pytest.fixture(scope="module")
def spec(fields, tmp_path_factory):
    file = tmp_path_factory.mktemp("book") / "book.toml"
    file.write_text(BOOK)
    book, dataset = registry.load_registry(file), open_dataset(str(fields))
    return lambda row, seed=0: registry.resolve(book, row, "smoke", dataset, seed)


def test_the_key_is_part_of_the_identity_where_it_is_not_0(spec):
    plain, clumped = spec("plain"), spec("clumped")
    assert plain.training_hashes() != clumped.training_hashes() and plain.hash != clumped.hash
    assert "clumps" not in plain.versions and clumped.versions["clumps"] == VERSIONS["clumps"]
    assert plain.training_hashes() == plain.model_copy(update={"row": "other", "clumps": 0.0}).training_hashes()
    older = clumped.model_copy(update={"versions": clumped.versions | {"clumps": 0}})
    assert older.training_hashes() != clumped.training_hashes()


def test_training_tiles_come_twice_the_second_time_with_more_nuclei_and_validation_as_it_is(spec, fields):
    dataset, row = open_dataset(str(fields)), spec("clumped")
    training, validation = runner.labelled_tiles(dataset, row.source, row)
    plain, as_before = runner.labelled_tiles(dataset, row.source, spec("plain"))
    assert np.array_equal(validation.images, as_before.images) and np.array_equal(validation.class_maps, as_before.class_maps)
    halves = training.images.reshape(len(dataset.splits["training"]), 2, -1, *plain.images.shape[1:])
    assert np.array_equal(halves[:, 0].reshape(plain.images.shape), plain.images) and training.images.dtype == plain.images.dtype
    assert (training.class_maps == 1).sum() > 2 * (plain.class_maps == 1).sum()
    again, _ = runner.labelled_tiles(dataset, row.source, row)
    assert np.array_equal(again.images, training.images)
    other, _ = runner.labelled_tiles(dataset, row.source, spec("clumped", seed=1))
    assert not np.array_equal(other.images, training.images)


@pytest.mark.parametrize("value", ["1.5", "-0.1", '"many"'])
def test_what_is_no_share_is_refused_in_one_line(harness, fields, tmp_path, value):
    (tmp_path / "book.toml").write_text(BOOK.replace("clumps = 0.5", f"clumps = {value}"))
    code, _, err = harness("list", "--dataset", fields, "--file", tmp_path / "book.toml")
    assert code == 2 and "clumps" in err and err.count("\n") == 1
