"""Label sources: where the label images for training come from."""
