"""Thinning of a mask to its skeleton: Zhang & Suen (1984), CACM 27:236, with the rules of scikit-image, pixel for pixel."""

import numpy as np
from numba import njit

FIRST, SECOND, BOTH = 1, 2, 3  # the two steps that take turns
RING = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"]
# By the neighbours that are set, where scikit-image decides otherwise than the paper: the test asks it about each.
OTHERWISE = {
    0: ("SE S", "W NW"),
    FIRST: ("N NW", "N NE", "NE E", "N NE E", "N E NW", "N W NW", "N NE W", "S W NW", "N SW W", "N NE SW W"),
    SECOND: ("E SE", "S SW", "SW W", "E SE S", "S SW W", "N E SE", "E S SW", "NE E S SW", "SE S W"),
    BOTH: ("N E", "E S", "S W", "N W"),
}


def thin(mask: np.ndarray) -> np.ndarray:
    """Thin a mask to lines of one pixel; equal to `skimage.morphology.skeletonize`, which looks at every pixel in every step.

    Whether a pixel goes follows from its eight neighbours. So after the first two steps only neighbours of what has just gone
    are looked at.

    Parameters
    ----------
    mask : (H, W) boolean ndarray
        What lies outside it counts as not set.

    Returns
    -------
    (H, W) boolean ndarray

    Examples
    --------
    >>> thin(np.ones((3, 7), bool)).astype(int)
    array([[0, 0, 0, 0, 0, 1, 0],
           [1, 1, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0, 0]])
    """
    padded = np.pad(mask.astype(np.uint8), 1)
    width = padded.shape[1]
    around = np.array([-width, 1 - width, 1, 1 + width, width, width - 1, -1, -1 - width])  # clockwise from above
    _thin(padded.ravel(), around, REMOVABLE)
    return padded[1:-1, 1:-1].astype(bool)


def _removable() -> np.ndarray:
    """In which steps a pixel goes, by its neighbours: bit k of the index is the k-th of them, clockwise from above."""
    steps = np.zeros(256, np.uint8)
    for code in range(256):
        ring = [code >> k & 1 for k in range(8)]
        up, right, down, left = ring[::2]
        if 2 <= sum(ring) <= 6 and sum(here < after for here, after in zip(ring, ring[1:] + ring[:1], strict=True)) == 1:
            steps[code] = FIRST * (not right & down & (up | left)) + SECOND * (not up & left & (right | down))
    for step, neighbourhoods in OTHERWISE.items():
        steps[[sum(1 << RING.index(name) for name in names.split()) for names in neighbourhoods]] = step
    return steps


REMOVABLE = _removable()


@njit(cache=True, nogil=True)
def _thin(pixels: np.ndarray, around: np.ndarray, removable: np.ndarray) -> None:
    """In place. All of a step go at once; `due` says in which of the coming steps a pixel is looked at."""
    rings, due = np.zeros(pixels.size, np.uint8), np.zeros(pixels.size, np.uint8)
    for i in range(pixels.size):
        if pixels[i]:
            for k in range(8):
                rings[i] |= pixels[i + around[k]] << k
    now = [i for i in range(pixels.size) if pixels[i] and rings[i] < 255]  # of those inside all neighbours are set
    soon, step = now.copy(), FIRST
    due[np.array(now, np.int64)] = BOTH
    while len(now) + len(soon):
        removed = [i for i in now if pixels[i] and removable[rings[i]] & step]
        for i in now:
            due[i] -= step
        for i in removed:
            pixels[i] = 0
        later = now[:0]
        for i in removed:
            for k in range(8):
                j = i + around[k]
                rings[j] &= ~(1 << (k + 4) % 8)
                if pixels[j] and due[j] < BOTH:
                    if not due[j] & step:
                        later.append(j)
                    if not due[j] & (BOTH - step):
                        soon.append(j)
                    due[j] = BOTH
        now, soon, step = soon, later, BOTH - step
