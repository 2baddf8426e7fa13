"""A folder of images that is worked through file by file: what is left to do, and where results go."""

from collections import Counter
from pathlib import Path

from harness.core.errors import HarnessError
from harness.datasets import field_name, image_files


def pending(images: Path, out: Path) -> tuple[list[Path], int]:
    """Images of a folder that have no label image yet, and how many have one.

    Parameters
    ----------
    images, out : path-like
        Folder of TIFF and PNG images, and folder of the label images.

    Returns
    -------
    files : list of Path
    there : int

    Raises
    ------
    HarnessError
        No such folder, no image in it, or two images of the same stem.
    """
    folder = Path(images).resolve()  # a worker may have another working folder
    files = image_files(folder) if folder.is_dir() else []
    if not files:
        raise HarnessError(f"{images}: not a folder with images; give one that holds TIFF or PNG files")
    stems = [field_name(file.name) for file in files]
    twice = sorted(stem for stem, count in Counter(stems).items() if count > 1)
    if twice:
        raise HarnessError(f"{images}: {twice[0]} is there with two endings; label images are named by the stem, so keep one")
    left = [file for file, stem in zip(files, stems, strict=True) if not (Path(out) / f"{stem}.tif").exists()]
    return left, len(files) - len(left)


def make_folder(out: Path) -> None:
    """Make the folder of the results, or refuse it in one line."""
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"{out}: cannot be written ({error.strerror}); give another folder") from error
