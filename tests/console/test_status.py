"""The status view, with answers that a small test service does not give: replicas, queues, refusals, warnings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from serve_app.api.schemas.meta import StageView, StatusAnswer, TrafficView, WarningView
from tests.console.conftest import PHONE, Console

pytestmark = pytest.mark.browser

HEAD = ["Stage", "State", "Replicas", "Under way", "Queue", "Median", "99th percentile", "Turned away", "Failed"]
CALM: dict[str, Any] = {
    "in_flight": 0,
    "calls": 0,
    "refused": 0,
    "failed": 0,
    "median_ms": None,
    "p99_ms": None,
    "per_second": 0.0,
}
OUTGROWN = WarningView(
    code="index_outgrown", message="The gallery has 60,000 faces, more than milvus-lite searches quickly."
)


def stage(name: str, **differing: Any) -> StageView:
    return StageView.model_validate(
        {**CALM, "name": name, "ready": True, "message": "", "replicas": {"RUNNING": 1}, "waiting": None, **differing}
    )


def status(requests: dict[str, Any], stages: list[StageView], *warnings: WarningView) -> StatusAnswer:
    """An answer of the service's own schema, so that the console is never tested against another."""
    return StatusAnswer(
        topology="distributed",
        topology_reason="auto: 8 processors, 4 or more",
        window_s=60.0,
        ingress_replicas={"RUNNING": 2},
        requests=TrafficView.model_validate({**CALM, **requests}),
        stages=stages,
        warnings=list(warnings),
    )


BUSY = status(
    {"in_flight": 17, "calls": 1260, "refused": 42, "failed": 3, "median_ms": 61.2, "p99_ms": 1412, "per_second": 20.3},
    [
        stage("detector", replicas={"RUNNING": 2, "STARTING": 1}, in_flight=9, refused=42, median_ms=21.4, p99_ms=88.2),
        stage("liveness", ready=False, message="no answer", replicas={"STARTING": 1}, failed=3),
        stage("embedder", in_flight=6, waiting=1500, median_ms=30.0, p99_ms=140.0),
        stage("matcher", replicas=None, in_flight=1, median_ms=2.31, p99_ms=9.04),
    ],
    OUTGROWN,
)
QUIET = status({}, [stage(name) for name in ("detector", "liveness", "embedder", "matcher")])


def answering(page: Page, answers: Iterable[StatusAnswer | None]) -> None:
    """Give these answers one after the other, then the last again and again; None is no answer at all."""
    waiting = list(answers)

    def answer(route: Route) -> None:
        given = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if given is None:
            route.abort()
        else:
            route.fulfill(status=200, content_type="application/json", body=given.model_dump_json())

    page.route("**/v1/status", answer)


def cells(page: Page, name: str) -> list[str]:
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    expect(row).to_be_visible()
    return [text.strip() for text in row.get_by_role("cell").all_inner_texts()]


def test_replicas_queues_refusals_and_warnings_are_shown(console: Console) -> None:
    page = console.page
    answering(page, [BUSY])
    console.open("status")
    expect(page.locator(".note.warn")).to_have_text(OUTGROWN.message)
    expect(page.get_by_role("columnheader")).to_have_text(HEAD)
    assert {name: cells(page, name) for name in ("detector", "liveness", "embedder", "matcher", "ingress")} == {
        "detector": ["Ready", "2 running, 1 starting", "9", "–", "21 ms", "88 ms", "42", "0"],
        "liveness": ["Not ready no answer", "1 starting", "0", "–", "–", "–", "0", "3"],
        "embedder": ["Ready", "1 running", "6", "1,500", "30 ms", "140 ms", "0", "0"],
        "matcher": ["Ready", "in the ingress", "1", "–", "2.3 ms", "9.0 ms", "0", "0"],
        "ingress": ["Ready", "2 running", "17", "–", "61 ms", "1412 ms", "42", "3"],
    }
    tiles = {
        tile.locator(".hint").inner_text(): tile.locator(".figure").inner_text()
        for tile in page.locator(".tile-figure").all()
    }
    assert tiles == {
        "Requests a second": "20.3",
        "Median latency": "61 ms",
        "99th percentile": "1412 ms",
        "In flight": "17",
        "Turned away (429)": "42",
        "Failed (5xx)": "3",
    }
    expect(page.locator(".alarming .hint")).to_have_text(["Turned away (429)", "Failed (5xx)"])
    console.shot("status-busy")


def test_the_status_follows_the_service(console: Console) -> None:
    page = console.page
    answering(page, [BUSY, None, QUIET])
    console.open("status")
    expect(page.locator(".note.warn")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("The service does not answer.")
    assert cells(page, "detector")[0] == "Ready"  # what was known last stays
    expect(page.locator(".alarming")).to_have_count(0)
    expect(page.locator(".note")).to_have_count(0)
    assert cells(page, "liveness") == ["Ready", "1 running", "0", "–", "–", "–", "0", "0"]
    assert page.locator(".spark").first.locator("span").count() >= 2


def test_the_stages_are_readable_on_a_phone(console: Console) -> None:
    page = console.page
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    answering(page, [BUSY])
    console.open("status")
    expect(page.get_by_role("rowheader")).not_to_have_count(0)
    for text in page.get_by_role("cell").all():
        place = text.bounding_box()
        assert place is not None
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= PHONE["width"]
    assert cells(page, "detector")[1] == "2 running, 1 starting"
    page.get_by_role("table").scroll_into_view_if_needed()
    console.shot("phone-status-busy")
