"""``/v1/embedder``."""

from __future__ import annotations

import pytest

from serve_app.domain import ChangeState, EmbedderChange, LeftBehind, Page
from tests.api.conftest import World, code
from tests.fakes.stages import FAKE_MODEL, FakeFace
from tests.service_parts import OTHER_TENANT


def test_without_a_change(world: World) -> None:
    world.enrol("ada", FakeFace("ada"))
    answer = world.client.get("/v1/embedder", headers=world.admin)
    assert answer.json() == {
        "state": "none",
        "active": FAKE_MODEL,
        "target": None,
        "faces": 1,
        "done": 1,
        "without_image": 0,
    }
    assert world.client.get("/v1/info", headers=world.search).json()["embedder"] == FAKE_MODEL


def test_a_change_is_told_of_the_key_s_tenant(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    async def change(tenant: str | None = None) -> EmbedderChange:
        asked.append(tenant)
        return EmbedderChange(ChangeState.WAITING, FAKE_MODEL, "coming", 5, 4, 1)

    async def left_behind(tenant: str, limit: int = 100, cursor: str | None = None) -> Page[LeftBehind]:
        asked.append(tenant)
        return Page((LeftBehind("bob", ("0" * 32,), 0), LeftBehind(None, ("1" * 32,), 0)), "more")

    monkeypatch.setattr(world.matcher, "embedder_change", change)
    monkeypatch.setattr(world.matcher, "left_behind", left_behind)
    assert world.client.get("/v1/embedder", headers=world.stranger).json()["target"] == "coming"
    page = world.client.get("/v1/embedder/left-behind?limit=2", headers=world.stranger).json()
    assert [item["person_id"] for item in page["left_behind"]] == ["bob", None]
    assert page["cursor"] == "more"
    assert asked == [OTHER_TENANT] * 2


@pytest.mark.parametrize("path", ["/v1/embedder", "/v1/embedder/left-behind"])
def test_it_is_for_admins(world: World, path: str) -> None:
    assert code(world.client.get(path, headers=world.enroll)) == (403, "forbidden")
