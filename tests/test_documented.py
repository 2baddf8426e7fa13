"""What the pages tell people to type is what there is."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer
import yaml

from harness import cli

TOP = Path(__file__).parent.parent
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").glob("*.md")), TOP / "docs" / "results" / "README.md"]


def said(text, program):
    """Commands of a program on a page: lines of code blocks, and code within lines."""
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip().removeprefix("# ").removeprefix("$ ") for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    found = [" ".join(re.split(r"\s(?:#|&&)\s| {3,}", each)[0].split()) for each in (*lines, *spans)]
    return [each for each in found if each.startswith(f"{program} ")]


COMMANDS = [(page.name, line) for page in PAGES for line in said(page.read_text(encoding="utf-8"), "harness")]
MLFLOW_RUNS = [line for page in PAGES for line in said(page.read_text(encoding="utf-8"), "mlflow run")]


def test_the_pages_are_read():
    assert len(COMMANDS) > 50 and len({page for page, _ in COMMANDS}) > 5 and len(MLFLOW_RUNS) > 5
    page = "a `harness list`\n```bash\nharness run x --seed 1  # so\n```"
    assert said(page, "harness") == ["harness run x --seed 1", "harness list"]


@pytest.mark.parametrize(("page", "line"), COMMANDS)
def test_a_command_of_the_pages_is_one(page, line):
    """As far as Click can tell before anything is done: command, options, their values."""
    commands = typer.main.get_command(cli.app).commands
    name, *arguments = [word for word in shlex.split(line)[1:] if word not in ("...", "…")]
    if name.startswith("--"):
        return
    assert name in commands, f"{page}: no command '{name}'"
    command = commands[name]
    required = sum(each.required for each in command.params if each.param_type_name == "argument")
    given = arguments or ["x"] * required  # in a sentence a command is often only named
    command.make_context(name, given)


def test_an_option_that_is_not_there_is_found():
    with pytest.raises(Exception, match="No such option"):
        test_a_command_of_the_pages_is_one("page", "harness list --no-such-option")


@pytest.mark.parametrize("line", MLFLOW_RUNS)
def test_a_project_run_of_the_pages_is_one(line):
    words = shlex.split(line)
    points = yaml.safe_load((TOP / ("gpu" if "#gpu" in line else ".") / "MLproject").read_text())["entry_points"]
    options = list(pairwise(words))
    entry = next((value for option, value in options if option == "-e"), "main")
    assert {value.split("=")[0] for option, value in options if option == "-P"} <= points[entry]["parameters"].keys()
