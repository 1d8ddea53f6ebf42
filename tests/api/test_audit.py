"""``GET /v1/audit/check``: whether the log is whole, and whether a head that was noted is still in it."""

from __future__ import annotations

from serve_app.domain import DEFAULT_TENANT
from serve_app.gallery.sql.schema import audit_log
from tests.api.conftest import World, code


def test_the_check_says_where_the_log_begins_and_ends_and_finds_a_noted_head(world: World) -> None:
    before = world.call("GET", "/v1/audit/check").json()
    assert (before["whole"], before["reason"], before["noted"]) == (True, "", None)
    world.call("POST", "/v1/collections", json={"name": "later"})
    check = world.call("GET", f"/v1/audit/check?head={before['head']}").json()
    assert check["whole"]
    assert check["noted"] == {"found": True, "sequence": before["entries"], "later": 1}
    assert check["first"]["sequence"] == 1
    assert check["last"]["sequence"] == check["entries"] == before["entries"] + 1
    assert world.call("GET", f"/v1/audit/check?head={'0' * 64}").json()["noted"] == {
        "found": False,
        "sequence": None,
        "later": 0,
    }
    for head in ("", "abc", "g" * 64, "0" * 65, "%00" * 64):
        assert code(world.call("GET", f"/v1/audit/check?head={head}")) == (400, "invalid_request"), head


def test_a_log_without_its_beginning_is_not_whole(world: World) -> None:
    for name in ("a", "b"):
        world.call("POST", "/v1/collections", json={"name": name})
    check = world.call("GET", "/v1/audit/check").json()
    with world.database.write() as connection:
        old = (audit_log.c.chain == DEFAULT_TENANT, audit_log.c.sequence < check["entries"])
        connection.execute(audit_log.delete().where(*old))
    cut = world.call("GET", f"/v1/audit/check?head={check['head']}").json()
    assert (cut["whole"], cut["broken"], cut["entries"], cut["noted"]["found"]) == (False, 1, 1, True)
    assert "beginning" in cut["reason"]
