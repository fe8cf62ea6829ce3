"""The notebook runs as it stands, and is kept without what it printed."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quick_start.ipynb"


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)


def with_few_steps(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook on fewer images and steps: what it asks of segshift stays the same."""
    fewer = {"count=80": "count=16", '"steps": 250': '"steps": 20', '"steps": 120': '"steps": 10'}
    text = nbformat.writes(notebook)
    for many, few in ((json.dumps(old)[1:-1], json.dumps(new)[1:-1]) for old, new in fewer.items()):
        assert many in text, many
        text = text.replace(many, few)
    return nbformat.reads(text, as_version=4)


@pytest.mark.process
def test_the_notebook_runs(tmp_path: Path) -> None:
    notebook = with_few_steps(nbformat.read(NOTEBOOK, as_version=4))
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert len(pictures) == 2
    assert printed.count("mIoU at dusk") == 3
