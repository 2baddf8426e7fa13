"""The pipeline file: what CellProfiler 4.2.8 reads by position (loading it there gave the same labels, see docs)."""

import pytest

from harness.core.errors import HarnessError
from harness.sources.classical import CONFIGURATIONS, Settings
from harness.sources.classical.pipeline_file import pipeline_text

# As CellProfiler 4.2.8 writes them: number of settings and revision of each module.
MODULES = {
    "Images": (3, 2),
    "Metadata": (15, 6),
    "NamesAndTypes": (19, 8),
    "Groups": (3, 2),
    "IdentifyPrimaryObjects": (34, 15),
    "ConvertObjectsToImage": (4, 1),
    "SaveImages": (18, 16),
}


def _modules(text):
    """Name, attributes line and values of each module, as CellProfiler splits them."""
    header, *modules = text.strip().split("\n\n")
    assert header.splitlines()[:2] == ["CellProfiler Pipeline: http://www.cellprofiler.org", "Version:5"]
    assert f"ModuleCount:{len(modules)}" in header
    for module in modules:
        about, *lines = module.splitlines()
        yield about.partition(":")[0], about, [line.partition(":")[2] for line in lines]


def test_every_module_has_the_settings_of_its_revision():
    modules = list(_modules(pipeline_text(CONFIGURATIONS, Settings())))
    assert [name for name, _, _ in modules] == list(MODULES)[:4] + list(MODULES)[4:] * len(CONFIGURATIONS)
    for number, (name, about, values) in enumerate(modules, 1):
        count, revision = MODULES[name]
        assert len(values) == count
        assert f"module_num:{number}|" in about and f"variable_revision_number:{revision}|" in about


def _identify(configuration, **changed):
    modules = _modules(pipeline_text([configuration], Settings(**changed)))
    return next(values for name, _, values in modules if name == "IdentifyPrimaryObjects")


def test_the_papers_settings():
    assert _identify("shape/intensity")[:21] == [
        "DNA",
        "NucleiShapeIntensity",
        "10,50",
        "Yes",
        "No",
        "Shape",
        "Intensity",
        "10",
        "7.0",
        "Yes",
        "After both thresholding and declumping",
        "Yes",
        "Yes",
        "Continue",
        "500",
        "Yes",
        "12",
        "Global",
        "Minimum Cross-Entropy",
        "1.3488",
        "1.0",
    ]


@pytest.mark.parametrize(
    ("place", "value", "changed"),
    [
        (2, "14,60", {"min_diameter": 14, "max_diameter": 60}),
        (3, "No", {"discard_size": False}),
        (4, "Yes", {"discard_border": True}),
        (7, "5", {"seed_smoothing": 5}),
        (11, "No", {"seed_smoothing": 5}),
        (8, "4.5", {"suppression": 4.5}),
        (12, "No", {"suppression": 4.5}),
        (9, "No", {"low_resolution": False}),
        (10, "Never", {"fill_holes": "never"}),
        (13, "Erase", {"max_objects": 40}),
        (14, "40", {"max_objects": 40}),
        (19, "2.0", {"threshold_smoothing": 2.0}),
        (20, "1.1", {"correction": 1.1}),
        (21, "0.1,0.5", {"bounds": (0.1, 0.5)}),
        (25, "Yes", {"version": "4", "log_transform": True}),
    ],
)
def test_every_setting_is_written(place, value, changed):
    assert _identify("shape/shape", **changed)[place] == value
    assert _identify("shape/shape")[place] != value


def test_label_images_are_named_after_image_and_configuration():
    saved = [values for name, _, values in _modules(pipeline_text(CONFIGURATIONS, Settings())) if name == "SaveImages"]
    assert [values[7] for values in saved] == ["_shape-intensity", "_intensity-shape", "_shape-shape", "_intensity-intensity"]


def test_the_notes_say_that_the_threshold_of_3_cannot_be_written():
    assert "3.1.9" in pipeline_text(["shape/shape"], Settings())
    assert "3.1.9" not in pipeline_text(["shape/shape"], Settings(version="4"))


def test_unknown_configurations_are_refused():
    with pytest.raises(HarnessError, match="SEEDS/LINES"):
        pipeline_text(["shape/propagate"], Settings())
