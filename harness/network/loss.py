"""The weighted soft Dice loss of the paper (eq. 1 and 2)."""

from keras import ops

WEIGHTS = (0.2, 0.4, 0.4)
SMOOTHING = 1.0


def dice_loss(class_map, probabilities):
    """Weighted soft Dice loss over background, nuclei and separations.

    Parameters
    ----------
    class_map : (B, H, W) or (B, H, W, 1) integer tensor
        0 background, 1 nucleus, 2 separation; any other value (3) is ignored: it is left out of both sums.
    probabilities : (B, H, W, 3) float tensor
        The network's softmax.

    Returns
    -------
    scalar tensor
        1 - sum over classes of weight * (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), the sums over the whole batch.
    """
    class_map = ops.reshape(class_map, ops.shape(probabilities)[:3])
    target = ops.one_hot(ops.cast(class_map, "int32"), len(WEIGHTS), dtype=probabilities.dtype)
    predicted = probabilities * ops.sum(target, axis=-1, keepdims=True)
    both = ops.sum(predicted * target, axis=(0, 1, 2))
    either = ops.sum(predicted, axis=(0, 1, 2)) + ops.sum(target, axis=(0, 1, 2))
    dice = (2 * both + SMOOTHING) / (either + SMOOTHING)
    return 1 - ops.sum(dice * ops.convert_to_tensor(WEIGHTS, dtype=dice.dtype))
