"""What has to be settled about Keras' backend before it computes anything: same seeds, same bits."""

import os
from typing import Any

import keras
import numpy as np

SAME_BITS_ON_GPU = "--xla_gpu_deterministic_ops=true"


def settle(threads: int, deterministic: bool = True) -> None:
    """Make the backend deterministic, with a fixed number of threads.

    Sums depend on how many threads share them, so the number is part of the spec. It is TensorFlow's on a CPU; JAX has no
    such switch, and on a GPU it has no meaning.

    Parameters
    ----------
    threads : int
    deterministic : bool
        To be left out where only speed is looked at.

    Raises
    ------
    RuntimeError
        This process has computed with another number of threads before.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        if deterministic:
            tensorflow.config.experimental.enable_op_determinism()
        return
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else the first process takes most of a GPU's memory
    if deterministic and SAME_BITS_ON_GPU not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {SAME_BITS_ON_GPU}".strip()


def batches(array: np.ndarray, size: int) -> Any:
    """An array as `fit` is given it, to be taken in batches of a size.

    TensorFlow's input pipelines tune themselves in a thread of their own, and at their end wait for it: up to a minute, where its
    notice to end comes between two looks at it. Nothing is to be tuned here.

    Parameters
    ----------
    array : (N, ...) ndarray
    size : int
        N is a multiple of it.

    Returns
    -------
    tf.data.Dataset or ndarray
        As the backend's is.
    """
    if keras.backend.backend() != "tensorflow":
        return array
    import tensorflow

    options = tensorflow.data.Options()
    options.autotune.enabled = False
    return tensorflow.data.Dataset.from_tensor_slices(array).batch(size).with_options(options)


def compiles_by_xla() -> bool:
    """XLA is left out on TensorFlow: on a CPU it is several times slower than the rest of TensorFlow."""
    return keras.backend.backend() == "jax"


def on_gpu() -> bool:
    """Whether this process computes on a GPU."""
    return any("gpu" in device or "cuda" in device for device in keras.distribution.list_devices())


def device() -> str:
    """What this process computes on, in words."""
    devices = keras.distribution.list_devices()
    name = f"GPU ({_model_of_gpu()})" if on_gpu() else "CPU"
    return f"{len(devices)} x {name}" if len(devices) > 1 else name


def _model_of_gpu() -> str:
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    import tensorflow

    first = tensorflow.config.list_physical_devices("GPU")[0]
    return tensorflow.config.experimental.get_device_details(first).get("device_name", "of unknown model")


def share_batches(batch: int) -> None:
    """Spread each batch evenly over all devices, where Keras can (on JAX) and the batch divides by their number."""
    devices = keras.distribution.list_devices()
    shared = compiles_by_xla() and len(devices) > 1 and batch % len(devices) == 0
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices) if shared else None)
