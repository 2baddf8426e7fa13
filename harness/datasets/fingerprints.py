"""Whether two images show the same place, however they were saved: a fingerprint is where an image's bright spots lie.

Spots keep their places when intensities are rescaled, and move together when an image is flipped, turned by right angles or
cropped. Each spot with three of its nearest ones is a constellation, whose code does not change with flips and turns; images
that share enough of them in one position overlap there (star maps are found so: Lang et al. 2010, Astron J 139:1782).
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, label, maximum_filter
from scipy.spatial import KDTree

VERSION = 1  # of what a fingerprint holds: kept ones of another are made again
FINE, COARSE = 1.5, 4.0  # px: what is smoothed away, and what a spot stands out from
APART = 3  # px between spots, and from the edge
FAINT = 0.1  # of the strength of strong spots: what counts
STRONGEST = 20  # whose median strength that is
MOST = 400  # spots an image
NEAREST, TAKEN = 4, 3  # neighbours of a spot, and those of them in a constellation
REACH = 127  # px to them
SAME = 16  # images in which one constellation is followed
VOTES = 4  # constellations that two images share in one position, for a closer look
SPOTS, SHARE = 6, 0.5  # spots that lie on each other there, and their share of those that could
NEAR = 1.5  # px

TURNS = np.array(
    [axes @ np.diag(signs) for axes in np.eye(2, dtype=int)[[[0, 1], [1, 0]]] for signs in product((1, -1), repeat=2)]
)
CHOICES = np.array(list(combinations(range(NEAREST), TAKEN)))


class Fingerprint(NamedTuple):
    """What an image is recognised by.

    Attributes
    ----------
    shape : (int, int)
        Of the image.
    spots : (N, 2) int16 ndarray
        Rows and columns of its spots, the strongest first.
    """

    shape: tuple[int, ...]
    spots: np.ndarray


class Overlap(NamedTuple):
    """Two images that show the same place.

    Attributes
    ----------
    one, other : int
        Their places in the sequence, the smaller first.
    spots : int
        How many spots lie on each other.
    share : float
        Of the spots that could, as the images overlap.
    """

    one: int
    other: int
    spots: int
    share: float


def fingerprint(image: np.ndarray) -> Fingerprint:
    """The fingerprint of an image, (H, W), of any numeric dtype."""
    image = image.astype(np.float32)
    smooth = gaussian_filter(image, FINE)
    strength = smooth - gaussian_filter(image, COARSE)
    peaks = (smooth == maximum_filter(smooth, 2 * APART + 1)) & (strength > 0)
    peaks[:APART] = peaks[-APART:] = peaks[:, :APART] = peaks[:, -APART:] = False
    spots = np.argwhere(peaks & ~_plateaus(peaks))
    strength = strength[tuple(spots.T)]
    order = np.argsort(-strength, kind="stable")
    typical = np.median(strength[order[:STRONGEST]]) if len(order) else 0.0
    return Fingerprint(image.shape, spots[order[strength[order] > FAINT * typical][:MOST]].astype(np.int16))


def packed(fingerprints: Sequence[Fingerprint]) -> dict[str, np.ndarray]:
    """Fingerprints as arrays, for `numpy.savez_compressed`."""
    return {
        "shapes": np.array([each.shape for each in fingerprints], int).reshape(-1, 2),
        "counts": np.array([len(each.spots) for each in fingerprints], int),
        "spots": np.concatenate([np.empty((0, 2), np.int16), *(each.spots for each in fingerprints)]),
    }


def unpacked(arrays: Mapping[str, np.ndarray]) -> list[Fingerprint]:
    """The fingerprints that `packed` gave."""
    spots = np.split(arrays["spots"], np.cumsum(arrays["counts"])[:-1]) if len(arrays["counts"]) else []
    return [Fingerprint(tuple(shape), each) for shape, each in zip(arrays["shapes"].tolist(), spots, strict=True)]


def _plateaus(peaks: np.ndarray) -> np.ndarray:
    """Where several pixels side by side are equally bright, as in a saturated nucleus: which of them counts is chance."""
    parts, _ = label(peaks, np.ones((3, 3)))
    return np.bincount(parts.ravel())[parts] > 1


def overlaps(fingerprints: Sequence[Fingerprint], groups: Sequence[int]) -> list[Overlap]:
    """The pairs of images of different groups that show the same place, those with most spots in common first.

    Parameters
    ----------
    fingerprints : sequence of Fingerprint
    groups : sequence of int
        Of each image; pairs within a group are not looked for.

    Returns
    -------
    list of Overlap
        Each pair once. Time and memory grow with the number of spots, not of pairs.
    """
    found = {}
    for one, other, turn, *shift in _candidates([each.spots for each in fingerprints], np.asarray(groups)).tolist():
        if (one, other) not in found:
            overlap = Overlap(one, other, *_on_each_other(fingerprints[one], fingerprints[other], TURNS[turn], np.array(shift)))
            if overlap.spots >= SPOTS and overlap.share >= SHARE:
                found[one, other] = overlap
    return sorted(found.values(), key=lambda each: -each.spots)


def _candidates(spots: Sequence[np.ndarray], groups: np.ndarray) -> np.ndarray:
    """Pairs of images in a common position, one per line: the two, turn, shift in rows and in columns; most votes first."""
    images, codes, turns, places = _constellations(spots)
    order = np.argsort(codes, kind="stable")
    images, codes, turns, places = images[order], codes[order], turns[order], places[order]
    votes = [np.empty((0, 5), int)]
    for lag in range(1, SAME):
        one = np.flatnonzero((codes[lag:] == codes[:-lag]) & (groups[images[lag:]] != groups[images[:-lag]]))
        other = one + lag
        turn = np.einsum("nji,njk->nik", TURNS[turns[one]], TURNS[turns[other]])  # a turn is undone by its transpose
        shift = places[one] - np.einsum("nij,nj->ni", turn, places[other])
        votes.append(np.column_stack([images[one], images[other], _number(turn), shift]))
    return _counted(np.concatenate(votes))


def _number(turn: np.ndarray) -> np.ndarray:
    """Which of `TURNS` each of (N, 2, 2) matrices is."""
    return (turn[:, None] == TURNS).all((2, 3)).argmax(1)


def _counted(votes: np.ndarray) -> np.ndarray:
    """The different lines that occur `VOTES` times or more, those that occur most first."""
    votes = votes[np.lexsort(votes.T[::-1])]
    starts = np.flatnonzero(np.append(True, (votes[1:] != votes[:-1]).any(1))) if len(votes) else np.empty(0, int)
    counts = np.diff(np.append(starts, len(votes)))
    return votes[starts[np.argsort(-counts, kind="stable")]][: (counts >= VOTES).sum()]


def _constellations(spots: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Of all images together: image, code, turn into the position of the code, and place of the spot it is about."""
    made = [_of_image(each.astype(int)) for each in spots]
    codes, turns, places = (np.concatenate(parts) for parts in zip(*made, strict=True))
    return np.repeat(np.arange(len(made)), [len(each[0]) for each in made]), codes, turns, places


