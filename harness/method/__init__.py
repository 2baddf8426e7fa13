"""The method between labels and nuclei: class map, tiles, post-processing."""
