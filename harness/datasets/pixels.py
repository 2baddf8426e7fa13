"""Images and nuclei of single files, in the forms in which people store them."""

import logging
import warnings
from contextlib import suppress
from math import prod
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import psutil
import tifffile
from PIL import Image
from skimage.measure import label

from harness.core.errors import HarnessError
from harness.core.label_images import renumber
from harness.datasets.planes import Choice, ChoiceError, Stored, choose, decoding, open_ome_zarr, too_many

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # of a file that cannot be used, a line is said here
NOT_TEXT = "its name is not UTF-8; rename it"
HOLDS = 2000  # bytes of pixels to a byte of a file; deflate and LZW reach 1,000 and 1,400, on one value alone
WORK = 40  # bytes of memory to a pixel of the plane that is taken, of its label image at the least
ENDINGS = (".ome.tiff", ".ome.tif", ".tiff", ".tif", ".png")
FOLDERS = (".ome.zarr", ".zarr")  # images that are folders


def field_name(filename: str) -> str:
    """Name of the field a file belongs to: the file's name without its ending, if that is an image's."""
    ending = next((ending for ending in (*ENDINGS, *FOLDERS) if filename.lower().endswith(ending)), "")
    return filename[: len(filename) - len(ending)]


def image_files(folder: Path) -> list[Path]:
    """The TIFF, OME-TIFF, PNG and OME-Zarr files of a folder, by name; hidden ones are left out."""
    return sorted(path for path in folder.iterdir() if is_image_file(path))


def is_image_file(path: Path) -> bool:
    """Whether a path by its name is a TIFF, OME-TIFF, PNG or, a folder, an OME-Zarr; hidden ones are not."""
    return (path.is_file() and path.name.lower().endswith(ENDINGS) and not path.name.startswith(".")) or is_ome_zarr(path)


def is_ome_zarr(path: Path) -> bool:
    """Whether a path is a folder that by its name is an OME-Zarr; hidden ones are not."""
    return path.is_dir() and path.name.lower().endswith(FOLDERS) and not path.name.startswith(".")


def files_of(image: Path) -> list[Path]:
    """The files that an image consists of: one, or those of an OME-Zarr."""
    return sorted(path for path in image.rglob("*") if path.is_file()) if image.is_dir() else [image]


def is_text(name: str) -> bool:
    """Whether a file's name is UTF-8; tables and manifests hold no other."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") == name


def size(shape: tuple[int, ...]) -> str:
    """A shape in words: "520x696 px"."""
    return "x".join(map(str, shape)) + " px"


def read_image(path: Path, channel: str | None = None, plane: int | None = None) -> np.ndarray:
    """Read a grey image.

    Parameters
    ----------
    path : Path
        TIFF, OME-TIFF, PNG or OME-Zarr; colour is taken as grey when red, green and blue are equal.
    channel, plane : optional
        Which one to take of several: see `harness.datasets.planes.Choice`.

    Returns
    -------
    ndarray, (H, W)
        Integers or floats, as stored.

    Raises
    ------
    HarnessError
        The file cannot be read, or holds NaN or infinite values. A `ChoiceError` where it has several planes or real colours
        and none was chosen, or no such channel or plane.
    """
    stored = _stored(path)
    if (channel, plane) != (None, None):
        stored = choose(path, stored, Choice(channel, plane))
    elif is_ome_zarr(path) and stored.several:  # may be larger than the memory
        raise ChoiceError(f"{path}: {too_many(stored)}")
    image = _grey(_in_memory(path, stored))
    if image.ndim != 2:
        raise ChoiceError(f"{path}: {too_many(stored)}")
    if image.dtype.kind not in "uif":
        raise HarnessError(f"{path}: holds {image.dtype} values; save it with integer or float grey values")
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise HarnessError(f"{path}: holds NaN or infinite values; replace them before using the image")
    return image


def read_channels(path: Path) -> np.ndarray:
    """Read an image as it is: (H, W) where it is grey, also if saved in colour, (H, W, 3 or 4) where it has real colours."""
    return _grey(_pixels(path))


def read_nuclei(path: Path) -> np.ndarray:
    """Read the nuclei of one field.

    Parameters
    ----------
    path : Path
        One of three: a label image of integers; a colouring in red alone, as in BBBC039, in which touching
        nuclei differ (nuclei are the 8-connected components of equal value); a folder with one binary image
        per nucleus, as in BBBC038, where the last by name is in front.

    Returns
    -------
    ndarray of int32, (H, W)
        Label image: 0 background, ids from 1 without gaps.

    Raises
    ------
    HarnessError
        The file cannot be read or is none of these.
    """
    if path.is_dir() and not is_ome_zarr(path):
        return _nuclei_of_folder(path)
    mask = _grey(_pixels(path))
    if mask.ndim == 3 and mask.shape[2] in (3, 4) and not mask[..., 1:3].any():
        return label(mask[..., 0]).astype(np.int32)
    if mask.ndim != 2:
        raise HarnessError(f"{path}: is no label image and no colouring in red; save one integer per nucleus")
    if mask.dtype.kind not in "uib":
        raise HarnessError(f"{path}: is a mask of {mask.dtype} values; save one integer per nucleus")
    if mask.min() < 0:
        raise HarnessError(f"{path}: is a mask with negative values; save 0 for background and ids from 1")
    if len(np.unique(mask[mask != 0])) == 1 and mask.max() in (1, 255) and label(mask).max() > 1:
        raise HarnessError(
            f"{path}: is a binary mask, in which touching nuclei are one; save one integer "
            "per nucleus (skimage.measure.label numbers separate ones)"
        )
    return renumber(mask)


def _nuclei_of_folder(folder: Path) -> np.ndarray:
    files = image_files(folder)
    if not files:
        raise HarnessError(f"{folder}: holds no TIFF or PNG; put one binary image per nucleus there")
    nuclei = np.zeros(read_binary(files[0]).shape, np.int32)
    for id_, path in enumerate(files, start=1):
        nucleus = read_binary(path)
        if nucleus.shape != nuclei.shape:
            raise HarnessError(
                f"{path}: is {size(nucleus.shape)}, but {files[0].name} {size(nuclei.shape)}; "
                "save all nuclei of a field in the size of its image"
            )
        nuclei[nucleus] = id_
    return renumber(nuclei)


def read_binary(path: Path) -> np.ndarray:
    """Read the mask of a single nucleus: bool, (H, W); a HarnessError where the file holds more than two values."""
    mask = _grey(_pixels(path))
    if mask.ndim != 2 or len(np.unique(mask[mask != 0])) > 1:
        raise HarnessError(f"{path}: is no binary image; a folder of masks holds one nucleus per file")
    return mask != 0


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Pixels without axes of length 1, channels last; without channels if red, green and blue are equal."""
    pixels = pixels.squeeze()
    if pixels.ndim == 3 and pixels.shape[0] == 3 < pixels.shape[2]:
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        return pixels
    return pixels[..., 0] if (pixels[..., 1:3] == pixels[..., :1]).all() else pixels


