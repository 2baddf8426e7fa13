"""The U-Net of the paper (section 2.3, Fig. 2)."""

import keras
import numpy as np

CLASSES = 3
DROPOUT = (0.2, 0.25, 0.3, 0.35)
L2 = 1e-4


def unet(base: int = 16, last: int = 32, seed: int = 0, size: int | None = None, precision: str = "float32") -> keras.Model:
    """Build the U-Net with its fixed initial weights.

    Four levels down and up, two zero-padded 3x3 convolutions a level, selu, max-pooling followed by dropout,
    2x2 transposed convolutions, softmax. L2 regularisation on every kernel but the last one's.

    Parameters
    ----------
    base : int
        Filters of the first level; each level down has twice as many.
    last : int
        Filters of the two convolutions before the softmax.
    seed : int
        Seed of the initial weights and of dropout, each drawn from a stream of its own.
    size : int, optional
        Side of the input in px, a multiple of 16; any such size when left out.
    precision : str
        What convolutions are computed in: "float32" or "bfloat16". Weights, activations and softmax are float32.

    Returns
    -------
    keras.Model
        From (B, H, W, 1) float32, normalised tiles, to (B, H, W, 3) class probabilities: background, nucleus,
        separation.
    """
    policy = {"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision]
    image = keras.Input((size, size, 1), name="tile")  # (B, H, W, 1)
    x, skips = image, []
    for level, rate in enumerate(DROPOUT):  # shapes of level l, where F is base * 2**l
        x = _two_convolutions(x, base * 2**level, f"down{level}", policy)  # (B, H / 2**l, W / 2**l, F)
        skips.append(x)
        x = keras.layers.MaxPooling2D(name=f"pool{level}")(x)  # (B, H / 2**(l+1), W / 2**(l+1), F)
        x = keras.layers.Dropout(rate, seed=_dropout_seed(seed, level), name=f"dropout{level}")(x)
    x = _two_convolutions(x, base * 2 ** len(DROPOUT), "bottom", policy)  # (B, H / 16, W / 16, 16 base)
    for level in reversed(range(len(DROPOUT))):
        x = _convolution(
            x, keras.layers.Conv2DTranspose, base * 2**level, 2, f"up{level}", policy, strides=2
        )  # (B, H / 2**l, W / 2**l, F)
        x = keras.layers.Concatenate(name=f"skip{level}")([skips[level], x])  # (B, H / 2**l, W / 2**l, 2 F)
        x = _two_convolutions(x, last if level == 0 else base * 2**level, f"merge{level}", policy)  # F; (B, H, W, last) on top
    y_pred = keras.layers.Conv2D(CLASSES, 1, activation="softmax", name="classes")(x)  # (B, H, W, 3)
    model = keras.Model(image, y_pred, name="unet")
    _set_initial_weights(model, seed)
    return model


def _two_convolutions(x: keras.KerasTensor, filters: int, name: str, policy: str) -> keras.KerasTensor:
    """(B, H, W, C) to (B, H, W, filters)."""
    for suffix in "ab":
        x = _convolution(x, keras.layers.Conv2D, filters, 3, name + suffix, policy)
    return x


def _convolution(
    x: keras.KerasTensor, kind: type[keras.layers.Layer], filters: int, kernel: int, name: str, policy: str, **options: int
) -> keras.KerasTensor:
    x = kind(filters, kernel, padding="same", name=name, dtype=policy, kernel_regularizer=keras.regularizers.L2(L2), **options)(x)
    return keras.layers.Activation("selu", dtype="float32", name=f"{name}_selu")(x)


def _dropout_seed(seed: int, level: int) -> int:
    return int(np.random.default_rng([seed, 1, level]).integers(2**31))


def _set_initial_weights(model: keras.Model, seed: int) -> None:
    """Glorot normal kernels drawn with NumPy, one stream per layer: the same for every row and backend."""
    layers = [layer for layer in model.layers if layer.weights and hasattr(layer, "kernel")]
    for index, layer in enumerate(layers):
        rng = np.random.default_rng([seed, 0, index])
        layer.kernel.assign(glorot_normal(layer.kernel.shape, rng))


def glorot_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw a convolution kernel from Glorot's truncated normal distribution.

    Parameters
    ----------
    shape : tuple of int
        Height, width and the two channel counts of the kernel.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of float32
        Standard deviation sqrt(2 / (fan in + fan out)), nothing beyond two of the untruncated deviations.

    References
    ----------
    Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    """
    fans = np.prod(shape[:-2]) * (shape[-2] + shape[-1])
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(outside.sum())
    truncated_deviation = 0.87962566103423978
    return (values * np.sqrt(2 / fans) / truncated_deviation).astype(np.float32)
