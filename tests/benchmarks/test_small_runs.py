"""Benchmarks run to their end on a few images: their figures mean nothing, their code must work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.accuracy.detection import benchmark as detection
from benchmarks.common import report
from benchmarks.common.dataset import DEFAULT_IMAGES, images_in
from benchmarks.common.machine import ROOT

LIVENESS = ROOT.parent / "shared" / "data" / "liveness"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """170 people of LFW with two images each: anchors need 143 people."""
    if not DEFAULT_IMAGES.is_dir():
        pytest.skip(f"no data set at {DEFAULT_IMAGES}")
    folder = tmp_path_factory.mktemp("dataset") / "images"
    people = [(person.name, images_in(person)[:2]) for person in sorted(DEFAULT_IMAGES.iterdir())]
    for name, paths in [(name, paths) for name, paths in people if len(paths) == 2][:170]:
        (folder / name).mkdir(parents=True)
        for path in paths:
            (folder / name / path.name).symlink_to(path)
    return folder


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that results are written to."""
    monkeypatch.setattr(report, "LOCAL", tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process keeps its own handlers
    return tmp_path


def run(results: Path, name: str, *arguments: str) -> dict[str, Any]:
    assert main([name, *arguments]) == 0
    figures: dict[str, Any] = json.loads((results / f"{name}.json").read_text())
    assert figures["benchmark"] == name
    return figures


@pytest.mark.slow
def test_accuracy(images: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.accuracy.templates.figures.GALLERIES", (10,))
    monkeypatch.setattr("benchmarks.accuracy.templates.figures.ENROLLED", (1,))
    figures = run(results, "accuracy", "--images", str(images), "--people", "20")
    assert figures["people"] == 170
    assert figures["ten_fold"]["pairs_from"] == "drawn"
    assert figures["open_set"]["10"]["rank_1"] > 0.8
    assert figures["several_pictures"]["gallery"] == 169  # every person has enough images, one is left as a stranger
    assert {path.name for path in results.glob("*.svg")} == {"accuracy-det.svg", "accuracy-cmc.svg"}


@pytest.mark.slow
def test_detection(images: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection, "SIZES", ((640, 480),))
    monkeypatch.setattr(detection, "WIDTHS", (96,))
    figures = run(results, "detection", "--images", str(images), "--faces", "4", "--free", "20")
    assert figures["groups"][0]["recall"]["hits"] >= 3
    assert figures["face_free"]["pictures"]["scikit-image"] >= 5


@pytest.mark.slow
def test_turned(images: Path, results: Path) -> None:
    figures = run(results, "turned", "--images", str(images), "--people", "5", "--strangers", "5", "--rounds", "1")
    by_angle = {row["angle"]: row for row in figures["angles"]}
    assert list(by_angle) == [0, 90, 180, 270, 30, 45, 60]
    for angle in (0, 90, 180, 270):
        assert by_angle[angle]["read_as_turned"][str(angle)] >= 9
    assert figures["cost"]["images"] == 5


@pytest.mark.slow
def test_quality_and_occlusion(images: Path, results: Path) -> None:
    figures = run(results, "quality", "--images", str(images), "--limit", "20", "--changed", "4", "--fit")
    assert figures["pairs"] == 20
    assert set(figures["codes"]) == set(figures["changes"])
    assert len(figures["weights"]) == 5
    figures = run(results, "occlusion", "--images", str(images), "--people", "16")
    assert figures["faces"]["untouched"] == 16


@pytest.mark.slow
def test_liveness(tmp_path: Path, results: Path) -> None:
    if not LIVENESS.is_dir():
        pytest.skip(f"no data set at {LIVENESS}")
    for kind in ("live", "replay"):
        (tmp_path / "some" / kind).mkdir(parents=True)
        for path in images_in(LIVENESS / kind, "**/*")[:4]:
            (tmp_path / "some" / kind / path.name).symlink_to(path)
    figures = run(results, "liveness", "--images", str(tmp_path / "some"))
    assert figures["groups"]["every_face"]["bpcer"]["of"] == 4
    assert (results / "liveness.svg").is_file()


@pytest.mark.slow
@pytest.mark.graph
def test_throughput(images: Path, results: Path) -> None:
    arguments = ["--people", "4", "--pictures", "3", "--clients", "2", "--seconds", "1", "--rounds", "1"]
    sides = ["--sides", "shipped", "fastapi", "--rates"]  # no open loop, which would start the service once more
    figures = run(results, "throughput", "--images", str(images), *arguments, *sides)
    for name in ("facegraph, as shipped", "FastAPI + uvicorn"):
        step = figures["closed"][name]["2"]
        assert step["per_second"] > 0, name
        assert step["share_failed"] == 0, name
        assert step["cpu_ms"] > 0, name
    assert figures["mean_batch"]["facegraph, as shipped"] >= 1
