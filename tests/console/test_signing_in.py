"""Signing in to the console: which keys are accepted, where the key is stored, and what each role sees."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from serve_app.client import Client
from tests.console.conftest import Console

pytestmark = pytest.mark.browser


def test_a_wrong_key_is_refused_in_words(console: Console) -> None:
    page = console.page
    page.goto(console.service.url)
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    for wrong, words in (("nonsense", "The API key is unknown."), ("schlüssel", "one word of ASCII letters")):
        field.fill(wrong)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text(words)
    console.shot("sign-in-refused")
    assert page.evaluate("sessionStorage.length") == 0


def test_the_key_stays_in_the_tab_until_signing_out(console: Console) -> None:
    page = console.open().page
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")
    assert secrets(page) == {"session": [console.service.key], "local": []}
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert secrets(page) == {"session": [], "local": []}
    assert page.context.cookies() == []


def test_a_revoked_key_leads_back_to_the_sign_in(console: Console, gallery: Client) -> None:
    key = gallery.create_key("short-lived", "admin")
    page = console.open("people", key["secret"]).page
    gallery.revoke_key(key["id"])
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("link", name="People").click()
    expect(page.get_by_label("API key")).to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("The API key is revoked.")


@pytest.mark.parametrize(
    ("role", "views"),
    [
        ("search", ["Search", "People", "Compare"]),
        ("enroll", ["Search", "Enrol", "People", "Review", "Unknowns", "Compare"]),
        ("admin", ["Search", "Enrol", "People", "Review", "Unknowns", "Compare", "Status"]),
    ],
)
def test_each_role_sees_what_it_may_do(console: Console, gallery: Client, role: str, views: list[str]) -> None:
    page = console.open("status", gallery.create_key(role, role)["secret"]).page
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(views)
    expect(page.get_by_role("heading", level=1)).to_have_text("Status" if role == "admin" else "Search")


def secrets(page: Page) -> object:
    """What the browser keeps of the console."""
    return page.evaluate("({session: Object.values(sessionStorage), local: Object.values(localStorage)})")
