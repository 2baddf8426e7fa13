"""How fast a network learns and predicts here.

Threads and precision are settled once per process, so each loop has processes of its own; they take turns with Keras' plain
`Model.fit`, since a machine is not equally fast all the time.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any, NamedTuple

import numpy as np

TURNS = 3
EPOCHS = 2
STEPS = {"CPU": 6, "GPU": 50}  # about a second a turn
_fit: Callable  # of this worker process: what `prepare` made ready
_steps: int


class Loop(NamedTuple):
    """A way to train: its name, threads and precision, rows side by side, and whether it is Keras' plain `Model.fit`."""

    name: str
    threads: int
    precision: str = "float32"
    rows: int = 1
    plain: bool = False
    deterministic: bool = True


class Pace(NamedTuple):
    """Tiles per second of a loop, and how many times those of plain `Model.fit` in the same turns (medians)."""

    name: str
    tiles_per_second: float
    times_plain: float


def training(network: dict[str, int], size: int, steps: int | None = None) -> tuple[list[Pace], float]:
    """Tiles per second of each way to train, beside plain `Model.fit` fed by a PyDataset of the same tiles.

    Parameters
    ----------
    network : dict
        Widths of the U-Net.
    size : int
        Side of a tile in px.
    steps : int
        Steps of one tile an epoch, `STEPS` when left out; a turn is two epochs, and there are three turns.

    Returns
    -------
    list of Pace
    share : float
        Of the arithmetic throughput of a large float32 matrix product, what this loop's convolutions reach.
    """
    cores = len(os.sched_getaffinity(0))
    arguments = {"network": network, "size": size, "steps": steps}
    with _processes(Loop("plain Keras Model.fit", cores, plain=True), **arguments) as plain:
        peak, gpu = plain[0].submit(matrix_product).result()
        paces: list[Pace] = []
        for loop in _loops(cores, gpu):
            with _processes(loop, **arguments) as processes:
                turns = np.array([(_take_turn(plain), _take_turn(processes)) for _ in range(TURNS)])
            if not paces:
                paces.append(Pace("plain Keras Model.fit", float(np.median(turns[:, 0])), 1.0))
            paces.append(Pace(loop.name, float(np.median(turns[:, 1])), float(np.median(turns[:, 1] / turns[:, 0]))))
    return paces, operations_per_step(network, size) * paces[1].tiles_per_second / peak


def _loops(cores: int, gpu: bool) -> Iterator[Loop]:
    yield Loop("this loop", cores)
    yield Loop("this loop, bfloat16", cores, "bfloat16")
    if gpu:
        yield Loop("this loop, bits not fixed", cores, deterministic=False)
    else:
        yield Loop(f"{cores} rows side by side, a thread each", 1, rows=cores)
        yield Loop(f"{cores} rows side by side, a thread each, bfloat16", 1, "bfloat16", rows=cores)


@contextmanager
def _processes(loop, **arguments):
    """One process per row of a loop, each with everything compiled."""
    with ExitStack() as stack:
        processes = [stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for _ in range(loop.rows)]
        ready = [process.submit(prepare, loop, **arguments) for process in processes]
        for future in ready:
            future.result()
        yield processes


def _take_turn(processes):
    return sum(future.result() for future in [process.submit(take_turn) for process in processes])


# In the worker processes.


def prepare(loop: Loop, network: dict[str, int], size: int, steps: int | None) -> None:
    """Make a loop ready in this process, and go through it once."""
    global _fit, _steps
    from harness.network import backend

    backend.settle(loop.threads, loop.deterministic)
    steps = steps or STEPS["GPU" if backend.on_gpu() else "CPU"]
    _fit, _steps = (_plain if loop.plain else _ours)(loop, network, size, steps), steps
    take_turn()


def take_turn() -> float:
    """Train for a turn; returns tiles per second from the first step to the last, without what Keras tidies up later."""
    import keras

    began, ended = [], []
    clock = keras.callbacks.LambdaCallback(
        on_train_begin=lambda _logs: began.append(perf_counter()), on_train_end=lambda _logs: ended.append(perf_counter())
    )
    _fit(epochs=EPOCHS, callbacks=[clock], shuffle=False, verbose=0)
    return EPOCHS * _steps / (ended[0] - began[0])


