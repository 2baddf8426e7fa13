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


def in_blocks(text, *programs):
    """Commands of programs in the code blocks of a page."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", re.sub(r"\\\n *", "", text), re.DOTALL | re.MULTILINE)
    return _of([line.strip().removeprefix("# ").removeprefix("$ ") for block in blocks for line in block.splitlines()], programs)


def said(text, program):
    """Commands of a program on a page: lines of code blocks, and code within lines."""
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    return [*in_blocks(text, program), *_of(spans, [program])]


def _of(lines, programs):
    found = [" ".join(re.split(r"\s(?:#|&&)\s| {3,}", each)[0].split()) for each in lines]
    return [each for each in found if each.startswith(tuple(f"{program} " for program in programs))]


COMMANDS = [(page.name, line) for page in PAGES for line in said(page.read_text(encoding="utf-8"), "harness")]
PROGRAMS = ("harness", "mlflow", "dask", "curl", "python", "python3", "uv", "pip", ".venv/bin/pytest", ".venv/bin/ruff")
RUN_BY = dict(re.findall(r"^\| `(.+)` \| (.+) \|$", (TOP / "docs" / "commands.md").read_text(encoding="utf-8"), re.MULTILINE))
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


def test_every_command_of_a_code_block_was_run_or_it_is_said_that_it_was_not():
    shown = {line for page in PAGES for line in in_blocks(page.read_text(encoding="utf-8"), *PROGRAMS)}
    assert len(shown) > 50
    assert shown - RUN_BY.keys() == set(), "docs/commands.md says of each command what runs it, or when it was run"
    assert RUN_BY.keys() - shown == set(), "docs/commands.md names commands that stand on no page"


@pytest.mark.parametrize(("line", "by"), RUN_BY.items())
def test_what_runs_a_command_is_a_test_that_has_it_or_a_date(line, by):
    if by.startswith("`"):
        test = (TOP / by.strip("`")).read_text(encoding="utf-8")
        assert not line.startswith("harness ") or re.search(rf"[\"' ]{line.split()[1]}[\"' ]", test)
    else:
        assert re.fullmatch(r"(by hand|results of) 20\d\d-\d\d-\d\d(, .+)?|not run: .+", by)
