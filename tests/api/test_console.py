"""The console's files over HTTP."""

from __future__ import annotations

import re

import pytest

from serve_app.api.console_files import FILES
from serve_app.api.dialects import ALL
from tests.api.conftest import World

OWN = sorted(str(path.relative_to(FILES)) for path in FILES.rglob("*") if path.is_file())


def test_the_page_needs_no_key_and_brings_its_policy(world: World) -> None:
    answer = world.client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert world.client.head("/").status_code == 200
    assert world.client.post("/").status_code == 405


@pytest.mark.parametrize("name", OWN)
def test_every_file_is_served_with_the_policy(world: World, name: str) -> None:
    answer = world.client.get(f"/console/{name}")
    assert answer.status_code == 200
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    again = world.client.get(f"/console/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_nothing_else_is_served(world: World) -> None:
    for path in ("/console/nothing.js", "/console/../app.py", "/console/%2e%2e/app.py", "/console/"):
        assert world.client.get(path).status_code == 404


@pytest.mark.parametrize("name", OWN)
def test_files_load_nothing_from_elsewhere_and_make_no_markup_of_texts(name: str) -> None:
    text = (FILES / name).read_text(encoding="utf-8")
    namespaces = {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[^\s\"'`)]+", text)) <= namespaces
    for forbidden in (
        "innerHTML =",
        "outerHTML =",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "@import",
    ):
        assert forbidden not in text
    if name.endswith(".html"):
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", text)


def test_no_dialect_claims_the_consoles_paths() -> None:
    paths = {dialect.prefix + route.path for dialect in ALL for router in dialect.routers for route in router.routes}
    assert not [path for path in paths if path in {"", "/"} or path.startswith("/console")]
