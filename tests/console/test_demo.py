"""``make demo``: photographs of packages are enrolled, and the printed address shows the search."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from examples import demo
from examples import photos as samples
from serve_app.client import Client
from tests.console.conftest import Console

pytestmark = pytest.mark.browser


def test_the_printed_address_shows_who_is_on_the_group_picture(
    console: Console,
    gallery: Client,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    samples.main(tmp_path)
    for _ in range(2):  # it may be run again
        face_id, answer = demo.fill(gallery, tmp_path)
    assert [face["matches"][0]["person"]["id"] for face in answer["faces"]] in (
        ["eileen", "grace"],
        ["grace", "eileen"],
    )
    demo.show(console.service.url, "the-key", tmp_path, face_id, answer)
    (address,) = (line.strip() for line in capsys.readouterr().out.splitlines() if "/#/search/" in line)
    page = console.open(address.partition("#/")[2]).page
    expect(page.locator(".mark")).to_have_count(2)
    expect(page.locator(".match")).to_have_count(2)
    expect(page.locator(".result")).to_contain_text("Eileen Collins")
    expect(page.locator(".result")).to_contain_text("Grace Hopper")
    console.shot("demo")
    if target := os.environ.get("FACEGRAPH_SCREENSHOT"):  # make screenshot: the README's picture
        page.screenshot(path=target, type="jpeg", quality=82)


def test_a_stored_face_without_its_photograph_is_searched_for(
    console: Console, gallery: Client, tmp_path: Path
) -> None:
    samples.main(tmp_path)
    gallery.create_collection("staff")
    gallery.create_collection("guests")
    person = gallery.put_person("staff", "eileen", [tmp_path / "me1.jpg"], name="Eileen Collins")
    gallery.put_person("guests", "e", [tmp_path / "me2.jpg"], name="E. Collins")
    page = console.open("people/staff/eileen").page
    page.get_by_role("link", name="Search with face 1").click()
    expect(page).to_have_url(f"{console.service.url}/#/search/{person['faces'][0]['id']}")
    expect(page.locator(".match")).to_have_count(2)
    expect(page.locator(".result")).to_contain_text("E. Collins")