def _ours(loop, network, size, steps):
    from harness.network.training import dispatches, example_order, on_device, per_dispatch

    model, optimiser, tile_set = _ready(loop, network, size, steps)
    learner = on_device(model, optimiser, tile_set)
    examples = dispatches(example_order(steps, 0, EPOCHS * steps, seed=0), 1, steps)
    return partial(learner.fit, examples, batch_size=1, steps_per_epoch=steps // per_dispatch(steps))


def _plain(loop, network, size, steps):
    import keras

    from harness.method import tiles
    from harness.network.loss import log_dice_loss

    model, optimiser, tile_set = _ready(loop, network, size, steps)

    class Tiles(keras.utils.PyDataset):
        def __len__(self):
            return steps

        def __getitem__(self, index):
            return tiles.normalise(tile_set.images[index])[None, ..., None], tile_set.class_maps[index][None]

    model.compile(optimiser, log_dice_loss, jit_compile=keras.backend.backend() == "jax")
    return partial(model.fit, Tiles(), steps_per_epoch=steps)


def _ready(loop, network, size, steps):
    from harness.network.training import Schedule, TileSet, prepared

    rng, shape = np.random.default_rng(0), (steps, size, size)
    tile_set = TileSet(rng.integers(0, 4096, shape).astype(np.uint16), rng.integers(0, 3, shape).astype(np.uint8))
    schedule = Schedule(1, steps, 1, 1e-5, "constant", 0, 1, False, loop.threads, loop.precision)
    return *prepared(schedule, network, 0, size), tile_set


def matrix_product(side: int = 4096) -> tuple[float, bool]:
    """Operations per second of a float32 matrix product in this process, and whether it was done on a GPU."""
    import keras

    from harness.network import backend

    matrix = keras.random.normal((side, side), seed=0)
    seconds = []
    for _ in range(TURNS + 1):
        started = perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)[0, 0])
        seconds.append(perf_counter() - started)
    return 2 * side**3 / min(seconds), backend.on_gpu()


def operations_per_step(network: dict[str, Any], size: int) -> int:
    """Additions and multiplications of the convolutions for one tile: forward, and twice as many backward.

    The first convolution is not followed back to the image.
    """
    from harness.network.unet import unet

    forward = [_operations(layer) for layer in unet(**network, size=size).layers if hasattr(layer, "kernel")]
    return 3 * sum(forward) - forward[0]


def _operations(layer):
    """A transposed convolution does a kernel's work per pixel of its input, a plain one per pixel of its output."""
    import keras

    pixels = layer.input if isinstance(layer, keras.layers.Conv2DTranspose) else layer.output
    return 2 * int(np.prod(layer.kernel.shape)) * pixels.shape[1] * pixels.shape[2]


class Way(NamedTuple):
    """A way to predict a field: seconds and seconds of processor time (medians), and the tiles' in the same turns over them."""

    name: str
    seconds: float
    cpu: float
    faster: float
    cheaper: float


def segmenting(network: dict[str, Any], size: int, images: list[np.ndarray]) -> list[Way]:
    """Fields through tiles and through windows, in turns; see `training` for the first parameters.

    Parameters
    ----------
    network : dict
    size : int
    images : list of (H, W) ndarray
        A turn is one of them; all of them are seen once before.

    Returns
    -------
    list of Way
        Of the tiles, of windows in float32 and, where `harness.network.inference.precision` says so, in bfloat16.
    """
    from harness.network import backend
    from harness.network.inference import for_windows, precision, predict_field, predict_windows
    from harness.network.unet import unet

    model = unet(**network, size=size)
    model.jit_compile = backend.compiles_by_xla()
    ways: dict[str, Callable] = {"tiles, float32": partial(predict_field, model, size=size)}
    for computed in dict.fromkeys(("float32", precision())):
        ways[f"windows, {computed}"] = partial(predict_windows, for_windows(model, computed), size=size)
    turns = np.array([[_spent(way, image) for way in ways.values()] for image in [*images, *images]])  # (2 N, ways, 2)
    turns = turns[len(images) :]
    middle, ratios = np.median(turns, axis=0), np.median(turns[:, :1] / turns, axis=0)  # (ways, 2) each
    return [Way(name, *of_way, *times) for name, of_way, times in zip(ways, middle.tolist(), ratios.tolist(), strict=True)]


def _spent(function, *arguments):
    """Seconds on the wall, and of the processor."""
    started = perf_counter(), process_time()
    function(*arguments)
    return perf_counter() - started[0], process_time() - started[1]


def inference(network: dict[str, Any], size: int, repeats: int = 5) -> float:
    """Seconds per tile of predicting as the harness does it (median); see `training` for the parameters."""
    from harness.network import backend
    from harness.network.inference import tiles_at_once
    from harness.network.unet import unet

    model = unet(**network, size=size)
    model.jit_compile = backend.compiles_by_xla()
    batch = tiles_at_once()
    rng, seconds = np.random.default_rng(0), []
    batches = rng.standard_normal((batch, size, size, 1)).astype(np.float32)
    for _ in range(repeats + 1):
        started = perf_counter()
        np.asarray(model.predict_on_batch(batches))
        seconds.append((perf_counter() - started) / batch)
    return float(np.median(seconds[1:]))
