"""What other programs make of the exported files: label images again, read as the formats define them."""

import json

import numpy as np


def fill(rings, shape):
    """Pixels whose centres are inside rings by the even-odd rule: behind an odd number of their vertical sides."""
    crossed = np.zeros((shape[0], shape[1] + 1), bool)
    for ring in rings:
        for (x, y), (to_x, to_y) in zip(ring, [*ring[1:], ring[0]], strict=True):
            assert (x == to_x) != (y == to_y)  # along the edges of pixels
            crossed[slice(*sorted((y, to_y))), x] ^= x == to_x
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def imagej(path, shape):
    from roifile import ROI_TYPE, roiread

    labels = np.zeros(shape, np.int32)
    for roi in roiread(path):
        assert roi.roitype == (ROI_TYPE.RECT if roi.composite else ROI_TYPE.TRACED)
        rings = [ring.astype(int).tolist() for ring in roi.coordinates(multi=True)]
        if roi.composite:
            assert all(ring[0] == ring.pop() for ring in rings)
        _put(labels, fill(rings, shape), int(roi.name))
        inside = np.argwhere(labels == int(roi.name))
        np.testing.assert_array_equal([(roi.top, roi.left), (roi.bottom, roi.right)], [inside.min(0), inside.max(0) + 1])
    return labels


def qupath(path, shape):
    labels = np.zeros(shape, np.int32)
    for feature in json.loads(path.read_text())["features"]:
        geometry = feature["geometry"]
        polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        for polygon in polygons:
            assert all(ring[0] == ring[-1] for ring in polygon)
            outer, *holes = ([tuple(corner) for corner in ring[:-1]] for ring in polygon)
            mask = fill([outer], shape)
            for hole in holes:
                assert mask[fill([hole], shape)].all()
                mask ^= fill([hole], shape)
            _put(labels, mask, int(feature["properties"]["name"]))
    return labels


def ome_zarr(path, shape):
    import zarr

    group = zarr.open_group(path, mode="r")
    (scale,) = group.attrs["multiscales"]
    assert scale["version"] == "0.4" and [axis["name"] for axis in scale["axes"]] == ["y", "x"] and "image-label" in group.attrs
    return group[scale["datasets"][0]["path"]][:]


READERS = {"imagej": imagej, "qupath": qupath, "ome-zarr": ome_zarr}


def _put(labels, mask, id_):
    assert mask.any() and not labels[mask].any()
    labels[mask] = id_
