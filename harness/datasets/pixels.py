"""Pixels of image files, and nuclei of the ways in which masks are stored."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tifffile
from skimage.measure import label

from harness.errors import HarnessError

TIFF = (".tif", ".tiff")


def read_pixels(path: Path) -> np.ndarray:
    """Pixels of a TIFF, OME-TIFF or PNG file as they are stored.

    Raises
    ------
    HarnessError
        The file cannot be read as an image.
    """
    try:
        return tifffile.imread(path) if path.suffix.lower() in TIFF else iio.imread(path)
    except Exception as error:  # decoders raise anything from OSError to struct.error
        raise HarnessError(f"{path}: cannot be read as an image ({type(error).__name__}); "
                           "replace the file or take it out of the data set") from error


def read_grey(path: Path) -> np.ndarray:
    """Image of a file: 2-D, of the dtype it is stored in."""
    return read_pixels(path)


def nuclei_of_colouring(mask: np.ndarray) -> np.ndarray:
    """Nuclei of a colouring in which touching nuclei differ, as in BBBC039's masks.

    Parameters
    ----------
    mask : ndarray, (H, W, 3 or 4)
        Only red, the first channel, carries data.

    Returns
    -------
    ndarray of int32, (H, W)
        Components of equal red value, 8-connected; 0 is background.
    """
    return label(mask[..., 0]).astype(np.int32)
