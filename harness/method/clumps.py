"""More clumps to learn from: copies of nuclei that stand alone, put beside others until they touch.

Where the line between two nuclei runs is then known without annotation, since each was seen alone before. Light adds up in
fluorescence, so what a copy shines above its own background is added to what is there.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage
from skimage.measure import regionprops

HALO = 0.2  # diameters of the field's median nucleus: as far as the light of a copied nucleus reaches, nothing else may be
SIZES = 0.4, 2.5  # areas of copied nuclei, as multiples of the median
SOLID = 0.9  # share of its convex hull that a nucleus fills, as `ignore-concave` has it
DEEP = 0.1  # share of the smaller one by which two nuclei may lie over each other
DIRECTIONS = 12  # in which a place beside a nucleus is looked for
APART = 2  # px that a copy keeps from everything but the nucleus it is put beside

Window = tuple[slice, slice]


class _Copy(NamedTuple):
    """A nucleus that stands alone, with all of its light."""

    mask: np.ndarray  # (h, w) bool
    near: np.ndarray  # (h, w) bool, the mask and `APART` px around it
    light: np.ndarray  # (h, w) float64, above the background; fades to 0 over the halo


def clumped(
    image: np.ndarray, labels: np.ndarray, ignore: np.ndarray, share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The same field with more nuclei that touch.

    Parameters
    ----------
    image : (H, W) ndarray
        Intensities as stored.
    labels : (H, W) int32 ndarray
    ignore : (H, W) bool ndarray
        Nothing is copied from there or put there.
    share : float
        Of the convex nuclei, how many get a neighbour; fewer where there is no room.
    rng : numpy.random.Generator

    Returns
    -------
    image : (H, W) ndarray
        Of the same dtype; what is too bright for it becomes its brightest value.
    labels : (H, W) int32 ndarray
        New nuclei have new ids. Where two lie over each other, a pixel belongs to the one in which it lies deeper.
    """
    shown, labels = image.astype(np.float64), labels.copy()
    copies, hosts = _alone(image, labels, ignore), [each.label for each in regionprops(labels) if _is_whole(each, ignore)]
    for host in rng.permutation(hosts)[: round(share * len(hosts))] if copies else ():
        copy = _turned(copies[rng.integers(len(copies))], rng)
        place = next(_places(labels, ignore, int(host), copy, rng), None)
        if place:
            shown[place] += copy.light
            labels[place][copy.mask & _is_deeper(copy.mask, labels[place] == host)] = labels.max() + 1
    return _as_stored(shown, image.dtype), labels


def _is_whole(nucleus: Any, ignore: np.ndarray) -> bool:
    return nucleus.solidity >= SOLID and not ignore[nucleus.slice][nucleus.image].any()


def _alone(image: np.ndarray, labels: np.ndarray, ignore: np.ndarray) -> list[_Copy]:
    """Copies of the nuclei of ordinary size that have nothing within their halo, and all of it inside of the field."""
    nuclei = regionprops(labels)
    median = np.median([each.area for each in nuclei]) if nuclei else 0.0
    halo = max(APART, round(HALO * np.sqrt(4 / np.pi * median)))
    found = []
    for each in nuclei:
        window = _around(each.bbox, halo + 1, labels.shape)
        if window and SIZES[0] * median <= each.area <= SIZES[1] * median and _is_whole(each, ignore):
            distance = ndimage.distance_transform_edt(labels[window] != each.label)
            strange = ((labels[window] > 0) & (labels[window] != each.label)) | ignore[window]
            if not (strange & (distance <= halo)).any():
                found.append(_copy(image[window], distance, halo))
    return found


def _around(box: tuple[int, int, int, int], margin: int, shape: tuple[int, ...]) -> Window | None:
    """A bounding box with a margin; None where it would leave the field."""
    top, left, bottom, right = box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin
    return (slice(top, bottom), slice(left, right)) if _is_inside(top, left, bottom, right, shape) else None


def _is_inside(top: int, left: int, bottom: int, right: int, shape: tuple[int, ...]) -> bool:
    return top >= 0 and left >= 0 and bottom <= shape[0] and right <= shape[1]


def _copy(image: np.ndarray, distance: np.ndarray, halo: int) -> _Copy:
    rim = (distance > halo - 1) & (distance <= halo)
    fading = ((halo + 1 - distance) / halo).clip(0, 1)  # 1 up to a pixel outside
    return _Copy(distance == 0, distance <= APART, (image - np.median(image[rim])) * fading)


def _turned(copy: _Copy, rng: np.random.Generator) -> _Copy:
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    return _Copy(*(np.rot90(part[:, ::-1] if mirrored else part, turns) for part in copy))


def _places(labels: np.ndarray, ignore: np.ndarray, host: int, copy: _Copy, rng: np.random.Generator) -> Iterator[Window]:
    """Windows in which the copy touches its host and nothing else, in directions drawn by lot."""
    start = np.argwhere(labels == host).mean(axis=0) - np.argwhere(copy.mask).mean(axis=0)
    deepest = rng.uniform(0, DEEP) * min((labels == host).sum(), copy.mask.sum())
    for angle in rng.uniform(0, 2 * np.pi, DIRECTIONS):
        window = _moved_out(labels, host, copy, start, angle, deepest)
        if window and np.isin(labels[window][copy.near], (0, host)).all() and not ignore[window][copy.near].any():
            yield window


def _moved_out(
    labels: np.ndarray, host: int, copy: _Copy, start: np.ndarray, angle: float, deepest: float
) -> Window | None:
    """Where a copy that is moved out of its host overlaps it by no more than `deepest` px; None where that is off the field."""
    height, width = copy.mask.shape
    for distance in range(sum(labels.shape)):
        top, left = np.round(start + distance * np.array([np.sin(angle), np.cos(angle)])).astype(int).tolist()
        if not _is_inside(top, left, top + height, left + width, labels.shape):
            return None
        window = (slice(top, top + height), slice(left, left + width))
        if ((labels[window] == host) & copy.mask).sum() <= deepest:
            return window
    return None


def _is_deeper(mask: np.ndarray, other: np.ndarray) -> np.ndarray:
    return ndimage.distance_transform_edt(mask) > ndimage.distance_transform_edt(other)


def _as_stored(shown: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if not np.issubdtype(dtype, np.integer):
        return shown.astype(dtype)
    limits = np.iinfo(dtype)
    return shown.round().clip(limits.min, limits.max).astype(dtype)
