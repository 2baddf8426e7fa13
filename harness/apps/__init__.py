"""Programs of their own: labelling and segmenting folders of images, benchmarks."""
