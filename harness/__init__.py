"""A benchmark of label sources for nuclei segmentation, tracked with MLflow."""

__version__ = "0.1.0"
