"""The first import of Keras, which is neither silent nor free of consequences."""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path


def backend() -> str:
    """The backend that Keras will take, found as Keras finds it but without the seconds that importing it takes."""
    chosen = os.environ.get("KERAS_BACKEND")
    with suppress(OSError, ValueError):
        home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        chosen = chosen or json.loads((home / "keras.json").read_text()).get("backend")
    return chosen or "tensorflow"


def load_backend(threads: int | None = None) -> None:
    """Import the network stage without the dozen lines that TensorFlow writes past every log level of its own.

    Parameters
    ----------
    threads : int, optional
        See `harness.network.backend.settle`; as fast as the machine can when left out.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            import keras

            if threads:
                from harness.network.backend import settle

                settle(threads)
            keras.ops.zeros(1)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
