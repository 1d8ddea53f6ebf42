"""The notebooks run from the first cell to the last, against the running service if they need one."""

from __future__ import annotations

import asyncio
import json
import math
import re
import textwrap
import warnings
from pathlib import Path
from typing import Protocol

import nbformat
import pytest
from nbclient import NotebookClient

from serve_app.domain import ThresholdRequest
from serve_app.score import resolve_threshold
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


class RunningService(Protocol):
    """The service of the session's fixture."""

    url: str
    key: str | None


def execute(name: str, *further: str) -> nbformat.NotebookNode:
    """Run a notebook, and further cells after it, in a new kernel; raises at the first failing cell."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in further]
    with warnings.catch_warnings():
        # jupyter_client and zmq warn of event loops and transports that they do not close.
        for kind in (DeprecationWarning, ResourceWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        client = NotebookClient(
            notebook, timeout=400, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOKS)}}
        )
        asyncio.run(client.async_execute())
    return notebook


def pictures(notebook: nbformat.NotebookNode) -> int:
    """Number of plots in the cells' outputs."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def printed(notebook: nbformat.NotebookNode) -> str:
    """The text that the cells printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


@pytest.mark.graph
def test_quickstart(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_URL", service.url)
    monkeypatch.setenv("FACEGRAPH_API_KEY", service.key or "")
    assert pictures(execute("quickstart.ipynb")) == 2


@pytest.mark.slow
def test_threshold() -> None:
    plotted = """
    print(json.dumps([det.lines[0].get_xydata().tolist(), det.get_xscale(), det.get_yscale()]))
    print(json.dumps([line[0].get_xydata().tolist() for line in by_size.containers]))
    """
    notebook = execute("threshold.ipynb", textwrap.dedent(plotted))
    assert pictures(notebook) == 4
    *told, curve, by_size = printed(notebook).splitlines()

    def figures(pattern: str) -> list[tuple[float, ...]]:
        found = [re.fullmatch(pattern, line.strip()) for line in told]
        return [tuple(float(value.replace(",", "")) for value in match.groups()) for match in found if match]

    # 0.70 is an FMR of 1e-4: the FPIR at 1,000 comparisons, and the scores that keep it at 1 %
    assert figures(r"0\.70 against 1,000 faces: FPIR (.*)%") == [
        pytest.approx((100 * (1 - (1 - 1e-4) ** 1000),), abs=0.05)
    ]
    cosines = Catalogue.load().get(Settings().embedder.model).calibration().anchors
    needed = {int(size): (score, cosine) for size, score, cosine in figures(r"(.*) faces: score (.*), cosine (.*)")}
    assert list(needed) == [100, 1_000, 10_000, 100_000]
    for size, fmr in ((100, 1e-4), (1_000, 1e-5)):
        score = resolve_threshold(ThresholdRequest(), size).min_score
        assert needed[size] == pytest.approx((score, cosines[fmr]), abs=0.0006)

    measured = json.loads((NOTEBOOKS.parent / "benchmarks/results/accuracy.json").read_text())
    points = [(point["fmr"], 1 - point["tar"]) for point in measured["verification"]["people"]["points"]]
    assert len(points) >= 4
    assert json.loads(curve) == [[pytest.approx(point) for point in points], "log", "log"]
    one_in = figures(r"score (.*): one false match in (.*), (.*)% of true matches missed")
    assert one_in == [
        pytest.approx((round(0.5 - 0.05 * math.log10(fmr), 2), round(1 / fmr), 100 * missed), abs=0.0051)
        for fmr, missed in points
    ]

    open_set = {int(size): row for size, row in measured["open_set"].items()}
    assert {100, 1_000} <= set(open_set)
    assert json.loads(by_size) == [
        [
            pytest.approx((size, row["at_fpir"][fpir]["fnir"]))
            for size, row in open_set.items()
            if fpir in row["at_fpir"]
        ]
        for fpir in ("0.01", "0.001")
    ]
    rows = figures(r"(.*) people: score (.*), (.*)% of strangers answered, (.*)% of the enrolled missed")
    for (size, score, answered, missed), (people, row) in zip(rows, open_set.items(), strict=True):
        assert size == people
        assert score == pytest.approx(resolve_threshold(ThresholdRequest(), people).min_score, abs=0.0005)
        used = row["at_the_default_threshold"]
        assert (answered, missed) == pytest.approx((100 * used["fpir"], 100 * used["fnir"]), abs=0.0051)


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
