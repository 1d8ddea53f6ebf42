"""README.md's first search, in the browser, from an empty data folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from serve_app.client import Client
from tests import photos
from tests.console.conftest import Console
from tests.graph.inprocess import InProcessService

pytestmark = pytest.mark.browser


@pytest.fixture
def fresh_service(browser: Browser, tmp_path: Path) -> Iterator[InProcessService]:
    """A service that nobody has used yet."""
    service = InProcessService(tmp_path / "data").start()
    yield service
    service.stop()


def test_from_an_empty_folder_to_the_right_name(context: BrowserContext, fresh_service: InProcessService) -> None:
    console = Console(context.new_page(), fresh_service)
    page = console.page
    page.goto(fresh_service.url)
    console.shot("first-0-sign-in")
    page.get_by_label("API key").fill(fresh_service.key or "")
    page.get_by_role("button", name="Sign in").click()

    # The search has nothing to search: it says so, and where to go.
    expect(page.get_by_role("heading", name="No collections yet")).to_be_visible()
    expect(page.get_by_role("link", name="Enrol people")).to_be_visible()
    console.shot("first-1-empty")

    page.get_by_role("link", name="People", exact=True).click()
    page.get_by_role("button", name="New collection").click()
    page.get_by_label("Name", exact=True).fill("friends")
    page.get_by_role("button", name="Create").click()
    expect(page.locator(".tile")).to_contain_text("Nobody here yet")
    console.shot("first-2-collection")

    page.get_by_role("link", name="enrol people").click()
    expect(page.get_by_label("Into collection")).to_have_value("friends")
    console.give(("me1.jpg", photos.astronaut()))
    expect(page.get_by_label("Id", exact=True)).to_have_value("me1")
    page.get_by_label("Id", exact=True).fill("me")
    page.get_by_label("Name", exact=True).fill("Me")
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".note.good")).to_contain_text("1 face enrolled in friends.")
    console.shot("first-3-enrolled")

    page.get_by_role("link", name="Search an image").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")
    console.give(("me2.jpg", photos.variant(photos.astronaut())))
    expect(page.get_by_role("heading", name="1 face, 1 found")).to_be_visible()
    expect(page.locator(".match-name")).to_have_text("Me friends")
    expect(page.locator(".match")).to_contain_text("Almost never by chance.")
    console.shot("first-4-found")
    assert console.complaints == []


def test_the_shortest_way_makes_the_collection_on_the_way(console: Console, gallery: Client) -> None:
    page = console.open().page
    page.get_by_role("link", name="Enrol people").click()
    expect(page.get_by_label("Name of the new collection")).to_have_value("people")
    console.give(("me1.jpg", photos.astronaut()))
    page.get_by_role("button", name="Enrol", exact=True).click()
    page.get_by_role("link", name="See the collection").click()
    expect(page.locator(".person-name")).to_have_text("me1")
    assert [collection["name"] for collection in gallery.collections()["collections"]] == ["people"]


@pytest.mark.parametrize(
    ("view", "words", "link"),
    [
        ("search", "No collections yet", "Enrol people"),
        ("review", "Nothing to review", "Enrol people"),
        ("unknowns", "No collections yet", "Collections"),
    ],
)
def test_without_collections_every_view_says_what_to_do(
    console: Console, gallery: Client, view: str, words: str, link: str
) -> None:
    page = console.open(view).page
    expect(page.locator(".nothing h2")).to_have_text(words)
    page.locator(".nothing").get_by_role("link", name=link).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Enrol" if link == "Enrol people" else link)


def test_an_empty_collection_leads_to_enrolling_into_it(console: Console, gallery: Client) -> None:
    for name in ("friends", "guests"):
        gallery.create_collection(name)
    page = console.open("people/guests").page
    expect(page.get_by_role("heading", name="Nobody here yet")).to_be_visible()
    page.locator(".nothing").get_by_role("link", name="Enrol people").click()
    expect(page.get_by_label("Into collection")).to_have_value("guests")
    page.get_by_role("link", name="Search", exact=True).click()
    expect(page.locator(".note")).to_contain_text("Nobody is enrolled yet")
    expect(page.locator(".note").get_by_role("link", name="Enrol people")).to_be_visible()


@pytest.mark.parametrize("view", ["search", "enrol", "people"])
def test_who_may_not_make_collections_is_told_who_may(console: Console, gallery: Client, view: str) -> None:
    page = console.open(view, gallery.create_key("guest", "enroll")["secret"]).page
    expect(page.locator(".nothing")).to_contain_text("Someone with an administrator's key must create the first one")
    expect(page.locator(".nothing").get_by_role("link")).to_have_count(0)
