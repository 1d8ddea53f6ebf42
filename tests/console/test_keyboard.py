"""Use by keyboard alone: what Tab reaches, what Enter and Escape do, and where the focus is afterwards."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from serve_app.client import Client
from tests import photos
from tests.console.conftest import Console

pytestmark = pytest.mark.browser

MOST_TABS = 60

FOCUSED = """() => {
  const node = document.activeElement;
  return (node.getAttribute("aria-label") ?? node.labels?.[0]?.textContent ?? node.textContent).trim();
}"""


@pytest.fixture
def staff(gallery: Client) -> Client:
    """A gallery with one person who was enrolled twice."""
    gallery.create_collection("staff", policy={"keep_unknown_h": 1})
    gallery.put_person("staff", "eileen", [photos.astronaut()], name="Eileen Collins")
    gallery.put_person("staff", "collins", [photos.variant(photos.astronaut())], name="E. Collins", notes="visitor")
    return gallery


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has the focus."""
    reached: list[str] = []
    while name not in reached:
        assert len(reached) < MOST_TABS, reached
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))


def press(page: Page, name: str) -> None:
    tab_to(page, name)
    page.keyboard.press("Enter")


def expect_focus_within(dialog: Locator) -> None:
    expect(dialog.locator(":focus")).to_have_count(1)


def test_enrolling(console: Console, gallery: Client) -> None:
    gallery.create_collection("staff")
    page = console.open("enrol").page
    with page.expect_file_chooser() as chooser:  # listened for well before it comes
        press(page, "Choose images")
    chooser.value.set_files({"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": photos.grace_hopper()})
    expect(page.locator(".plan-row")).to_have_count(1)
    for field, text in (("Id", "grace"), ("Name", "Grace Hopper")):
        tab_to(page, field)  # what was in it is selected, and typed over
        page.keyboard.type(text)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUSED) == "Enrol"
    page.keyboard.press("Enter")
    expect(page.locator(".note.good")).to_contain_text("1 face enrolled in staff.")
    assert gallery.person("staff", "grace")["name"] == "Grace Hopper"
    press(page, "Clear")
    expect(page.get_by_label("Choose images")).to_be_focused()


def test_deleting_a_person(console: Console, staff: Client) -> None:
    page = console.open("people/staff/collins").page
    question = page.get_by_role("dialog", name="Delete E. Collins?")
    press(page, "Delete")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()  # not what cannot be undone
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_focused()
    assert staff.person("staff", "collins")["id"] == "collins"
    page.keyboard.press("Enter")
    expect_focus_within(question)
    press(page, "Delete the person")
    receipt = page.get_by_role("dialog", name="E. Collins is deleted")
    expect(receipt).to_contain_text("Faces erased")
    expect_focus_within(receipt)
    page.keyboard.press("Escape")
    expect(receipt).to_have_count(0)
    expect(page.get_by_role("heading", level=1, name="staff")).to_be_focused()
    assert [person["id"] for person in staff.all_persons("staff")] == ["eileen"]


def test_deleting_a_face(console: Console, staff: Client) -> None:
    staff.add_faces("staff", "eileen", [photos.variant(photos.astronaut())])
    page = console.open("people/staff/eileen").page
    press(page, "Delete face 2")
    press(page, "Delete the face")
    expect(page.get_by_role("heading", name="1 face")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_deleting_a_collection(console: Console, staff: Client) -> None:
    page = console.open("people").page
    press(page, "Delete staff")
    press(page, "Delete the collection")
    receipt = page.get_by_role("dialog", name="staff is deleted")
    expect_focus_within(receipt)
    press(page, "Done")
    expect(receipt).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_merging(console: Console, staff: Client) -> None:
    page = console.open("people/staff/eileen").page
    press(page, "Merge with …")
    dialog = page.get_by_role("dialog", name="Merge into Eileen Collins")
    question = page.get_by_role("dialog", name="Merge E. Collins into Eileen Collins?")
    expect(dialog.get_by_label("Find the other record")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Merge with …")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("E. C")
    choice = dialog.get_by_role("button", name="E. Collins")
    expect(dialog.locator(".choice")).to_have_count(1)
    page.keyboard.press("Tab")
    expect(choice).to_be_focused()
    page.keyboard.press("Enter")
    expect(question.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")  # only the question goes
    expect(choice).to_be_focused()
    page.keyboard.press("Enter")
    press(page, "Merge")
    expect(page.get_by_role("heading", name="2 faces")).to_be_visible()
    expect(page.get_by_role("heading", level=1, name="Eileen Collins")).to_be_focused()
    assert [person["id"] for person in staff.all_persons("staff")] == ["eileen"]


def test_naming_an_unknown_face(console: Console, staff: Client) -> None:
    staff.search(photos.grace_hopper(), ["staff"], keep_unknown="staff")
    page = console.open("unknowns/staff").page
    press(page, "Name …")
    dialog = page.get_by_role("dialog", name="Who is this?")
    expect(dialog.get_by_label("Id", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Name …")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type("grace")
    tab_to(page, "Name")
    page.keyboard.type("Grace Hopper")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nobody to name")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    assert staff.person("staff", "grace")["name"] == "Grace Hopper"
