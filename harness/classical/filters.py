"""What happens to objects after they are told apart: border, size, holes, numbering."""

import numpy as np
from numba import njit

from harness.classical.components import label_background


def discard_border(labels):
    """Remove the objects that have a pixel on the image border."""
    keep = np.ones(labels.max() + 1, bool)
    keep[_border(labels)] = False
    return np.where(keep[labels], labels, 0)


def discard_size(labels, min_diameter, max_diameter):
    """Remove the objects whose area is outside that of disks of the two diameters."""
    areas = np.bincount(labels.ravel())
    keep = (areas >= np.pi * min_diameter ** 2 / 4) & (areas <= np.pi * max_diameter ** 2 / 4)
    keep[0] = False
    return np.where(keep[labels], labels, 0)


def relabel(labels):
    """Number the objects 1..n in the order of their labels."""
    present = np.bincount(labels.ravel(), minlength=1) > 0
    present[0] = False
    return np.cumsum(present, dtype=np.int32)[labels] * (labels > 0)


def _border(labels):
    return np.unique(np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1])))


def fill_holes(labels):
    """Give holes to the object around them, and objects that lie wholly within another one to that one.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)

    Returns
    -------
    ndarray of int32, shape (H, W)
    """
    objects = int(labels.max())
    holes, count = label_background(labels > 0)
    regions = np.where(labels > 0, labels, holes + objects)
    first, neighbours = _adjacency(regions, objects + count)
    new = _owners(first, neighbours, _border(regions), objects)
    return new[regions]


def _adjacency(regions, count):
    """Neighbours of each region, ascending: those of region r are neighbours[first[r]:first[r + 1]]."""
    pairs = [np.stack((a[a != b], b[a != b])) for a, b in
             ((regions[:-1], regions[1:]), (regions[:, :-1], regions[:, 1:]))]
    a, b = np.concatenate(pairs, axis=1).astype(np.int64)
    keys = np.unique(np.concatenate((a * (count + 1) + b, b * (count + 1) + a)))
    of, neighbours = np.divmod(keys, count + 1)
    return np.searchsorted(of, np.arange(count + 2)), neighbours


@njit(cache=True, nogil=True)
def _owners(first, neighbours, border, objects):
    """The object that each region becomes part of, 0 for background."""
    count = len(first) - 1
    outside = np.zeros(count, np.bool_)
    reached_from = np.zeros(count, np.int64)
    stack = np.empty(count, np.int64)
    size = len(border)
    for k in range(size):
        stack[k] = border[k]
        outside[border[k]] = True
    while size:
        size -= 1
        region = stack[size]
        for other in neighbours[first[region]:first[region + 1]]:
            if outside[other]:
                continue
            if region <= objects:
                if reached_from[other] == 0:
                    reached_from[other] = region
                if reached_from[other] == region:
                    continue
            elif other > objects:
                continue
            outside[other] = True
            stack[size] = other
            size += 1
    for region in range(count):
        if outside[region] and reached_from[region]:
            stack[size] = region
            size += 1
    while size:
        size -= 1
        region = stack[size]
        for other in neighbours[first[region]:first[region + 1]]:
            if reached_from[other] == 0:
                reached_from[other] = reached_from[region]
                stack[size] = other
                size += 1
    owners = np.zeros(count, np.int32)
    for region in range(count):
        if not outside[region]:
            owners[region] = reached_from[region]
        elif region <= objects:
            owners[region] = region
    return owners
