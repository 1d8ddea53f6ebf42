"""The notebooks run from the first cell to the last: against the running service, or, where they need none, alone."""

from __future__ import annotations

import asyncio
import re
import warnings
from pathlib import Path
from typing import Protocol

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


class RunningService(Protocol):
    """What the session's fixture provides."""

    url: str
    key: str | None


def execute(name: str) -> nbformat.NotebookNode:
    """Run a notebook in a kernel of its own; raises at the first failing cell."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    with warnings.catch_warnings():
        # jupyter_client and zmq talk about event loops and transports that are theirs to close.
        for kind in (DeprecationWarning, ResourceWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        client = NotebookClient(
            notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
        )
        asyncio.run(client.async_execute())
    return notebook


def pictures(notebook: nbformat.NotebookNode) -> int:
    """How many plots the cells showed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def printed(notebook: nbformat.NotebookNode) -> str:
    """What the cells printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


@pytest.mark.graph
def test_quickstart(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_URL", service.url)
    monkeypatch.setenv("FACEGRAPH_API_KEY", service.key or "")
    assert pictures(execute("quickstart.ipynb")) == 2


@pytest.mark.slow
def test_threshold() -> None:
    assert pictures(execute("threshold.ipynb")) == 2


@pytest.mark.slow
def test_capacity() -> None:
    notebook = execute("capacity.ipynb")
    assert pictures(notebook) == 1
    told = printed(notebook)
    assert re.search(r"100,000,000  Milvus cluster", told)
    assert re.search(r"[1-9] GPUs", told)


@pytest.mark.slow
def test_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEGRAPH_IMAGES", raising=False)
    notebook = execute("embeddings.ipynb")
    assert pictures(notebook) == 3
    same, different = (float(value) for value in re.findall(r"median cosine (-?\d\.\d+)", printed(notebook)))
    assert same > 0.6 > 0.3 > different
    assert re.search(r"false at 0\.70: 0\.0%", printed(notebook))
    assert len(re.findall(r"lost at|found throughout", printed(notebook))) == 12


def test_every_notebook_is_tested_and_kept_without_outputs() -> None:
    found = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    assert found == ["capacity.ipynb", "embeddings.ipynb", "quickstart.ipynb", "threshold.ipynb"]
    for name in found:
        notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells), name
