"""Each notebook runs from a clean kernel and is stored with its outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted(Path(__file__).parent.parent.glob("notebooks/*.ipynb"))
ids = [path.stem for path in NOTEBOOKS]


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_it_runs_from_a_clean_kernel(path, monkeypatch):
    monkeypatch.delenv("MOVIELENS", raising=False)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    printed = [o for o in outputs(notebook) if o.get("name") == "stderr"]
    assert not printed, printed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=ids)
def test_it_is_stored_with_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert all(cell.execution_count for cell in code)
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert not [
        o for o in outputs(notebook) if o.output_type == "error" or o.get("name") == "stderr"
    ]


def test_the_first_three_are_there():
    assert ids[:3] == ["01-worked-example", "02-backward-pass", "03-recommender"]
