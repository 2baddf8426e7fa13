"""Synthetic fields that look like BBBC039's and whose nuclei are known exactly; made in memory from a seed.

Random numbers are uniform and normal draws of PCG64, the rest is arithmetic on doubles that is rounded to
integers at the end, so that machines and library versions agree on the pixels. The levels, sizes, blur, noise
and share of touching nuclei are those measured on BBBC039's training and validation splits.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.measure import label

from harness.datasets.dataset import DataSet

RECIPE = 1
SEED = 2021
FIELDS = {"training": 12, "validation": 4, "test": 6}
SHAPE = (520, 696)

OFFSET = 134.0  # grey values of camera and medium
TOP = 4095  # of a 12-bit camera
REACH = 36  # px around a centre within which a nucleus lies
OUTSIDE = 12  # px by which a centre may lie outside the field
PAD = REACH + OUTSIDE
CLEARANCE = 2.0  # px between nuclei that shall not touch
TOUCHING = 0.2  # share of nuclei that are put against another one
OVERLAP = 0.06  # of the smaller one's area, at most, where two overlap


@dataclass(frozen=True)
class Nucleus:
    """An ellipse with a wavy outline, perhaps dented, and its light; lengths in pixels.

    Directions are complex numbers x + iy of modulus 1, which need no trigonometry per pixel.
    """

    centre: tuple[float, float]
    semi_axes: tuple[float, float]
    axis: complex  # direction of the long axis
    waves: tuple[complex, complex, complex]  # 2, 3 and 5 around the outline: relative amplitude and phase
    dent: tuple[float, complex]  # relative depth, direction
    light: float


def open_synthetic(seed: int = SEED) -> DataSet:
    """Open the embedded default: 12, 4 and 6 fields of 520x696 pixels, 12-bit values in uint16.

    Parameters
    ----------
    seed : int
        Another seed gives other fields of the same kind.
    """
    splits = {split: tuple(f"{split}-{i:02}" for i in range(1, n + 1)) for split, n in FIELDS.items()}
    fields = sum(splits.values(), ())
    return DataSet(
        "synthetic", _digest(seed, len(fields)), splits, partial(_read, seed, fields, 0), partial(_read, seed, fields, 1)
    )


@lru_cache(maxsize=sum(FIELDS.values()))
def synthetic_field(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Make one field of a seed; where nuclei overlap, the front one owns the pixel and their lights add up.

    Returns
    -------
    image : ndarray of uint16, (520, 696)
    nuclei : ndarray of int32, (520, 696)
        Label image, 0 background, ids from 1 in raster order.
    """
    rng = np.random.Generator(np.random.PCG64([seed, index]))
    level = _uniform(rng, 430, 740)
    owner, light = _crowd(rng, int(_uniform(rng, 60, 165)), level)
    image = _camera(rng, light + _debris(rng, light.shape, level))
    inner = (slice(PAD, -PAD),) * 2
    return image[inner], label(owner[inner]).astype(np.int32)


def _read(seed: int, fields: tuple[str, ...], which: int, field: str) -> np.ndarray:
    return synthetic_field(seed, fields.index(field))[which].copy()


def _digest(seed: int, n_fields: int) -> str:
    digest = hashlib.sha256(f"synthetic, recipe {RECIPE}, seed {seed}".encode())
    with ThreadPoolExecutor() as pool:  # drawing and filtering release the interpreter's lock
        for image, nuclei in pool.map(partial(synthetic_field, seed), range(n_fields)):
            digest.update(image.astype("<u2").tobytes())
            digest.update(nuclei.astype("<i4").tobytes())
    return digest.hexdigest()


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return low + (high - low) * rng.random()


