"""Steps that make labels worse in a known way, by a known amount: `refine = [{step = "noise-missing", share = 0.1}]`.

What becomes of a field is drawn from the seed, the kind of noise and the field's name: neither from the order of fields nor
from the level, so that of two levels with the same seed the higher one spoils what the lower one does, and more.
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.measure import regionprops
from skimage.segmentation import expand_labels

from harness.core.errors import HarnessError
from harness.core.label_images import renumber
from harness.datasets import Field
from harness.sources.base import LabelSource
from harness.sources.steps import Step

KEPT, ORACLE, REALISTIC = range(3)  # what a mask takes
NEAR = 1  # px by which two nuclei are grown to see whether they meet: up to two pixels of background between them
SMOOTH = 3.0  # px, sigma of the Gaussian that makes an outline wobble rather than flicker
TRIES = 50  # places looked at for one false nucleus; a field that is full takes no more


@dataclass(frozen=True)
class Noise(Step, ABC):
    """Some nuclei of a field are spoilt.

    Of n nuclei `share * n` are, rounded up or down by chance so that the mean over fields is exact.

    Attributes
    ----------
    share : float
        Of the nuclei of a field, from 0 to 1.
    seed : int
        Another one spoils others.
    mask : int
        0: the wrong labels are kept. 1: what is wrong is ignored, as if somebody knew. 2: as many innocent nuclei of the field
        are ignored as well, as by somebody who suspects.
    """

    stage = "noise"
    share: float = 0.1
    seed: int = 0
    mask: int = KEPT

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise HarnessError(f"refinement {self.name}: share is {self.share!r}; expected 0 to 1")
        if not 0 <= self.seed < 2**63 or self.seed != int(self.seed):
            raise HarnessError(f"refinement {self.name}: seed is {self.seed!r}; expected a whole number from 0")
        if self.mask not in {KEPT, ORACLE, REALISTIC}:
            raise HarnessError(f"refinement {self.name}: mask is {self.mask!r}; expected 0, 1 or 2")

    def unfit(self, source: LabelSource) -> str | None:
        """See `Step.unfit`."""
        return "noise is for the labels of a training, not for predictions" if source.name == "network" else None

    def apply(self, source: LabelSource, field: Field, labels: np.ndarray, ignore: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Step.apply`; ids are new."""
        chance, innocent = (self._chance(field.name, of) for of in ("noise", "mask"))
        labels = renumber(labels)
        spoilt = self._spoil(chance, labels)
        wrong = self._wrong(labels, spoilt)
        if self.mask == REALISTIC:
            wrong |= self._as_many(innocent, labels, spoilt)
        return renumber(spoilt), ignore | (wrong & (self.mask != KEPT))

    def _chance(self, name: str, of: str) -> np.random.Generator:
        drawn = hashlib.sha256(f"{int(self.seed)} {self.name} {of} {name}".encode()).digest()
        return np.random.default_rng(int.from_bytes(drawn))

    def _count(self, chance: np.random.Generator, nuclei: int) -> int:
        """How many of so many nuclei; never fewer at a larger share."""
        return int(self.share * nuclei + chance.random())

    def _chosen(self, chance: np.random.Generator, ids: np.ndarray) -> np.ndarray:
        """Ids in the order in which a larger share takes them, those of this share."""
        return chance.permutation(ids)[: self._count(chance, len(ids))]

    @abstractmethod
    def _spoil(self, chance: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """The labels made worse; a nucleus that is untouched keeps its id."""

    def _wrong(self, labels: np.ndarray, spoilt: np.ndarray) -> np.ndarray:
        """What an oracle would ignore: all pixels of each nucleus, before and after, that is not the same any more."""
        touched = [np.unique(each[labels != spoilt]) for each in (labels, spoilt)]
        before, after = (np.isin(each, ids[ids > 0]) for each, ids in zip((labels, spoilt), touched, strict=True))
        return before | after

    @staticmethod
    def _as_many(chance: np.random.Generator, labels: np.ndarray, spoilt: np.ndarray) -> np.ndarray:
        """Pixels of as many untouched nuclei as there are others, or of all."""
        touched, ids = np.unique(np.stack([labels, spoilt])[:, labels != spoilt]), _ids(labels)
        old = np.isin(ids, touched)
        new = np.count_nonzero(touched > labels.max(initial=0))  # two halves of one are one, what was nothing counts too
        return np.isin(labels, chance.permutation(ids[~old])[: max(old.sum(), new)])


def _ids(labels: np.ndarray) -> np.ndarray:
    return np.arange(1, labels.max(initial=0) + 1)


@dataclass(frozen=True)
class Missing(Noise):
    """Nuclei that nobody labelled."""

    name = "noise-missing"

    def _spoil(self, chance: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        return np.where(np.isin(labels, self._chosen(chance, _ids(labels))), 0, labels)


@dataclass(frozen=True)
class Merged(Noise):
    """Neighbours taken for one nucleus.

    `share` is of nuclei that became part of another one. Only neighbours with at most two pixels between them are merged, and the
    gap is closed: a field whose nuclei stand alone has nothing to merge, whatever the share.
    """

    name = "noise-merged"

    def _spoil(self, chance: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        wanted, owner = self._count(chance, len(_ids(labels))), np.arange(labels.max(initial=0) + 1)
        for a, b in chance.permutation(_neighbours(labels)).tolist():
            if wanted and owner[a] != owner[b]:
                owner[owner == owner[b]] = owner[a]
                wanted -= 1
        return _gaps_closed(labels, owner)


def _neighbours(labels: np.ndarray) -> np.ndarray:
    """Pairs of ids that meet once they are grown by `NEAR` px, (K, 2), in order."""
    grown = expand_labels(labels, NEAR)
    pairs = [np.stack([a.ravel(), b.ravel()], 1) for a, b in ((grown[1:], grown[:-1]), (grown[:, 1:], grown[:, :-1]))]
    both = np.sort(np.concatenate(pairs), axis=1)
    return np.unique(both[(both[:, 0] > 0) & (both[:, 0] != both[:, 1])], axis=0)


def _gaps_closed(labels: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Every nucleus under its owner's id, with the background between those of one owner."""
    merged = owner[labels]
    for id_ in np.flatnonzero(np.bincount(owner) > 1):
        mask = np.pad(merged == id_, 2)
        closed = ndimage.binary_closing(mask, np.ones((3, 3)), iterations=NEAR)[2:-2, 2:-2]
        merged[closed & (merged == 0)] = id_
    return merged.astype(np.int32)


@dataclass(frozen=True)
class Split(Noise):
    """Nuclei taken for two, cut through the middle in any direction."""

    name = "noise-split"

    def _spoil(self, chance: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        angles, spoilt = chance.uniform(0, np.pi, labels.max(initial=0) + 1), labels.copy()
        for nth, id_ in enumerate(self._chosen(chance, _ids(labels)).tolist(), labels.max(initial=0) + 1):
            y, x = np.nonzero(labels == id_)
            far = (y - y.mean()) * np.sin(angles[id_]) + (x - x.mean()) * np.cos(angles[id_]) > 0
            spoilt[y[far], x[far]] = nth
        return spoilt


@dataclass(frozen=True)
class Extra(Noise):
    """Background taken for nuclei, of the shapes that other nuclei of the field have; `share` is of the nuclei there are."""

    name = "noise-false"

    def _spoil(self, chance: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        shapes, spoilt = regionprops(labels), labels.copy()
        for nth in range(self._count(chance, len(shapes))):
            shape = shapes[chance.integers(len(shapes))].image
            for y, x in chance.integers(0, np.array(labels.shape) - shape.shape + 1, (TRIES, 2)).tolist():
                window = spoilt[y : y + shape.shape[0], x : x + shape.shape[1]]
                if not window[shape].any():
                    window[shape] = labels.max() + 1 + nth
                    break
        return spoilt


class _Shape(Noise, ABC):
    """Noise of outlines: ignored is what lies between the old ones and the new ones, as whole nuclei could be all there are."""

    def _wrong(self, labels: np.ndarray, spoilt: np.ndarray) -> np.ndarray:
        return labels != spoilt


@dataclass(frozen=True)
class Outline(_Shape):
    """Outlines that lie too far out or too far in.

    An offset that is no whole number is met in the mean over nuclei. Nuclei that touch do not grow into each other; one that is
    thinner than what it loses vanishes.

    Attributes
    ----------
    by : float
        px; negative: inwards.
    wobble : float
        Standard deviation in px of what comes on top along an outline, smooth over some pixels.
    """

    name = "noise-outline"
    share: float = 1.0
    by: float = 1.0
    wobble: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (abs(self.by) <= 20 and 0 <= self.wobble <= 10):
            raise HarnessError(
                f"refinement {self.name}: by is {self.by!r} and wobble {self.wobble!r}; expected -20 to 20 and 0 to 10 px"
            )

    def _spoil(self, chance: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        rough = ndimage.gaussian_filter(chance.normal(size=labels.shape), SMOOTH)
        dither = chance.uniform(0, 1, labels.max(initial=0) + 1)  # by id
        chosen = np.isin(np.arange(len(dither)), self._chosen(chance, _ids(labels)))
        offset = self.by + self.wobble * rough / max(rough.std(), 1e-9)
        distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
        owner = labels[tuple(nearest)]
        new = np.where((labels > 0) | (distance < offset + dither[owner]), owner, 0)
        new[(labels > 0) & (_depth(labels) <= 1 - offset - dither[labels])] = 0
        return np.where(chosen[owner], new, labels).astype(np.int32)


def _depth(labels: np.ndarray) -> np.ndarray:
    """Distance of each pixel of a nucleus to the nearest one that is not of it, in px; beyond the image all goes on."""
    depth = np.full(labels.shape, np.inf)
    for id_, box in enumerate(ndimage.find_objects(labels), 1):
        around = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
        inside = labels[around] == id_
        if not inside.all():
            depth[around][inside] = ndimage.distance_transform_edt(inside)[inside]
    return depth


@dataclass(frozen=True)
class Shifted(_Shape):
    """Nuclei that lie a little beside their place, each in a direction of its own; another nucleus stays what it is.

    Attributes
    ----------
    by : float
        px, rounded to whole pixels down and to the right.
    """

    name = "noise-shifted"
    share: float = 1.0
    by: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.by <= 20:
            raise HarnessError(f"refinement {self.name}: by is {self.by!r}; expected 0 to 20 px")

    def _spoil(self, chance: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        angles = chance.uniform(0, 2 * np.pi, labels.max(initial=0) + 1)  # by id
        chosen = self._chosen(chance, _ids(labels))
        spoilt = np.where(np.isin(labels, chosen), 0, labels)
        for id_ in np.sort(chosen).tolist():
            step = np.rint(self.by * np.array([np.sin(angles[id_]), np.cos(angles[id_])])).astype(int)
            place = np.argwhere(labels == id_) + step
            y, x = place[((place >= 0) & (place < labels.shape)).all(axis=1)].T
            free = spoilt[y, x] == 0
            spoilt[y[free], x[free]] = id_
        return spoilt


NOISE: tuple[type[Noise], ...] = (Missing, Merged, Split, Extra, Outline, Shifted)
