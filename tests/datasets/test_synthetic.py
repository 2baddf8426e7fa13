"""Synthetic fields: the same everywhere, like BBBC039's, and their nuclei exact."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import label

from harness.datasets import open_dataset, synthetic
from harness.datasets.synthetic import open_synthetic, synthetic_field


@pytest.fixture(scope="module")
def fields():
    return [synthetic_field(synthetic.SEED, index) for index in range(22)]


def test_golden():
    """Whoever changes a pixel raises `synthetic.RECIPE` and puts the new digest here."""
    assert synthetic.RECIPE == 1
    digest = open_dataset("synthetic").digest
    assert digest == "1d452733639e788804dd2587204be87035728f4bdce5b3f8f2fff3ac6a50d79a"


def test_splits_are_disjoint_and_named_after_themselves():
    splits = open_synthetic().splits
    assert {split: len(fields) for split, fields in splits.items()} == synthetic.FIELDS
    assert sum(synthetic.FIELDS.values()) == 22
    assert len(set(sum(splits.values(), ()))) == 22
    assert splits["test"][0] == "test-01"


def test_readers_give_fresh_arrays_and_survive_pickling():
    dataset = open_synthetic()
    dataset.read_image("test-01")[:] = 0
    dataset.read_nuclei("test-01")[:] = 0
    again = pickle.loads(pickle.dumps(dataset))
    assert again.read_image("test-01").max() > 1000
    assert again.read_nuclei("test-01").max() > 10
    assert not np.array_equal(again.read_image("test-01"), again.read_image("test-02"))


def test_another_seed_is_another_data_set():
    assert not np.array_equal(*(synthetic_field.__wrapped__(seed, 0)[0] for seed in (1, 2)))


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), index=st.integers(0, 100))
def test_any_seed_gives_12_bit_images_and_nuclei_in_one_piece_each(seed, index):
    image, nuclei = synthetic_field.__wrapped__(seed, index)
    assert (image.shape, image.dtype, nuclei.dtype) == ((520, 696), np.uint16, np.int32)
    assert image.min() > 100 and image.max() <= 4095
    assert np.array_equal(np.unique(nuclei), np.arange(nuclei.max() + 1))
    assert label(nuclei).max() == nuclei.max()


def test_nuclei_that_the_edge_does_not_cut_have_the_sizes_of_real_ones(fields):
    areas = []
    for _, nuclei in fields:
        edge = np.unique(np.concatenate([nuclei[0], nuclei[-1], nuclei[:, 0], nuclei[:, -1]]))
        areas += [area for id_, area in enumerate(np.bincount(nuclei.ravel())) if id_ not in edge]
    diameters = 2 * np.sqrt(np.array(areas) / np.pi)
    assert diameters.min() > 10 and diameters.max() < 50
    assert 24 < np.median(diameters) < 30  # 28.7 px in BBBC039


def test_crowding_noise_and_light_are_those_of_bbbc039(fields):
    clumps = sum(label(nuclei > 0).max() for _, nuclei in fields)
    assert 0.8 < clumps / sum(nuclei.max() for _, nuclei in fields) < 0.9  # 0.85 in BBBC039
    for image, nuclei in fields:
        far = ndimage.distance_transform_edt(nuclei == 0) > 10
        assert 135 < np.median(image[far]) < 180
        assert 2 < (np.median(image[nuclei > 0]) - np.median(image[far])) / 100 < 8
        noise = np.diff(image.astype(float), axis=1)[far[:, 1:] & far[:, :-1]].std() / np.sqrt(2)
        assert 4 < noise < 10  # 4.8 in BBBC039's darkest parts


def test_some_nuclei_are_dim_some_bright_and_specks_are_no_nuclei(fields):
    levels = [ndimage.mean(image, nuclei, range(1, nuclei.max() + 1)) for image, nuclei in fields]
    relative = np.concatenate([(level - 150) / np.median(level - 150) for level in levels])
    assert (relative < 0.6).mean() > 0.02 and (relative > 1.6).mean() > 0.02
    outside = [image[ndimage.distance_transform_edt(nuclei == 0) > 10].max() for image, nuclei in fields]
    assert max(outside) > 300  # debris


def test_light_is_uneven(fields):
    corners = [
        [image[y, x][nuclei[y, x] == 0].min() for y in (slice(150), slice(-150, None)) for x in (slice(150), slice(-150, None))]
        for image, nuclei in fields
    ]
    assert np.mean(np.ptp(np.array(corners, float), axis=1)) > 2
