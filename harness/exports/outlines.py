"""Nuclei as polygons along the edges of their pixels: nothing is smoothed, so the pixels can be had back."""

from collections.abc import Iterator

import numpy as np
from skimage.measure import label

Ring = list[tuple[int, int]]  # x, y of its corners in px, the upper left corner of the first pixel is (0, 0)
Polygon = list[Ring]  # the outer ring, then those of holes

# Sides of a pixel, clockwise from the top: where the end of each lies from its upper left corner.
END_X, END_Y = np.array([1, 1, 0, 0]), np.array([0, 1, 1, 0])


def outlines(labels: np.ndarray) -> dict[int, list[Polygon]]:
    """Outline every nucleus of a label image.

    Parameters
    ----------
    labels : (H, W) integer ndarray
        Label image; the ids need not be consecutive.

    Returns
    -------
    dict of int to list of polygons
        By ascending id. A polygon is a 4-connected part of the nucleus. Its rings have no corner twice, are not closed
        by a last corner that is the first, and are clockwise as seen on the screen, holes the other way round. Rings may
        touch in a corner, and nothing else: the polygons are simple features as of OGC 06-103r4, 6.1.11.

    Examples
    --------
    >>> outlines(np.array([[7, 7, 7], [7, 0, 7], [7, 7, 7]]))
    {7: [[[(3, 0), (3, 3), (0, 3), (0, 0)], [(1, 1), (1, 2), (2, 2), (2, 1)]]]}
    """
    parts = label(labels, background=0, connectivity=1)
    polygons: dict[int, Polygon] = {}
    for part, ring in _rings(parts):
        found = polygons.setdefault(part, [])
        for loop in _loops(ring):
            found.insert(0 if _area(loop) > 0 else len(found), loop)
    inside = dict(zip(*_first_pixels(parts), strict=True))
    nuclei: dict[int, list[Polygon]] = {}
    for part, polygon in polygons.items():
        nuclei.setdefault(int(labels.flat[inside[part]]), []).append(polygon)
    return dict(sorted(nuclei.items()))


def _first_pixels(parts: np.ndarray) -> tuple[list[int], list[int]]:
    ids, first = np.unique(parts, return_index=True)
    return ids.tolist(), first.tolist()


def _rings(parts: np.ndarray) -> Iterator[tuple[int, Ring]]:
    """The closed walks along the boundary of each part, the part to the right; a corner may be passed twice."""
    x, y, part, follows, turns = _sides(parts)
    seen = bytearray(len(follows))
    for start in range(len(follows)):
        at, ring = start, []
        while not seen[at]:
            seen[at] = 1
            if turns[at]:
                ring.append((x[at], y[at]))
            at = follows[at]
        if ring:
            yield part[start], ring


def _sides(parts: np.ndarray) -> Iterator[list]:
    """Sides of pixels at which a part ends: x and y of their ends, part, the side that follows, and whether it turns there."""
    flat, width = np.pad(parts, 1).ravel(), parts.shape[1] + 2
    out = np.array([-width, 1, width, -1])  # from a pixel to its neighbour across each side
    inside = np.flatnonzero(flat)
    pixel, side = np.nonzero(flat[inside[:, None] + out] != flat[inside, None])
    pixel = inside[pixel]
    ahead = pixel + out[(side + 1) % 4]
    beyond = ahead + out[side]
    right, straight = flat[ahead] != flat[pixel], flat[beyond] != flat[pixel]  # right first: diagonal pixels do not connect
    next_pixel = np.where(right, pixel, np.where(straight, ahead, beyond))
    next_side = np.where(right, side + 1, np.where(straight, side, side - 1)) % 4
    follows = np.searchsorted(pixel * 4 + side, next_pixel * 4 + next_side)
    x, y = pixel % width - 1 + END_X[side], pixel // width - 1 + END_Y[side]
    return (array.tolist() for array in (x, y, flat[pixel], follows, next_side != side))


def _loops(ring: Ring) -> Iterator[Ring]:
    """Cut a walk where it passes a corner again: between a hole and the outside, or two holes, that meet at a corner."""
    walked: Ring = []
    place: dict[tuple[int, int], int] = {}
    for corner in ring:
        if corner in place:
            at = place[corner]
            yield walked[at:]
            for passed in walked[at:]:
                del place[passed]
            del walked[at:]
        place[corner] = len(walked)
        walked.append(corner)
    yield walked


def _area(ring: Ring) -> float:
    """In px, negative for holes (Gauss' shoelace formula)."""
    x, y = np.array(ring).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
