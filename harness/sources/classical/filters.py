"""What happens to objects after they are told apart: border, size, holes, numbering."""

import numpy as np
from numba import njit

from harness.core.label_images import new_ids, touching_edge
from harness.sources.classical.components import label_background
from harness.sources.classical.settings import Settings


def finish(labels: np.ndarray, settings: Settings) -> np.ndarray:
    """Filter the objects, fill their holes and number them 1..n.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
    settings : Settings

    Returns
    -------
    ndarray of int32, shape (H, W)
        All 0 when there are more objects than `settings.max_objects`.
    """
    area = areas(labels, labels.max(initial=0) + 1)
    keep = in_size(area, settings) if settings.discard_size else area > 0
    keep[0] = False
    if settings.discard_border:
        keep[touching_edge(labels)] = False
    labels = take(new_ids(keep), labels)
    if settings.fill_holes != "never":
        labels = fill_holes(labels)
    if settings.max_objects is not None and labels.max(initial=0) > settings.max_objects:
        return np.zeros_like(labels)
    return labels


def in_size(area: np.ndarray, settings: Settings) -> np.ndarray:
    """Whether areas in pixels are within those of disks of the smallest and the largest diameter."""
    smallest, largest = (np.pi * diameter**2 / 4 for diameter in (settings.min_diameter, settings.max_diameter))
    return (area >= smallest) & (area <= largest)


def fill_holes(labels: np.ndarray) -> np.ndarray:
    """Give holes to the object around them, and objects that lie wholly within another one to that one.

    A hole is a 4-connected part of the background off the image border. Of any size, it is filled when it
    touches one object only; an object from which every way out leads through one other object is absorbed by it.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        Without gaps in the numbers 1..n.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Without gaps, in the same order.
    """
    objects = int(labels.max(initial=0))
    background, count = label_background(labels)
    regions = _regions(labels, background, objects)
    first, neighbours = _adjacency(regions, objects + count + 1)
    owners = _owners(first, neighbours, touching_edge(regions), objects)
    left = np.zeros(objects + 1, bool)
    left[owners[1:]] = True
    left[0] = False
    return take(new_ids(left)[owners], regions)


@njit(cache=True, nogil=True)
def _regions(labels: np.ndarray, background: np.ndarray, objects: int) -> np.ndarray:
    """Objects and parts of the background in one label image, these numbered after those (in place)."""
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            if background[i, j]:
                background[i, j] += objects
            else:
                background[i, j] = labels[i, j]
    return background


def _adjacency(regions: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of each region, ascending: those of region r are neighbours[first[r]:first[r + 1]]."""
    a, b = np.divmod(np.unique(_touching(regions, count)), count)
    keys = np.unique(np.concatenate((a * count + b, b * count + a)))
    return np.searchsorted(keys, np.arange(count + 1) * count), keys % count


@njit(cache=True, nogil=True)
def _touching(regions: np.ndarray, count: int) -> np.ndarray:
    """Pairs (a, b) of regions with 4-neighbours in each other, as numbers a * count + b; most repeats are left out."""
    rows, columns = regions.shape
    keys = np.empty(2 * regions.size, np.int64)
    n = 0
    for i in range(rows):
        last = np.int64(-1)
        for j in range(columns):
            here = np.int64(regions[i, j])
            if i + 1 < rows and regions[i + 1, j] != here:
                key = here * count + regions[i + 1, j]
                keys[n] = key
                n += key != last
                last = key
            if j + 1 < columns and regions[i, j + 1] != here:
                keys[n] = here * count + regions[i, j + 1]
                n += 1
    return keys[:n]


@njit(cache=True, nogil=True)
def _owners(first: np.ndarray, neighbours: np.ndarray, border: np.ndarray, objects: int) -> np.ndarray:
    """The object that each region becomes part of, 0 for background.

    Regions on the border are outside, and so is, in turn, an object that touches an outside background, and any
    region that touches two different outside objects. All others are holes.
    """
    count = len(first) - 1
    outside = np.zeros(count, np.bool_)
    reached_from = np.zeros(count, np.int64)
    stack = np.empty(count, np.int64)
    size = len(border)
    stack[:size] = border
    outside[border] = True
    while size:
        size -= 1
        region = stack[size]
        for other in neighbours[first[region] : first[region + 1]]:
            if outside[other] or (region > objects and other > objects):
                continue
            if region <= objects and reached_from[other] in (0, region):
                reached_from[other] = region
                continue
            outside[other] = True
            stack[size] = other
            size += 1
    _pass_on(first, neighbours, outside, reached_from, stack)
    owners = np.zeros(count, np.int32)
    for region in range(count):
        if not outside[region]:
            owners[region] = reached_from[region]
        elif region <= objects:
            owners[region] = region
    return owners


@njit(cache=True, nogil=True)
def _pass_on(first: np.ndarray, neighbours: np.ndarray, outside: np.ndarray, reached_from: np.ndarray, stack: np.ndarray) -> None:
    """Holes within holes take the owner of those that the outside has reached, from these inwards."""
    size = 0
    for region in range(len(outside)):
        if reached_from[region] and not outside[region]:
            stack[size] = region
            size += 1
    while size:
        size -= 1
        region = stack[size]
        for other in neighbours[first[region] : first[region + 1]]:
            if reached_from[other] == 0:
                reached_from[other] = reached_from[region]
                stack[size] = other
                size += 1


@njit(cache=True, nogil=True)
def areas(labels: np.ndarray, count: int) -> np.ndarray:
    """Pixels of each of the labels 0..count-1."""
    area = np.zeros(count, np.int64)
    for row in labels:
        for label in row:
            if label:
                area[label] += 1
    area[0] = labels.size - area.sum()
    return area


@njit(cache=True, nogil=True)
def take(table: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`table[labels]` for a label image."""
    taken = np.empty(labels.shape, table.dtype)
    for i in range(labels.shape[0]):
        for j in range(labels.shape[1]):
            taken[i, j] = table[labels[i, j]]
    return taken