def _of_image(spots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The code is the smallest over all turns, of the offsets to the neighbours in their order."""
    if len(spots) <= NEAREST:
        return np.empty(0, int), np.empty(0, int), np.empty((0, 2), int)
    distance, nearest = KDTree(spots).query(spots, NEAREST + 1)
    close = distance[:, -1] <= REACH
    offsets = (spots[nearest[:, 1:]] - spots[:, None])[close]  # (N, NEAREST, 2)
    turned = np.einsum("tij,nkj->tnki", TURNS, offsets) + REACH + 1
    words = np.sort((turned[..., 0] << 8 | turned[..., 1])[:, :, CHOICES], axis=-1)  # (8, N, choices, TAKEN)
    codes = words[..., 0] << 32 | words[..., 1] << 16 | words[..., 2]
    places = np.repeat(spots[close], len(CHOICES), axis=0)
    return codes.min(0).ravel(), codes.argmin(0).ravel(), places


def _on_each_other(one: Fingerprint, other: Fingerprint, turn: np.ndarray, shift: np.ndarray) -> tuple[int, float]:
    """How many spots lie on each other when the other image is turned and shifted onto the one, and their share."""
    mine = one.spots[_inside((one.spots - shift) @ turn, other.shape)]
    moved = other.spots @ turn.T + shift
    theirs = moved[_inside(moved, one.shape)]
    could = min(len(mine), len(theirs))
    if not could:
        return 0, 0.0
    found = int((KDTree(mine).query(theirs, distance_upper_bound=NEAR)[0] <= NEAR).sum())
    return found, found / could


def _inside(spots: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.all((spots >= APART) & (spots < np.array(shape) - APART), axis=1)
