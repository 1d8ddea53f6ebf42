"""The capacity model: properties for all inputs, and the figures in the documentation."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from serve_app.capacity import GpuRates, Load, Machine, Times, picture_ms, pictures_per_second, plan, row_bytes
from serve_app.errors import InvalidRequest
from serve_app.index_parameters import EMBEDDED_ROWS

LITE = Times(http=10, detect=16, place=4, embed=20, match=3, index=7, index_faces=10_000, liveness=15)
SERVER = dataclasses.replace(LITE, index=2, index_faces=100_000, server=True)


def test_the_bound_of_the_embedded_index_is_the_gallerys() -> None:
    assert plan(Load(1, gallery=EMBEDDED_ROWS), LITE).store == "milvus-lite"
    with pytest.raises(InvalidRequest, match=f"meant for {EMBEDDED_ROWS:,}"):
        plan(Load(1, gallery=EMBEDDED_ROWS + 1), LITE)


def test_a_row_is_as_large_as_documented() -> None:
    assert row_bytes(128) == pytest.approx(830, abs=1)  # docs/capacity.md, whose links are those of M = 16


def test_a_core_does_what_its_milliseconds_allow() -> None:
    load = Load(1, gallery=10_000)
    assert picture_ms(load, LITE) == pytest.approx(60)
    assert pictures_per_second(load, LITE, cores=2) == pytest.approx(2e3 / 60)
    crowd = Load(1, faces=4, live=0.5, gallery=20_000)
    assert picture_ms(crowd, LITE) == pytest.approx(26 + 4 * (4 + 20 + 3 + 14 + 7.5))


def test_replicas_leave_room_and_follow_the_load() -> None:
    found = plan(Load(100, gallery=10_000), LITE, Machine(used=0.5, threads=2))
    assert found.replicas == {"ingress": 2, "detector": 2, "liveness": 1, "embedder": 2, "matcher": 2}
    assert found.cores == 12  # 6 busy ones at one half
    assert (found.store, found.query_nodes, found.gpus) == ("milvus-lite", 0, 0)
    double = plan(Load(200, gallery=10_000), LITE, Machine(used=0.5, threads=2))
    assert double.cores == 24


def test_a_gpu_takes_the_models_off_the_cores() -> None:
    load = Load(1000, faces=2, live=1, gallery=1_000_000)
    found = plan(load, SERVER, Machine(used=0.5), GpuRates(detect=2000, embed=8000, liveness=8000))
    assert found.gpus == 3  # 0.5 + 0.25 for close-ups + 0.25 + 0.25 of one, at one half
    assert (found.replicas["detector"], found.replicas["embedder"], found.replicas["liveness"]) == (1, 1, 1)
    assert found.cores == 32  # HTTP 10 and the matcher 6, at one half


def test_a_hundred_million_faces_need_a_cluster() -> None:
    found = plan(Load(100, gallery=100_000_000), SERVER)
    assert found.store == "Milvus cluster"
    assert 70e9 < found.index_bytes < 110e9
    assert found.query_nodes >= 3
    assert 0.5e12 < found.disk_bytes < 1.5e12
    assert plan(Load(100, gallery=100_000), SERVER).store == "Milvus server"


def test_more_never_needs_less() -> None:
    before = plan(Load(1, gallery=60_000), SERVER)
    for rate, gallery in ((10, 60_000), (10, 1_000_000), (100, 10_000_000), (1000, 100_000_000)):
        now = plan(Load(rate, gallery=gallery), SERVER)
        assert now.cores >= before.cores
        assert now.query_nodes >= before.query_nodes
        assert now.index_bytes >= before.index_bytes
        before = now


def test_times_of_the_embedded_index_say_nothing_about_a_server() -> None:
    with pytest.raises(InvalidRequest, match="must be measured on one"):
        plan(Load(10, gallery=1_000_000), LITE)


@pytest.mark.parametrize("wrong", [{"pictures_per_second": 0}, {"live": 1.5}, {"gallery": -1}])
def test_an_impossible_load_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match="A load has"):
        Load(**{"pictures_per_second": 1, **wrong})  # type: ignore[arg-type]


def test_a_share_is_a_share() -> None:
    with pytest.raises(InvalidRequest, match="between 0 and 1"):
        Machine(used=1)


def test_the_model_loads_no_store() -> None:
    script = "import sys, serve_app.capacity; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    assert not set(done.stdout.split()) & {"pymilvus", "sqlalchemy", "ray", "cv2"}
