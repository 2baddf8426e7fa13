"""Where the pixels lie that keep the Dice coefficient of the nuclei below 1."""

import numpy as np

from harness.core.label_images import over_crosses
from harness.method.classmap import BACKGROUND, NUCLEUS, SEPARATION

OUTSIDE, NEAR, RIM, INSIDE = 0, 1, 2, 3

# False foreground, predicted as nucleus: where a separation is annotated, within 1 px of what is annotated, 1 to 2 px from it,
# farther out. False background, annotated as nucleus: predicted as separation, in nuclei that are missed altogether, within
# 2 px of the background, deeper inside.
FALSE_FOREGROUND = ("fp_separation", "fp_1px", "fp_2px", "fp_far")
FALSE_BACKGROUND = ("fn_separation", "fn_missed", "fn_rim", "fn_inside")
RIGHT = ("px_annotated", "px_both")


def zones(classes: np.ndarray) -> np.ndarray:
    """How far every pixel of an annotated (H, W) class map lies from the outline of its foreground; (H, W) uint8.

    `OUTSIDE`: background farther than 2 px from the foreground. `NEAR`: background within 1 px of it. `RIM`: background 1 to
    2 px from it, and foreground within 2 px of the background. `INSIDE`: the rest of the foreground.

    Examples
    --------
    >>> zones(np.array([[0, 0, 0, 0, 1, 1, 1, 1]]))
    array([[0, 0, 2, 1, 2, 2, 3, 3]], dtype=uint8)
    """
    foreground = classes != BACKGROUND
    found = np.where(foreground, INSIDE, OUTSIDE).astype(np.uint8)
    near = _one_further(foreground)
    found[_one_further(_one_further(~foreground)) & foreground] = RIM
    found[_one_further(near) & ~foreground] = RIM
    found[near & ~foreground] = NEAR
    return found


def _one_further(mask):
    """Dilated by a cross; twice, by all pixels within 2 px."""
    return over_crosses(mask, np.maximum)


def dice_errors(y_true: np.ndarray, y_pred: np.ndarray, nuclei: np.ndarray, zone: np.ndarray) -> dict[str, int]:
    """Pixels of class nucleus on either side of one tile, sorted by where they are wrong.

    Parameters
    ----------
    y_true, y_pred : (H, W) uint8 ndarray
        Class maps.
    nuclei : (H, W) int32 ndarray
        The annotated label image that `y_true` is of.
    zone : (H, W) uint8 ndarray
        `zones` of `y_true`, or the tile's part of those of its field.

    Returns
    -------
    dict of str to int
        Numbers of pixels: px_annotated; px_both, predicted as well; and those of `FALSE_FOREGROUND` and `FALSE_BACKGROUND`.

    Examples
    --------
    >>> y_true, y_pred = np.array([[0, 0, 0, 1, 1, 0]]), np.array([[1, 0, 1, 1, 0, 0]])
    >>> found = dice_errors(y_true, y_pred, y_true, zones(y_true))
    >>> {name: count for name, count in found.items() if count}
    {'px_annotated': 2, 'px_both': 1, 'fp_1px': 1, 'fp_far': 1, 'fn_rim': 1}
    """
    truth, said = y_true == NUCLEUS, y_pred == NUCLEUS
    extra, lacking = said & ~truth, truth & ~said
    met = np.zeros(nuclei.max(initial=0) + 1, bool)
    met[nuclei[y_pred != BACKGROUND]] = True
    counts = {"px_annotated": truth, "px_both": truth & said}
    counts |= _sorted(extra, FALSE_FOREGROUND, [y_true == SEPARATION, zone == NEAR, zone == RIM]) | _sorted(
        lacking, FALSE_BACKGROUND, [y_pred == SEPARATION, ~met[nuclei], zone == RIM]
    )
    return {name: int(pixels.sum()) for name, pixels in counts.items()}


def _sorted(wrong, names, places):
    """Each wrong pixel under the first of the places it is in, or else under the last name."""
    found, left = {}, wrong
    for name, place in zip(names, [*places, True], strict=True):
        found[name], left = left & place, left & ~np.asarray(place)
    return found
