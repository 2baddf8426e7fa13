"""The notebook of the documentation, run as it stands."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "docs" / "notebook.ipynb"


def outputs(cells):
    """What the cells gave, as text; without pictures, and without the digits of scores."""
    texts = [
        "".join(output.get("data", {}).get("text/plain", ""))
        for cell in cells
        if cell["cell_type"] == "code"
        for output in cell["outputs"]
    ]
    return [re.sub(r"\d+\.\d+", "#", text) for text in texts if not text.startswith("<Figure")]


def test_the_notebook_was_run_and_is_small():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [each for cell in code for each in cell["outputs"] if each["output_type"] == "error"]
    assert NOTEBOOK.stat().st_size < 200_000


@pytest.mark.integration
def test_the_notebook_gives_what_it_shows(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    shown = nbformat.read(NOTEBOOK, as_version=4)
    run = nbclient.NotebookClient(nbformat.read(NOTEBOOK, as_version=4), timeout=900, resources={"metadata": {"path": tmp_path}})
    assert outputs(run.execute()["cells"]) == outputs(shown["cells"])
