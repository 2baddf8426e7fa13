"""Networks of strangers, and damaged ones: one line, and no code of theirs is run."""

import keras
import mlflow
import pytest

from harness.core.errors import HarnessError
from harness.experiment import tracking
from harness.network.unet import unet


def code(path):
    inputs = keras.Input((8, 8, 1))
    keras.Model(inputs, keras.layers.Lambda(lambda pixels: pixels)(inputs)).save(path)


def flip(path):
    content = bytearray(path.read_bytes())
    for at in range(0, len(content), 97):
        content[at] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(path.read_bytes()[:-500]), flip, code]
)
def test_a_network_that_is_damaged_or_holds_code_is_refused_in_one_line(tmp_path, damage, monkeypatch):
    unet(base=1, last=1).save(tmp_path / "network.keras")
    damage(tmp_path / "network.keras")
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", lambda **_: str(tmp_path))
    with pytest.raises(HarnessError, match="its network cannot be read .*holds code, which is not run") as refusal:
        tracking.load_network("models:/somebody/1")
    assert "\n" not in str(refusal.value)
