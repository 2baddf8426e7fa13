import json

from harness import bench


def test_every_part_is_timed_on_this_machine(harness):
    code, out, err = harness("bench", "scoring", "classical", "--fields", 1, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["machine"]["cores"].isdigit() and said["machine"]["numpy"]
    what = [line["what"] for line in said["measured"]]
    assert "post-processing" in what and any("shape/intensity" in name for name in what)
    assert all(line["seconds"] > 0 for line in said["measured"])


def test_training_and_inference_are_timed_by_the_tile(monkeypatch):
    monkeypatch.setattr(bench.tiles, "SIZE", 64)
    measured = bench.train({"base": 2, "last": 2}, steps=2) + bench.infer({"base": 2, "last": 2})
    assert [line.what for line in measured] == ["training step", "training step, plain Model.fit", "inference"]
    assert all(line.per == "tile" and line.seconds > 0 for line in measured)


def test_an_unknown_part_is_refused(harness):
    code, _, err = harness("bench", "everything")
    assert code == 2 and "no benchmark 'everything'; there is classical" in err
