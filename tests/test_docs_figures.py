"""Figures that pages repeat are those of the published runs in benchmarks/results, to the digits that are printed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
N = r"\**([\d.,]*\d)"


@cache
def run(name: str) -> Any:
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))


def milliseconds(side: str) -> float:
    return float(run("latency")["milliseconds"][side]["median"])


def ratio() -> float:
    return float(run("latency")["ratio"]["median"])


def ten_fold(name: str = "mean") -> float:
    return float(run("accuracy")["ten_fold"][name])


def at_1e4() -> Any:
    return next(point for point in run("accuracy")["verification"]["pictures"]["points"] if point["fmr"] == 1e-4)


def tar() -> float:
    return float(at_1e4()["tar"])


def open_set(people: int) -> Any:
    return run("accuracy")["open_set"][str(people)]


def missed(people: int) -> float:
    return float(open_set(people)["at_fpir"]["0.01"]["fnir"])


def identified(name: str) -> float:
    return float(run("identification")[name]["value"])


def per_second(side: str) -> float:
    return float(run("throughput")["closed"][side]["16"]["per_second"])


def search_100_000(store: str) -> float:
    return float(run("gallery")["stores"][store]["100000"]["search_ms"]["median"])


def overload(step: int) -> float:
    return float(run("throughput")["open"]["steps"][step]["p99"])


README, COMPARISON, ACCURACY = "README.md", "docs/comparison.md", "docs/accuracy.md"
FIGURES: list[tuple[str, str, list[Callable[[], float]]]] = [
    (README, rf"median search, .* \({N} ms by", [lambda: milliseconds("in process, threads as shipped")]),
    (README, rf"median search, .*\| {N} ms \|", [lambda: milliseconds("HTTP")]),
    (README, rf"relative to function calls .*\| {N} \|", [ratio]),
    (README, rf"LFW, as each states it \| {N} %", [lambda: 100 * ten_fold()]),
    (README, rf"gallery of 1,000, {N} % of searches for enrolled people miss", [lambda: 100 * missed(1000)]),
    (README, rf"rank-1: .*\| {N} % \|", [lambda: 100 * identified("rank_1")]),
    (README, rf"answered at the default threshold \| {N} %", [lambda: 100 * identified("found")]),
    (README, rf"FPIR: people who are not enrolled and get an answer .*\| {N} % \|", [lambda: 100 * identified("fpir")]),
    (
        README,
        rf"searches per second, 16 clients: .*\| {N}; {N}; {N} \|",
        [
            lambda: per_second("facegraph, as shipped"),
            lambda: per_second("FastAPI + uvicorn"),
            lambda: float(run("throughput")["floor_per_second"]["median"]),
        ],
    ),
    (
        README,
        rf"nearest of 100,000 faces: .*\| {N} ms; {N} ms \|",
        [lambda: search_100_000("milvus-lite"), lambda: search_100_000("server")],
    ),
    (README, rf"\({N} ms without load\); .*\| {N} ms \|", [lambda: overload(0), lambda: overload(-1)]),
    (COMPARISON, rf"LFW 10-fold {N} % ", [lambda: 100 * ten_fold()]),
    (COMPARISON, rf"TAR {N} % at FMR 1e-4 \| all pairs of", [lambda: 100 * tar()]),
    (COMPARISON, rf"all pairs of {N} images of LFW", [lambda: float(run("accuracy")["pictures"])]),
    (COMPARISON, rf"\| facegraph \| search {N} ms \(median\)", [lambda: milliseconds("HTTP")]),
    (
        ACCURACY,
        rf"LFW 10-fold accuracy \| {N} ± {N} \({N} errors in",
        [ten_fold, lambda: ten_fold("deviation"), lambda: ten_fold("errors")],
    ),
    (
        ACCURACY,
        rf"TAR at FMR 1e-4 .*?\| {N} \({N} to {N}\)",
        [tar, lambda: float(at_1e4()["tar_interval"][0]), lambda: float(at_1e4()["tar_interval"][1])],
    ),
    (ACCURACY, rf"rank-1, gallery of 1,000, one image each \| {N} \|", [lambda: float(open_set(1000)["rank_1"])]),
    (ACCURACY, rf"FNIR at FPIR 1 %, gallery of 1,000, one image each \| {N} \|", [lambda: missed(1000)]),
    (
        ACCURACY,
        rf"gallery of 100 / 300 / 3,000 \| {N} / {N} / {N} \|",
        [lambda: missed(100), lambda: missed(300), lambda: missed(3000)],
    ),
    (
        ACCURACY,
        rf"galleries of 100 / 300 / 1,000 / 3,000 \| {N} / {N} / {N} / {N} \|",
        [
            lambda size=size: float(open_set(size)["at_the_default_threshold"]["fpir"])
            for size in (100, 300, 1000, 3000)
        ],
    ),
]


@pytest.mark.parametrize(
    ("page", "pattern", "values"), FIGURES, ids=[f"{page}-{number}" for number, (page, *_) in enumerate(FIGURES)]
)
def test_a_figure_is_that_of_the_run(page: str, pattern: str, values: list[Callable[[], float]]) -> None:
    found = re.findall(pattern, (ROOT / page).read_text("utf-8"))
    assert len(found) == 1, f"{page} should say this once; if it was put differently, so must the pattern be: {pattern}"
    printed = found[0] if isinstance(found[0], tuple) else (found[0],)
    for text, value in zip(printed, values, strict=True):
        plain = text.replace(",", "")
        half = 0.5 * 10.0 ** -len(plain.partition(".")[2])
        assert float(plain) == pytest.approx(value(), rel=0, abs=half * 1.0001), f"{text} in {page}"
