"""A trained network as MLflow loads it: image in, label image out.

A logged model carries this package as it was, so it is loaded where no harness is installed, and years later.
"""

import keras
import numpy as np

from harness.core.errors import HarnessError
from harness.method.postprocess import nuclei_from_class_map
from harness.network.inference import for_windows, precision, predict_windows


class Segmenter:
    """What `mlflow.pyfunc` calls; `network` is from tiles to class probabilities."""

    def __init__(self, network: keras.Model) -> None:
        self.network = for_windows(network, precision())

    def predict(self, image: np.ndarray, params: None = None) -> np.ndarray:  # noqa: ARG002  MLflow hands them over
        """Nuclei of a field, as `harness segment` finds them.

        Parameters
        ----------
        image : (H, W) array-like
            Intensities of any numeric dtype.
        params : None
            MLflow hands it over; there are none.

        Returns
        -------
        (H, W) int32 ndarray
            Label image, 0 background.
        """
        image = np.asarray(image)
        if image.ndim != 2:
            raise HarnessError(f"an image of shape {image.shape}: give one grey image of shape (height, width)")
        return nuclei_from_class_map(predict_windows(self.network, image.astype(np.float64)).classes)


def _load_pyfunc(path: str) -> Segmenter:
    """The name is MLflow's: what a `loader_module` must have."""
    return Segmenter(keras.saving.load_model(path, compile=False, safe_mode=True))
