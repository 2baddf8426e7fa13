import json

from harness import bench
from harness.network.bench import operations_per_step


def test_every_part_is_timed_on_this_machine(harness):
    code, out, err = harness("bench", "scoring", "classical", "--fields", 1, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["machine"]["cores"].isdigit() and said["machine"]["numpy"]
    what = [line["what"] for line in said["measured"]]
    assert "post-processing" in what and any("shape/intensity" in name for name in what)
    assert all(line["seconds"] > 0 for line in said["measured"])


def test_training_and_inference_are_timed_by_the_tile(monkeypatch):
    monkeypatch.setattr(bench.tiles, "SIZE", 32)
    monkeypatch.setattr(bench, "NETWORK", {"base": 2, "last": 2})
    measured = bench.train() + bench.infer()
    what = [line.what for line in measured]
    assert what[:2] == ["training, plain Keras Model.fit", "training, this loop"] and what[-1] == "inference"
    assert "training, this loop, bfloat16" in what and any("side by side" in name for name in what)
    assert all(line.per == "tile" and line.seconds > 0 for line in measured)
    assert "of the peak" in measured[1].note and "times plain" in measured[2].note


def test_operations_of_a_step_are_those_of_its_convolutions():
    """One level of the smallest network by hand: 9 x 1 x 2 and 9 x 2 x 2 on 32 x 32 px, twice as much backward."""
    operations = operations_per_step({"base": 2, "last": 2}, 32)
    assert operations_per_step({"base": 2, "last": 2}, 64) == 4 * operations
    first_two = 2 * 32 * 32 * (9 * 2 + 9 * 4)
    assert 3 * first_two < operations < 30 * first_two


def test_an_unknown_part_is_refused(harness):
    code, _, err = harness("bench", "everything")
    assert code == 2 and "no benchmark 'everything'; there is classical" in err
