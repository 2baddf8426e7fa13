"""How well copies of BBBC039's fields are recognised, and what else is taken for one: writes measured.json beside this script.

HARNESS_DATA_DIR=BBBC039 python docs/results/contamination/measure.py FOLDER...

A FOLDER is a data folder, as BBBC038's frames are; those of 520x696 come first.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from harness.datasets import fingerprints, open_dataset

IMAGES = 10_000
LARGE = 100  # px of a nucleus within a window, for it to count
FIELDS_OF_BBBC039 = {"training": 25, "validation": 9, "test": 9}  # in BBBC038 as it is published
RNG = np.random.default_rng(0)


def eight_bit(image, low, high):
    """Clipped between two intensities and rounded to 256 levels."""
    return np.clip((image.astype(float) - low) / max(high - low, 1e-9) * 255, 0, 255).round().astype(np.uint8)


def min_max(image):
    """With the darkest pixel black and the brightest white."""
    return eight_bit(image, image.min(), image.max())


def percentiles(image, low=1):
    """With so many percent of the pixels black, and as many white."""
    return eight_bit(image, *np.percentile(image, [low, 100 - low]))


def gamma(image):
    """Square roots, which show dim nuclei."""
    return (255 * ((image - image.min()) / max(np.ptp(image), 1)) ** 0.5).round().astype(np.uint8)


def turned(image):
    """One of the seven flips and turns that change an image."""
    at = RNG.integers(1, 8)
    return np.rot90(image.T if at >= 4 else image, at % 4)


def window(shape, size):
    """A square at a random place, or everything."""
    at = [RNG.integers(0, length - size + 1) if size else 0 for length in shape]
    return tuple(slice(start, start + (size or length)) for start, length in zip(at, shape, strict=True))


CASES = {  # side of the window, and what is done to it
    "8 bit, minimum to maximum": (None, min_max),
    "8 bit, percentiles 0.1 to 99.9": (None, lambda image: percentiles(image, 0.1)),
    "8 bit, percentiles 1 to 99": (None, percentiles),
    "8 bit, gamma 0.5": (None, gamma),
    "8 bit, flipped or turned": (None, lambda image: turned(min_max(image))),
    "window of 360x360, 8 bit, flipped or turned": (360, lambda image: turned(min_max(image))),
    "window of 256x256, 8 bit, flipped or turned": (256, lambda image: turned(min_max(image))),
    "window of 256x256, percentiles 1 to 99, flipped or turned": (256, lambda image: turned(percentiles(image))),
}


def recall(dataset, names, originals, size, change):
    """How many copies are found, what those that are not hold, and pairs that are no copies."""
    count, copies, nuclei = len(names), [], []
    for name in names:
        image, labels = dataset.read_image(name), dataset.read_nuclei(name)
        there = window(image.shape, size)
        copies.append(fingerprints.fingerprint(change(image[there])))
        nuclei.append(int((np.bincount(labels[there].ravel())[1:] >= LARGE).sum()))
    found = fingerprints.overlaps([*originals, *copies], [0] * count + [1] * count)
    pairs = {(each.one, each.other): each for each in found}
    own = [pairs.get((at, at + count)) for at in range(count)]
    return {
        "copies": count,
        "found": count - own.count(None),
        "false": len(found) - count + own.count(None),
        "smallest_share": round(min(each.share for each in own if each), 2),
        "nuclei_of_the_missed": sorted(nuclei[at] for at in range(count) if not own[at]),
        "nuclei_median": float(np.median(nuclei)),
    }


def neighbours(names, seen):
    """All pairs of images, also of one split, that are taken for the same place."""
    found = fingerprints.overlaps(seen, range(len(seen)))
    return [(names[each.one], names[each.other], each.spots, round(each.share, 2)) for each in found]


def as_published(dataset, frames):
    """BBBC038's frames of 520x696 hold 43 fields of BBBC039: rebuilt, by split how many there are and how many are found."""
    fields = [name for names in dataset.splits.values() for name in names]
    own = [fingerprints.fingerprint(dataset.read_image(name)) for name in fields]
    there = {split: dataset.splits[split][:count] for split, count in FIELDS_OF_BBBC039.items()}
    copied = [name for names in there.values() for name in names]
    among = [fingerprints.fingerprint(min_max(dataset.read_image(name))) for name in copied]
    others = [fingerprints.fingerprint(frames.read_image(name)) for split in frames.splits.values() for name in split]
    found = fingerprints.overlaps([*own, *among, *others], [0] * len(own) + [1] * (len(among) + len(others)))
    pairs = {(fields[each.one], each.other - len(own)): round(each.share, 2) for each in found}
    right = {name: pairs.get((name, at)) for at, name in enumerate(copied)}
    return {
        "copies": {split: len(names) for split, names in there.items()},
        "found": {split: sum(right[name] is not None for name in names) for split, names in there.items()},
        "smallest_share": min(filter(None, right.values())),
        "other_frames": len(others),
        "false": len(pairs) - sum(each is not None for each in right.values()),
    }


def at_scale(seen):
    """Processor seconds for many images: known fingerprints, each spot of them moved at random by up to 8 px."""
    many = [seen[at % len(seen)] for at in range(IMAGES)]
    many = [each._replace(spots=each.spots + RNG.integers(-8, 9, each.spots.shape).astype(np.int16)) for each in many]
    started = time.process_time()
    found = fingerprints.overlaps(many, [at % 3 for at in range(IMAGES)])
    return {"images": IMAGES, "spots": sum(len(each.spots) for each in many), "seconds": time.process_time() - started,
            "pairs": len(found)}  # fmt: skip


def main(folders):
    """Measure all of it."""
    dataset = open_dataset("bbbc039")
    fields = [name for names in dataset.splits.values() for name in names]
    images = [dataset.read_image(name) for name in fields]
    started = time.process_time()
    originals = [fingerprints.fingerprint(image) for image in images]
    measured = {"seconds_a_fingerprint": (time.process_time() - started) / len(images)}
    measured["cases"] = {name: recall(dataset, fields, originals, *case) for name, case in CASES.items()}
    names, seen = [f"bbbc039/{name}" for name in fields], list(originals)
    for other in map(open_dataset, folders):
        for name in [name for split in other.splits.values() for name in split]:
            names.append(f"{other.name}/{name}")
            seen.append(fingerprints.fingerprint(other.read_image(name)))
    measured |= {"images": len(seen), "pairs": neighbours(names, seen), "at_scale": at_scale(seen)}
    measured["as_published"] = as_published(dataset, open_dataset(folders[0]))
    Path(__file__).with_name("measured.json").write_text(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
