"""Every example in a docstring of the package gives what it says, in whatever module it stands."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
MODULES = [
    ".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((TOP / "harness").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module(name):
    failed, attempted = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert attempted and not failed
