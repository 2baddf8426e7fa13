from types import SimpleNamespace

import numpy as np
import pytest

from harness.core.errors import HarnessError
from harness.datasets import open_dataset
from harness.experiment import registry

DATASET = SimpleNamespace(name="some-fields", digest="0" * 64, splits={"test": ()})
PAPER = registry.load_registry()


def write(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


ROW = '[rows.mine]\ntitle = "Mine"\nmethod = "classical"\nlabels = "consensus"\n'
CLAIM = "[claims.c]\ntitle = 'C'\nrow = 'mine'\nreference = 'mine'\nmargins = {jaccard = 0.01}\n"


def test_the_rows_of_the_paper():
    assert list(PAPER.rows) == [
        "network-manual",
        "network-shape-intensity",
        "network-consensus",
        "classical-shape-intensity",
        "classical-intensity-shape",
        "classical-shape-shape",
        "classical-intensity-intensity",
    ]
    assert PAPER.published("network-shape-intensity", "bbbc039") == {
        "dice_nuclei": 0.958,
        "dice_separations": 0.355,
        "jaccard": 0.838,
    }
    assert PAPER.published("network-shape-intensity", "synthetic") == {}
    assert PAPER.tables["jaccard"].metrics == ["jaccard", "jaccard_equal"]


def test_the_paper_profile_is_the_papers_schedule():
    paper = registry.load_profiles()["paper"]
    assert (paper.epochs, paper.steps_per_epoch, paper.batch, paper.learning_rate) == (50, 3200, 1, 1e-5)
    assert paper.decay == "constant" and paper.augmented_validation and paper.validation_tiles == 0


def test_profiles_change_the_amount_of_work_only():
    networks = [registry.resolve(PAPER, "network-manual", name, DATASET, 0).network for name in registry.load_profiles()]
    assert all(network == networks[0] for network in networks)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rows = 3", "rows"),
        ("[rows.mine]\ntitle = 'x'", "rows.mine.method: Field required"),
        (ROW + "colour = 1", "rows.mine.colour: unknown key; expected one of title, method, labels"),
        (ROW.replace("classical", "magic"), "'network' or 'classical'"),
        (ROW.replace("consensus", "cellprofiler:shape/magic"), "unknown label source 'cellprofiler:shape/magic'"),
        (ROW.replace("consensus", "manual"), "a classical row needs a label source that looks at the image"),
        (ROW + "settings = {diameter = 3}", "no setting 'diameter'"),
        (ROW + "settings = {min_diameter = 60}", "expected at most max_diameter, which is 50"),
        ("tile = 100\n" + ROW, "tile: Input should be a multiple of 16"),
        ("tile = 0\n" + ROW, "tile: Input should be greater than 0"),
        (ROW + "[network]\nbase = 0", "network.base: Input should be greater than 0"),
        (ROW + "[tables.t]\ntitle = 'T'\nmetrics = ['beauty']", "tables.t.metrics.0"),
        (ROW + "[tables.t]\ntitle = 'T'\nmetrics = ['jaccard']\npublished = {mein = [1.0]}", "published.mein: no such row"),
        (ROW + "[tables.t]\ntitle = 'T'\nmetrics = ['jaccard']\npublished = {mine = [1.0, 2.0]}", "2 values for 1 metrics"),
        ("this is not TOML", "is not TOML"),
        ("x = " + "[" * 5000, "is not TOML that can be read"),
        ("x = 1" + "0" * 5000, "is not TOML that can be read"),
        (ROW.replace("Mine", "two\\nlines"), "rows.mine.title: expected one line"),
        (ROW.replace("mine", "'../../x'"), "rows.'../../x': an id has letters"),
        (ROW.replace("mine", "'a b'"), "rows.'a b': an id has letters"),
        (ROW.replace("mine", '"a\\nb"'), "rows.'a\\nb': an id has letters"),
        (ROW.replace("mine", "'größe'"), "an id has letters"),
        (ROW.replace("mine", "x" * 65), "an id has letters"),
        (ROW + "[tables.'../x']\ntitle = 'T'\nmetrics = ['jaccard']", "tables.'../x': an id has letters"),
        (ROW + "[tables]", "tables: "),
        (ROW + CLAIM.replace("'mine'", "'other'"), "claims.c.row: no such row 'other'; there is mine"),
        (ROW + CLAIM.replace("0.01", "0"), "claims.c.margins.jaccard: Input should be greater than 0"),
        (ROW + CLAIM.replace("jaccard", "beauty"), "claims.c.margins.beauty"),
        (ROW + CLAIM + "colour = 1", "claims.c.colour: unknown key; expected one of title, row, reference, margins"),
    ],
)
def test_a_bad_registry_is_refused_in_one_line_with_file_and_key(tmp_path, text, said):
    path = write(tmp_path, text)
    with pytest.raises(HarnessError) as refusal:
        registry.load_registry(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: ") and said in message and "\n" not in message


def test_a_missing_registry_is_refused(tmp_path):
    with pytest.raises(HarnessError, match="cannot be read"):
        registry.load_registry(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("row", "profile", "said"),
    [
        ("none", "cpu", "unknown row 'none'; there is classical-"),
        ("network-manual", "huge", "unknown profile 'huge'; there is cpu"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(row, profile, said):
    with pytest.raises(HarnessError, match=said):
        registry.resolve(PAPER, row, profile, DATASET, 0)


def test_the_hash_changes_with_whatever_decides_the_result():
    spec = registry.resolve(PAPER, "network-shape-intensity", "cpu", DATASET, 0)
    others = [
        spec.model_copy(update={key: value})
        for key, value in [
            ("seed", 1),
            ("digest", "1" * 64),
            ("labels", "consensus"),
            ("settings", {"version": "4"}),
            ("network", registry.Network(base=8)),
            ("tile", 256),
            ("versions", spec.versions | {"metrics": 99}),
        ]
    ]
    assert len({other.hash for other in [spec, *others]}) == 8
    assert spec.model_copy(update={"title": "New words"}).hash == spec.hash


def test_a_tile_is_of_the_registry_or_what_the_fields_need():
    images = {"a": np.ones((250, 200)), "b": np.ones((9, 9))}
    dataset = SimpleNamespace(name="crops", digest="0" * 64, splits={"test": tuple(images)}, read_image=images.get)
    given = PAPER.model_copy(update={"tile": 512})
    for row in ("network-manual", "classical-shape-shape"):
        assert registry.resolve(PAPER, row, "cpu", dataset, 0).tile == 256
        assert registry.resolve(given, row, "cpu", dataset, 0).tile == 512


def test_settings_that_are_left_to_the_images_are_numbers_in_the_spec():
    dataset, auto = open_dataset("synthetic"), {"min_diameter": "auto", "max_diameter": "auto"}
    rows = {
        name: PAPER.rows[name].model_copy(update={"settings": auto})
        for name in ("network-consensus", "classical-shape-intensity", "classical-shape-shape")
    }
    left_open = PAPER.model_copy(update={"rows": rows})
    known = registry.fitted(left_open, dataset)
    (numbers,) = {tuple(row.settings.items()) for row in known.rows.values()}
    assert all(isinstance(number, int) for _, number in numbers) and known.tile == 512
    for row in rows:
        spec = registry.resolve(left_open, row, "cpu", dataset, 0)
        assert spec.settings == dict(numbers) and spec.hash == registry.resolve(known, row, "cpu", dataset, 0).hash


def test_a_new_metric_does_not_ask_for_new_training():
    spec = registry.resolve(PAPER, "network-consensus", "cpu", DATASET, 0)
    for stage in spec.versions:
        raised = spec.model_copy(update={"versions": spec.versions | {stage: 99}})
        trains_anew = stage in {"datasets", "classical", "classmap", "tiles", "network"}
        assert (raised.training_hashes()[0] != spec.training_hashes()[0]) == trains_anew, stage


def test_classical_rows_do_not_depend_on_the_network():
    spec = registry.resolve(PAPER, "classical-shape-shape", "cpu", DATASET, 0)
    assert spec.schedule is None and spec.network is None and "network" not in spec.versions


def test_a_registry_without_tables_is_shown_in_those_of_the_paper(tmp_path):
    tables = registry.load_registry(write(tmp_path, ROW)).tables
    assert {name: table.metrics for name, table in tables.items()} == {
        name: table.metrics for name, table in PAPER.tables.items()
    }
    assert not any(table.published for table in tables.values())


def test_rows_without_annotation_are_an_ablation_that_shares_its_runs_with_the_paper_s():
    free = registry.load_registry(registry._packaged("label-free.toml"))
    for row in ("network-shape-intensity", "network-manual", "classical-shape-intensity"):
        one, other = (registry.resolve(book, row, "cpu", DATASET, 0) for book in (free, PAPER))
        assert one.hash == other.hash
    assert registry.lineage(free, "network-second-generation") == ["network-declumped"]
    for row, of in (("shape-intensity-refined", "shape-intensity"), ("declumped-cut", "declumped"), ("manual-cut", "manual")):
        assert registry.parent_of(free, f"network-{row}-after") == f"network-{of}"
    blind = [name for name, row in free.rows.items() if not row.source.is_truth]
    assert all(name.startswith("network-manual") for name in free.rows.keys() - set(blind))
    for claim in free.claims.values():
        assert claim.row in blind and free.rows[claim.reference].loss == free.rows[claim.row].loss


def test_rows_over_data_sets_share_their_runs_with_the_study_of_noise_and_one_alone_sees_annotation():
    across, noise = (registry.load_registry(registry._packaged(file)) for file in ("across.toml", "noise.toml"))
    for row in ("network-manual", "network-shape-intensity"):
        one, other = (registry.resolve(book, row, "study", DATASET, 0) for book in (across, noise))
        assert one.hash == other.hash
    assert [name for name, row in across.rows.items() if row.source.is_truth] == ["network-manual"]
