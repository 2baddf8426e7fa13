"""Labels made worse on purpose: by how much, where, the same again, and what of it is ignored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import HarnessError
from harness.core.label_images import remove_touching_edge, renumber
from harness.datasets import Field, open_dataset
from harness.datasets.synthetic import synthetic_field
from harness.experiment import registry
from harness.scoring.boundaries import outline_distances, outline_offset
from harness.scoring.mismatches import classify
from harness.sources import open_source
from harness.sources.noise import NOISE

LABELS = renumber(remove_touching_edge(synthetic_field(2021, 0)[1][150:390, 150:390]))
COUNT = LABELS.max()
KINDS = {kind.name: kind for kind in NOISE}
EVERY = pytest.mark.parametrize("kind", KINDS)
ONE_OF = ("noise-missing", "noise-split", "noise-false")
SHARES, FEW = st.floats(0, 1), settings(max_examples=5)


def spoilt(kind, labels=LABELS, name="a", **settings):
    field = Field(name, lambda _: np.zeros(labels.shape, np.uint16), lambda _: labels)
    return open_source("manual", {}, [{"step": kind, **settings}]).label(field)


def changed(kind, **settings):
    return spoilt(kind, **settings | {"mask": 1})[1]


@EVERY
@FEW
@given(share=SHARES, seed=st.integers(0, 99))
def test_the_same_spec_gives_the_same_bits_and_label_images(kind, share, seed):
    labels, ignore = spoilt(kind, share=share, seed=seed)
    again = spoilt(kind, share=share, seed=seed)
    assert (labels == again[0]).all() and not ignore.any()
    assert labels.dtype == np.int32 and labels.shape == LABELS.shape
    assert set(np.unique(labels)) == set(range(labels.max() + 1)), "0 and nuclei 1..n"


@EVERY
def test_another_seed_and_another_field_are_spoilt_elsewhere(kind):
    for which in ([{"seed": seed} for seed in range(5)], [{"name": name} for name in "abcde"]):
        assert len({spoilt(kind, share=0.15, **each)[0].tobytes() for each in which}) > 1


@EVERY
@FEW
@given(low=SHARES, high=SHARES)
def test_a_larger_share_spoils_what_a_smaller_one_does_and_more(kind, low, high):
    low, high = sorted((low, high))
    less, more = changed(kind, share=low), changed(kind, share=high)
    if kind == "noise-shifted":  # where one more moves away, a moved one that was cut short is whole
        return
    assert not (less & ~more).any()


@FEW
@given(low=st.floats(-3, 3), high=st.floats(-3, 3))
def test_an_outline_moves_out_with_every_step(low, high):
    low, high = sorted((low, high))
    inner, outer = (spoilt("noise-outline", by=by)[0] > 0 for by in (low, high))
    assert not (inner & ~outer).any()


@EVERY
def test_nothing_happens_at_nothing_and_without_nuclei(kind):
    labels, ignore = spoilt(kind, share=0, mask=2)
    assert (labels == LABELS).all() and not ignore.any()
    labels, ignore = spoilt(kind, np.zeros_like(LABELS), share=1, mask=2)
    assert not labels.any() and not ignore.any()


@pytest.mark.parametrize("kind", ["noise-outline", "noise-shifted"])
def test_no_pixel_moves_by_no_pixel(kind):
    assert (spoilt(kind, by=0)[0] == LABELS).all()


@FEW
@given(share=SHARES, seed=st.integers(0, 99))
def test_a_share_is_of_nuclei_and_each_kind_is_what_its_name_says(share, seed):
    found = {kind: classify(LABELS, spoilt(kind, share=share, seed=seed)[0]) for kind in ONE_OF}
    counts = {kind: spoilt(kind, share=share, seed=seed)[0].max() - COUNT for kind in KINDS}
    assert abs(counts["noise-missing"] + share * COUNT) < 1 and abs(counts["noise-split"] - share * COUNT) < 1
    assert 0 <= counts["noise-false"] < share * COUNT + 1, "a full field takes no more"
    for kind, of in zip(ONE_OF, ("missed", "split", "extra"), strict=True):
        assert not any(ids for other, ids in found[kind].items() if other != of)


def test_shares_are_met_in_the_mean_over_fields_with_few_nuclei():
    few = np.where(LABELS <= 3, LABELS, 0)
    left = [spoilt("noise-missing", few, str(name), share=0.2)[0].max() for name in range(200)]
    assert abs(np.mean(left) / 3 - 0.8) < 0.06  # three standard errors


@FEW
@given(low=SHARES, high=SHARES)
def test_what_merges_are_whole_nuclei_and_those_of_a_lower_share_stay_together(low, high):
    for share, labels in zip((low, high), of := [spoilt("noise-merged", share=share)[0] for share in (low, high)], strict=True):
        assert COUNT - labels.max() < share * COUNT + 1 and {*classify(LABELS, labels)["merged"]} == {*_of_several(labels)}
    less, more = sorted(of, key=np.max, reverse=True)
    assert all(len(np.unique(more[less == id_])) == 1 for id_ in range(1, less.max() + 1))


def _of_several(labels):
    return [id_ for id_ in range(1, labels.max() + 1) if len(set(LABELS[labels == id_]) - {0}) > 1]


def test_nuclei_that_meet_become_one_and_those_that_stand_alone_do_not():
    labels = np.zeros((20, 60), np.int32)
    labels[5:15, 5:15], labels[5:15, 17:27], labels[5:15, 40:50] = 1, 2, 3
    merged = spoilt("noise-merged", labels, share=1)[0]
    assert merged.max() == 2 and (merged[5:15, 5:27] == merged[10, 10]).all() and (merged > 0).sum() == 320


@pytest.mark.parametrize("by", [-2, -1, -0.4, 0.54, 1, 2, 3.3])
def test_the_offset_of_an_outline_is_what_was_asked_for_in_the_mean(by):
    row, column = np.mgrid[:40, :40]
    disc = np.tile((row - 20) ** 2 + (column - 20) ** 2 <= 121, (8, 8))
    labels = np.kron(np.arange(1, 65).reshape(8, 8), np.ones((40, 40), int)) * disc
    found = outline_offset(outline_distances(disc, spoilt("noise-outline", labels.astype(np.int32), by=by)[0] > 0))
    assert abs(found - by) < 0.15


def test_an_outline_wobbles_about_where_it_was():
    moved = outline_distances(LABELS > 0, spoilt("noise-outline", by=0, wobble=1.5)[0] > 0)
    assert abs(outline_offset(moved)) < 0.3 < np.abs(np.concatenate(moved)).mean()


@EVERY
@FEW
@given(share=st.floats(0.05, 0.45))
def test_a_mask_takes_what_is_wrong_and_a_realistic_one_as_many_besides(kind, share):
    kept, nothing = spoilt(kind, share=share)
    (oracle, wrong), (realistic, more) = (spoilt(kind, share=share, mask=mask) for mask in (1, 2))
    assert (kept == oracle).all() and (kept == realistic).all() and not nothing.any()
    assert ((kept > 0) != (LABELS > 0))[~wrong].sum() == 0, "what is not ignored is right"
    innocent = np.unique(LABELS[more & ~wrong])
    assert not (wrong & ~more).any() and (kept[more & ~wrong] > 0).all() and (LABELS[more & ~wrong] > 0).all()
    if kind in ONE_OF:
        assert abs(len(innocent) - min(abs(int(kept.max()) - COUNT), COUNT)) < 1


def test_noise_goes_on_top_of_any_labels_and_of_other_noise():
    steps = [{"step": "noise-missing", "share": 0.5}, {"step": "noise-false", "share": 0.5}]
    source = open_source("control:dilated", {}, ["half-contrast", *steps])
    assert source.stages == ("controls", "refinements", "noise")
    labels, _ = open_source("control:dilated", {}, steps).label(Field("a", None, lambda _: LABELS))
    found = classify(LABELS, labels)
    assert abs(len(found["missed"]) - COUNT / 2) < 1 and found["extra"]


def test_corrupted_annotation_is_no_reference_and_no_row_to_score(tmp_path):
    assert open_source("manual", {}, ["half-contrast"]).is_truth and not open_source("manual", {}, ["noise-missing"]).is_truth
    file = tmp_path / "own.toml"
    file.write_text('[rows.a]\ntitle = "A"\nmethod = "classical"\nlabels = "manual"\nrefine = ["noise-missing"]\n')
    with pytest.raises(HarnessError, match="a classical row needs"):
        registry.load_registry(file)


def test_level_seed_and_mask_are_part_of_a_run_s_identity():
    dataset = open_dataset("synthetic")

    def spec(*refine):
        book = registry.load_registry()
        row = registry.Row.model_validate(book.rows["network-manual"].model_dump() | {"refine": list(refine)})
        return registry.resolve(book.model_copy(update={"rows": {"row": row}}), "row", "smoke", dataset, 0)

    steps = [{"step": "noise-missing"} | change for change in ({}, {"share": 0.2}, {"seed": 1}, {"mask": 1})]
    assert len({spec().hash, *(spec(step).hash for step in steps)}) == 5
    assert spec(steps[0]).versions.keys() - spec().versions.keys() == {"noise"}


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"step": "noise-missing", "share": 1.5}, "share is 1.5; expected 0 to 1"),
        ({"step": "noise-missing", "share": float("nan")}, "share is nan"),
        ({"step": "noise-split", "seed": 0.5}, "seed is 0.5; expected a whole number"),
        ({"step": "noise-split", "seed": float("inf")}, "seed is inf"),
        ({"step": "noise-false", "mask": 3}, "mask is 3; expected 0, 1 or 2"),
        ({"step": "noise-outline", "by": 99}, "by is 99"),
        ({"step": "noise-shifted", "by": -1}, "by is -1"),
        ({"step": "noise-merged", "by": 1}, "has no setting 'by'; expected share, seed, mask"),
    ],
)
def test_noise_that_cannot_be_is_refused(step, said):
    with pytest.raises(HarnessError, match=said):
        open_source("manual", {}, [step])


def test_a_prediction_is_not_spoilt():
    from harness.sources.predicted import Predicted
    from harness.sources.refinements import open_steps

    with pytest.raises(HarnessError, match="noise is for the labels of a training"):
        open_steps(["noise-missing"], Predicted())