def _pixels(path: Path) -> np.ndarray:
    stored = _stored(path)
    if is_ome_zarr(path):  # so far it was checked for one plane
        _check_memory(path, stored.pixels.shape, stored.pixels.dtype.itemsize, stored.axes)
    return _in_memory(path, stored)


def _in_memory(path: Path, stored: Stored) -> np.ndarray:
    with decoding(path):
        return np.asarray(stored.pixels)


def _stored(path: Path) -> Stored:
    with decoding(path):
        stored = _ome_zarr(path) if is_ome_zarr(path) else _png(path) if path.suffix.lower() == ".png" else _tiff(path)
    if 0 in stored.pixels.shape:  # what is left of some truncated TIFFs
        raise HarnessError(f"{path}: holds no pixels; replace the file or take it out of the data set")
    return stored


def _check_size(path: Path, shape: tuple[int, ...], dtype: np.dtype, axes: str) -> None:
    """Before memory is asked for: what a file says of its size may be wrong, and a size may be too large for this machine."""
    if prod(shape) * dtype.itemsize > HOLDS * path.stat().st_size:
        raise HarnessError(
            f"{path}: says it is of {size(shape)}, more than its {path.stat().st_size} bytes can hold; "
            "replace the file or take it out of the data set"
        )
    _check_memory(path, shape, dtype.itemsize, axes)


def _check_memory(path: Path, shape: tuple[int, ...], itemsize: int, axes: str) -> None:
    """`itemsize`: bytes to a pixel of the other planes, 0 where they are not read."""
    plane = prod(length for axis, length in zip(axes, shape, strict=True) if axis in "YX")
    needed, free = plane * WORK + (prod(shape) - plane) * itemsize, psutil.virtual_memory().available
    if needed > free:
        raise HarnessError(
            f"{path}: {size(shape)} take {needed / 1e9:.1f} GB to work on, and {free / 1e9:.1f} GB are free; "
            "cut it into smaller images"
        )


def _ome_zarr(path: Path) -> Stored:
    """Its chunks may be missing, so bytes on the disk say nothing of its size."""
    stored = open_ome_zarr(path)
    _check_memory(path, stored.pixels.shape, 0, stored.axes)
    return stored


def _png(path: Path) -> Stored:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of sizes that are checked here
        there = iio.improps(path, plugin="pillow")
        _check_size(path, there.shape, there.dtype, "YXS"[: len(there.shape)])
        pixels = iio.imread(path, plugin="pillow")
    pixels = pixels[..., 0] if pixels.shape[2:] == (2,) else pixels  # grey with opacity
    return Stored(pixels, "YXS"[: pixels.ndim])


def _tiff(path: Path) -> Stored:
    with tifffile.TiffFile(path) as file:
        for series in file.series[:1]:
            _check_size(path, series.shape, series.dtype or np.dtype(bool), series.axes)
        try:
            pixels, axes = file.asarray(), file.series[0].axes
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            pixels = iio.imread(path, plugin="pillow")  # knows LZW, but reduces some kinds of pixels to 8 bits
            page = file.pages.first
            if (pixels.shape, pixels.dtype) != (page.shape, page.dtype):
                raise
            axes = page.axes
        if len(axes) != pixels.ndim or not {"Y", "X"} <= set(axes):
            axes = "Q" * (pixels.ndim - 2) + "YX"[-pixels.ndim :]
        return Stored(pixels, axes, _channel_names(file))


def _channel_names(file: tifffile.TiffFile) -> tuple[str, ...]:
    """As OME's metadata have them; what is wrong with these names nothing."""
    with suppress(KeyError, TypeError, AttributeError, SyntaxError):
        images = tifffile.xml2dict(file.ome_metadata or "")["OME"]["Image"]
        channels = (images[0] if isinstance(images, (list, tuple)) else images)["Pixels"]["Channel"]
        each = channels if isinstance(channels, (list, tuple)) else [channels]
        return tuple(str(channel.get("Name", "")) for channel in each)
    return ()
