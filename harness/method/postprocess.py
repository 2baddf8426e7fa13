"""Class map -> nuclei: thin the separations to lines and cut along them (paper, section 2.4 and Fig. 3)."""

import numpy as np
from scipy.ndimage import label as connected_components

from harness.core.label_images import check_labels, over_squares
from harness.method.classmap import BACKGROUND, NUCLEUS, SEPARATION
from harness.method.thinning import thin


def nuclei_from_class_map(classes: np.ndarray) -> np.ndarray:
    """Nuclei of a predicted class map.

    Separations are dilated 3x3 and merged with the background, which closes gaps in them; the skeleton
    thins them back to lines; the skeleton, dilated 3x3, is subtracted from the pixels of class nucleus;
    nuclei are the 4-connected components of the rest. Nuclei at the edge of the image stay: see
    `harness.core.label_images.remove_touching_edge`.

    Parameters
    ----------
    classes : (H, W) integer array
        Class map, see `harness.method.classmap`.

    Returns
    -------
    nuclei : (H, W) int32 array
        Label image, ids 1..n in raster order.

    Raises
    ------
    HarnessError
        If `classes` is not a 2-D array of integers that are not negative.

    Examples
    --------
    Two nuclei, and a separation with a gap in it, which is closed; the skeleton ends a pixel above the last row:

    >>> classes = np.ones((5, 9), dtype=np.uint8)
    >>> classes[[0, 1, 3, 4], 4] = SEPARATION
    >>> nuclei_from_class_map(classes)
    array([[1, 1, 1, 0, 0, 0, 2, 2, 2],
           [1, 1, 1, 0, 0, 0, 2, 2, 2],
           [1, 1, 1, 0, 0, 0, 2, 2, 2],
           [1, 1, 1, 0, 0, 0, 2, 2, 2],
           [1, 1, 1, 1, 0, 2, 2, 2, 2]], dtype=int32)
    """
    if not np.any(np.asarray(classes) == NUCLEUS):  # thinning an empty field takes longest, and cuts nothing
        return np.zeros(check_labels(classes).shape, np.int32)
    return postprocessing_steps(classes)["nuclei"]


def postprocessing_steps(classes: np.ndarray) -> dict[str, np.ndarray]:
    """The four (H, W) arrays on the way from class map to nuclei, in order.

    "merged" (dilated separations and background), "skeleton", "mask" (pixels of nuclei without the dilated
    skeleton), all boolean, and "nuclei" (int32). See `nuclei_from_class_map`.
    """
    classes = check_labels(classes)
    merged = over_squares(classes == SEPARATION, np.maximum) | (classes == BACKGROUND)
    skeleton = thin(merged)
    mask = (classes == NUCLEUS) & ~over_squares(skeleton, np.maximum)
    nuclei, _ = connected_components(mask, output=np.int32)  # scipy's default structure is 4-connected
    return {"merged": merged, "skeleton": skeleton, "mask": mask, "nuclei": nuclei}