def _crowd(rng: np.random.Generator, population: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Place nuclei one by one: the owner of each pixel, and the light, on the field and PAD px around it."""
    owner = np.zeros([n + 2 * PAD for n in SHAPE], np.int32)
    light = np.zeros(owner.shape)
    placed: list[Nucleus] = []
    for _ in range(6 * population):
        if len(placed) == population:
            break
        nucleus = _draw_nucleus(rng, level)
        touching = bool(placed) and rng.random() < TOUCHING
        if touching:
            nucleus = _beside(rng, nucleus, placed[int(rng.random() * len(placed))])
        if owner[int(nucleus.centre[0]), int(nucleus.centre[1])]:
            continue
        window, depth = _depth(nucleus)
        if _fits(depth, owner[window], touching):
            placed.append(nucleus)
            _add(rng, nucleus, depth, len(placed), owner[window], light[window])
    texture = _noise(rng, light.shape, 1.0, 0.15) + _noise(rng, light.shape, 4.0, 0.045)
    return owner, light * (1 + texture)


def _direction(rng: np.random.Generator) -> complex:
    angle = 2 * np.pi * rng.random()
    return complex(np.cos(angle), np.sin(angle))


def _draw_nucleus(rng: np.random.Generator, level: float) -> Nucleus:
    size = 14.6 * np.exp(0.16 * np.clip(rng.standard_normal(), -2.5, 2))
    light = level * np.exp(0.22 * np.clip(rng.standard_normal(), -3, 2))
    elongation = 1.1 + 0.9 * rng.random() + 0.6 * rng.random() ** 4
    ragged = 3 if rng.random() < 0.14 else 1
    kind = rng.random()
    if kind < 0.05:  # dim
        light *= 0.4
    elif kind < 0.12:  # condensed: small and bright
        size, light = 0.6 * size, light * _uniform(rng, 1.2, 3)
    return Nucleus(
        centre=(_coordinate(rng, SHAPE[0]), _coordinate(rng, SHAPE[1])),
        semi_axes=(size * elongation**0.5, size / elongation**0.5),
        axis=_direction(rng),
        waves=tuple(
            ragged * deviation * np.clip(rng.standard_normal(), -2, 2) * _direction(rng) for deviation in (0.03, 0.03, 0.015)
        ),
        dent=(_uniform(rng, 0.1, 0.35) * (rng.random() < 0.3), _direction(rng)),
        light=light,
    )


def _coordinate(rng: np.random.Generator, length: int) -> float:
    return REACH + (length + 2 * OUTSIDE) * rng.random()


def _beside(rng: np.random.Generator, nucleus: Nucleus, other: Nucleus) -> Nucleus:
    """The nucleus moved to where it touches the other one, slightly overlaps it or leaves a narrow gap."""
    towards = _direction(rng)
    distance = _uniform(rng, 1.0, 1.12) * float(_radius(other, towards) + _radius(nucleus, -towards))
    moved = (other.centre[0] + distance * towards.imag, other.centre[1] + distance * towards.real)
    inside = all(REACH < c < REACH + n + 2 * OUTSIDE for c, n in zip(moved, SHAPE, strict=True))
    return replace(nucleus, centre=moved) if inside else nucleus


def _radius(nucleus: Nucleus, towards: np.ndarray | complex) -> np.ndarray | float:
    """Distance from the centre to the outline in a direction, in pixels."""
    (a, b), z = nucleus.semi_axes, towards * nucleus.axis.conjugate()
    two, three, five = nucleus.waves
    waves = (z * z * (two + z * (three + z * z * five))).real
    depth, middle = nucleus.dent
    dent = depth * np.exp(4 * ((z * middle).real - 1))
    return a * b / np.sqrt((b * z.real) ** 2 + (a * z.imag) ** 2) * (1 + waves) * (1 - dent)


def _depth(nucleus: Nucleus) -> tuple[tuple[slice, slice], np.ndarray]:
    """Window around a nucleus, and how deep inside its outline each pixel lies there (negative outside)."""
    corner = [int(c) - REACH for c in nucleus.centre]
    y, x = (np.arange(start, start + 2 * REACH) - c for start, c in zip(corner, nucleus.centre, strict=True))
    distance = np.sqrt(y[:, None] ** 2 + x**2)
    depth = _radius(nucleus, (x + 1j * y[:, None]) / distance) - distance
    rows, columns = (slice(start, start + 2 * REACH) for start in corner)
    return (rows, columns), depth


def _fits(depth: np.ndarray, owner: np.ndarray, touching: bool) -> bool:
    if not touching:
        return not owner[depth > -CLEARANCE].any()
    areas = np.bincount(owner.ravel())
    covered = np.bincount(owner[depth > 0], minlength=len(areas))
    smaller = np.minimum(areas, (depth > 0).sum())
    return bool((covered[1:] <= OVERLAP * smaller[1:]).all())


def _add(rng: np.random.Generator, nucleus: Nucleus, depth: np.ndarray, id_: int, owner: np.ndarray, light: np.ndarray) -> None:
    """Add a nucleus to a window, before or behind those that are there."""
    front = rng.random() < 0.5
    owner[(depth > 0) & (front | (owner == 0))] = id_
    dome = 0.65 + 0.2 * np.clip(depth / 4, 0, 1) + 0.15 * np.clip(depth / nucleus.semi_axes[1], 0, 1)
    light += nucleus.light * np.clip(depth + 0.5, 0, 1) * dome * _nucleoli(rng, nucleus)


def _nucleoli(rng: np.random.Generator, nucleus: Nucleus) -> np.ndarray:
    """Up to three dark spots, as a factor on the light of a window."""
    factor = np.ones((2 * REACH, 2 * REACH))
    offsets, spread = np.arange(2 * REACH) - REACH, 0.5 * nucleus.semi_axes[1]
    for _ in range(int(4 * rng.random())):
        y, x = (offsets - spread * rng.standard_normal() for _ in "yx")
        factor -= 0.22 * np.exp(-(y[:, None] ** 2 + x**2) / (2 * _uniform(rng, 1, 2.2) ** 2))
    return np.maximum(factor, 0.4)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float, deviation: float) -> np.ndarray:
    """Smooth noise of mean 0 and the given standard deviation."""
    smooth = gaussian_filter(rng.standard_normal(shape), sigma)
    return smooth * (deviation / np.sqrt((smooth**2).mean()))


def _debris(rng: np.random.Generator, shape: tuple[int, ...], level: float) -> np.ndarray:
    """Light of specks smaller than the blur, which are no nuclei, and of a few cells far out of focus."""
    light = np.zeros(shape)
    for _ in range(int(_uniform(rng, 4, 25))):
        y, x = (int(n * rng.random()) for n in shape)
        light[y, x] += level * _uniform(rng, 2, 14)
    for _ in range(int(_uniform(rng, 1, 6))):
        down, across = (np.exp(-(((np.arange(n) - n * rng.random()) / 25) ** 2)) for n in shape)
        light += level * _uniform(rng, 0.01, 0.04) * down[:, None] * across
    return light


def _camera(rng: np.random.Generator, light: np.ndarray) -> np.ndarray:
    """Blur, uneven illumination, shot and read noise, 12 bits."""
    sharp, wide = 0.84 * gaussian_filter(light, 1.25), 0.16 * gaussian_filter(light, 5)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in light.shape), indexing="ij")
    tilt, fall = 0.15 * rng.standard_normal(2), _uniform(rng, 0.05, 0.25)
    illumination = 1 + np.clip(tilt[0] * y + tilt[1] * x, -0.3, 0.3) - fall * (y**2 + x**2) / 2
    signal = (sharp + wide + 18) * illumination
    noise = np.sqrt(4.5**2 + 0.35 * signal) * rng.standard_normal(light.shape)
    return np.clip(np.rint(OFFSET + signal + noise), 0, TOP).astype(np.uint16)
