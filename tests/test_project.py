"""The files at the top agree with each other."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from harness.experiment.registry import load_registry

TOP = Path(__file__).parent.parent
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]


def test_mlflow_run_has_the_dependencies_of_the_project():
    conda = yaml.safe_load((TOP / "conda.yaml").read_text())
    assert conda["dependencies"][-1]["pip"] == ["-c constraints.txt", *PROJECT["dependencies"]]


@pytest.mark.parametrize("place", [".", "gpu"])
def test_mlflow_run_installs_what_is_pinned(place):
    """As MLflow itself reads the file, in the folder of the project; the name of its environment depends on the pins, too."""
    from mlflow.utils.environment import _PythonEnv
    from mlflow.utils.requirements_utils import _parse_requirements

    environment = _PythonEnv.from_conda_yaml(TOP / place / "conda.yaml")
    read = list(_parse_requirements(environment.dependencies, is_constraint=False, base_dir=TOP / place))
    pins = [line for line in (TOP / "constraints.txt").read_text().splitlines() if line]
    assert [each.req_str for each in read if each.is_constraint] == pins
    assert len([each for each in read if not each.is_constraint]) == len(PROJECT["dependencies"])


def test_the_gpu_project_is_the_same_with_cuda():
    cpu, gpu = (yaml.safe_load((TOP / place / "conda.yaml").read_text())["dependencies"][-1]["pip"] for place in (".", "gpu"))
    assert [name.replace("tensorflow[and-cuda]", "tensorflow") for name in gpu] == cpu
    assert PROJECT["optional-dependencies"]["gpu"] == [name for name in gpu if name not in cpu]
    top, below = (yaml.safe_load((TOP / place / "MLproject").read_text())["entry_points"] for place in (".", "gpu"))
    for entry in below.values():
        entry["command"] = entry["command"].removeprefix("cd .. && ")
    assert below == top


def test_every_dependency_is_pinned_without_an_address():
    pinned = (TOP / "constraints.txt").read_text()
    for dependency in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]:
        name = re.match(r"[\w-]+", dependency)[0].lower()
        assert re.search(rf"^{name}==", pinned, re.MULTILINE), name
    assert "://" not in pinned


@pytest.mark.parametrize("entry", ["main", "row", "report"])
def test_entry_points_are_commands_that_exist(entry, harness):
    points = yaml.safe_load((TOP / "MLproject").read_text())["entry_points"]
    words = points[entry]["command"].split()
    assert words[:3] == ["python", "-m", "harness.cli"]
    code, out, _ = harness(words[3], "--help")
    assert code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in out


def test_the_registry_of_the_guide_is_one(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", (TOP / "docs" / "your-own-data.md").read_text(), re.DOTALL)
    (tmp_path / "my.toml").write_text(example)
    rows = load_registry(tmp_path / "my.toml").rows
    assert len({row.labels for row in rows.values() if row.method == "network"}) >= 3


def test_every_link_between_the_pages_leads_somewhere():
    pages = [TOP / "README.md", TOP / "CONTRIBUTING.md", *(TOP / "docs").glob("*.md")]
    links = [(page, *link) for page in pages for link in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", page.read_text())]
    assert len(links) > 20
    for page, path, anchor in links:
        target = page.parent / path if path else page
        assert target.exists(), (page.name, path)
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings], (
                page.name,
                anchor,
            )


def test_no_data_and_no_machine_path_is_committed():
    files = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("not a git checkout")
    assert not [name for name in files.stdout.split() if name.endswith((".tif", ".zip", "uv.lock"))]
