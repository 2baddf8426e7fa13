"""No peeking: rows that call themselves free of annotation come out the same where there is none to look at."""

import shutil

import numpy as np
import pytest

from harness.datasets import open_dataset
from harness.experiment import registry, tracking

LEARNED = ("network-shape-intensity", "network-half-contrast-ignore", "network-declumped", "network-second-generation")
ROWS = ("classical-half-contrast", "network-shape-intensity-refined-after", *LEARNED)


@pytest.fixture
def free(tmp_path):
    """The registry of rows without annotation, with a network of a few hundred weights."""
    text = registry._packaged("label-free.toml").read_text().replace("base = 16", "base = 2").replace("last = 32", "last = 2")
    (tmp_path / "free.toml").write_text(text)
    return tmp_path / "free.toml"


@pytest.fixture
def blind(fields, tmp_path):
    """The same fields without any mask but those of the test fields, which judge."""
    folder = shutil.copytree(fields, tmp_path / "blind")
    for split in ("training", "validation"):
        for name in open_dataset(str(fields)).splits[split]:
            (mask,) = (folder / "masks").glob(f"{name}.*")
            mask.unlink()
    return folder


@pytest.mark.integration
def test_without_the_masks_to_learn_from_every_bit_is_the_same(harness, fields, blind, free):
    found = {}
    for data in (fields, blind):
        code, _, err = harness("run", *ROWS, "--dataset", data, "--file", free, "--profile", "smoke")
        assert code == 0, err
        found[data] = {run.row: run for run in tracking.runs() if run.dataset == data.name}
    assert set(found[fields]) == set(found[blind]) == set(ROWS)
    for row in ROWS:
        seen, unseen = (found[data][row] for data in (fields, blind))
        assert seen.spec_hash != unseen.spec_hash  # the data are not the same
        assert scores(seen) == scores(unseen)
    for row in LEARNED:
        weights = [tracking.load_network(found[data][row].run_id).get_weights() for data in (fields, blind)]
        for one, other in zip(*weights, strict=True):
            np.testing.assert_array_equal(one, other)
    code, _, err = harness("run", "network-manual", "--dataset", blind, "--file", free, "--profile", "smoke")
    assert code == 2 and "have no mask" in err  # the one row that needs them


def scores(run):
    return {name: value for name, value in run.metrics.items() if not name.startswith("seconds")}
