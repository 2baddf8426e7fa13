"""The losses: the paper's class-weighted log Dice (section 2.3, eq. 1 and 2), and its linear form for comparison."""

import numpy as np
from keras import KerasTensor, ops

WEIGHTS = (0.2, 0.4, 0.4)
SMOOTHING = 1.0


def dice_coefficients(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
    """Soft Dice coefficient of each class over a batch, eq. 2 of the paper.

    Parameters
    ----------
    y_true : (B, H, W) or (B, H, W, 1) integer tensor
        Class map: 0 background, 1 nucleus, 2 separation; any other value (3) is ignored, that is left out of all sums.
    y_pred : (B, H, W, 3) float tensor
        The network's softmax.

    Returns
    -------
    (3,) tensor
        (2 sum(y_true y_pred) + 1) / (sum(y_true) + sum(y_pred) + 1), the sums over the whole batch.
    """
    y_true = ops.reshape(y_true, ops.shape(y_pred)[:3])  # (B, H, W)
    target = ops.one_hot(ops.cast(y_true, "int32"), len(WEIGHTS), dtype=y_pred.dtype)  # (B, H, W, 3)
    predicted = y_pred * ops.sum(target, axis=-1, keepdims=True)  # (B, H, W, 3)
    both = ops.sum(predicted * target, axis=(0, 1, 2))  # (3,)
    either = ops.sum(predicted, axis=(0, 1, 2)) + ops.sum(target, axis=(0, 1, 2))  # (3,)
    return (2 * both + SMOOTHING) / (either + SMOOTHING)  # (3,)


def log_dice_loss(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
    """Class-weighted sum of the log Dice losses, eq. 1 of the paper: -(0.2 log d_BG + 0.4 log d_N + 0.4 log d_SL).

    Parameters and shapes as in `dice_coefficients`; returns a scalar tensor, 0 for a perfect prediction, without bound.
    """
    return -_weighted(ops.log(dice_coefficients(y_true, y_pred)))


def dice_loss(y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
    """The same sum without the logarithm, 1 - (0.2 d_BG + 0.4 d_N + 0.4 d_SL): what this harness trained with at first.

    Parameters and shapes as in `dice_coefficients`; returns a scalar tensor from 0 to 1.
    """
    return 1 - _weighted(dice_coefficients(y_true, y_pred))


def _weighted(values: KerasTensor) -> KerasTensor:
    return ops.sum(values * ops.convert_to_tensor(WEIGHTS, dtype=values.dtype))


LOSSES = {"log-dice": log_dice_loss, "dice": dice_loss}


def of_one_answer(counts: np.ndarray, loss: str) -> float:
    """The smallest loss of a network that gives all pixels the same probabilities, so has learned nothing from images.

    Parameters
    ----------
    counts : (M, 3) ndarray
        Pixels of each class in M batches, the ignored left out.
    loss : str
        One of `LOSSES`.

    Returns
    -------
    float
        Mean over the batches; the smallest over probabilities in steps of a fiftieth.
    """
    background, nucleus = (share.ravel() for share in np.meshgrid(*[np.linspace(0, 1, 51)] * 2))
    given = np.stack([background, nucleus, 1 - background - nucleus], 1)[background + nucleus < 1.01].clip(0)  # (K, 3)
    given = given[:, None]  # (K, 1, 3), against (M, 3)
    dice = (2 * given * counts + SMOOTHING) / (given * counts.sum(1, keepdims=True) + counts + SMOOTHING)
    losses = 1 - dice if loss == "dice" else -np.log(dice)
    return float((losses @ np.array(WEIGHTS)).mean(1).min())
