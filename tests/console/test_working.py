"""Enrol, search, unknown face, compare, persons: with real photographs and real models."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from serve_app.client import Client
from tests import photos
from tests.console.conftest import Console

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

DROP = """([selector, name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  for (const type of ["dragover", "drop"]) {
    document.querySelector(selector).dispatchEvent(new DragEvent(type, { bubbles: true, dataTransfer: transfer }));
  }
}"""

PASTE = """([content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "pasted.jpg", { type: "image/jpeg" }));
  document.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: transfer }));
}"""

PLACES = """(selectors) => selectors.map((selector) => {
  const { x, y, width, height } = document.querySelector(selector).getBoundingClientRect();
  return { x, y, width, height };
})"""


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def enrol_two(gallery: Client) -> None:
    gallery.create_collection("staff")
    gallery.put_person("staff", "eileen", [photos.astronaut()], name="Eileen Collins")


def test_a_folder_is_enrolled_with_the_reason_for_each_refusal(
    console: Console, gallery: Client, tmp_path: Path
) -> None:
    folder = tmp_path / "people"
    for person, files in {
        "eileen_collins": {"1.jpg": photos.astronaut(), "2.jpg": photos.variant(photos.astronaut())},
        "grace_hopper": {"portrait.jpg": photos.grace_hopper(), "coffee.jpg": photos.no_face()},
        "nobody": {"coffee.jpg": photos.no_face(), "notes.txt": b"no image"},
    }.items():
        (folder / person).mkdir(parents=True)
        for name, content in files.items():
            (folder / person / name).write_bytes(content)
    page = console.open("enrol").page
    page.get_by_label("Name of the new collection").fill("staff")
    console.give(folder, nth=1)
    expect(page.locator(".plan-row")).to_have_count(3)
    expect(page.get_by_text("3 persons, 5 images")).to_be_visible()
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".note.warn")).to_contain_text("3 faces enrolled in staff, 2 images or persons refused.")
    console.shot("enrol-folder")
    expect(page.locator(".plan-row.done")).to_have_count(1)
    expect(page.locator(".plan-row.partly")).to_contain_text("coffee.jpg: No face was found")
    expect(page.locator(".plan-row.failed")).to_contain_text("coffee.jpg: No face was found")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the list").click()
    lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert sorted((line["person"], line["file"], line["code"]) for line in lines) == [
        ("grace_hopper", "coffee.jpg", "face_not_found"),
        ("nobody", "coffee.jpg", "face_not_found"),
    ]
    persons = {person["id"]: person for person in gallery.all_persons("staff")}
    assert {name: len(person["faces"]) for name, person in persons.items()} == {"eileen_collins": 2, "grace_hopper": 1}
    assert persons["eileen_collins"]["name"] == "eileen collins"


def test_search_shows_boxes_matches_and_meaning(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    page = console.open().page
    page.evaluate(
        DROP, [".drop", "group.jpg", b64(photos.group([photos.variant(photos.astronaut()), photos.grace_hopper()]))]
    )
    expect(page.locator(".mark")).to_have_count(2)
    expect(page.locator(".mark circle")).to_have_count(10)
    expect(page.get_by_role("heading", name="2 faces, 1 found")).to_be_visible()
    match = page.locator(".match")
    expect(match).to_have_count(1)
    expect(match).to_contain_text("Eileen Collins")
    expect(match).to_contain_text("With the one face searched")
    expect(match.locator(".thumb img")).to_be_visible()
    expect(match.locator(".thumb img")).to_have_js_property("naturalWidth", 112)
    expect(page.locator(".face .unknown")).to_contain_text("No enrolled face reaches the threshold.")
    console.shot("search")
    # The boxes lie on the faces: the layer has the picture's own proportions.
    image, layer = page.evaluate(PLACES, [".marked img", ".marks"])  # at one moment: the page may still move
    assert image == layer


def test_an_unknown_face_is_enrolled_and_then_found(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    page = console.open().page
    page.evaluate(PASTE, [b64(photos.grace_hopper())])
    expect(page.locator(".face .unknown")).to_contain_text("Unknown.")
    console.shot("search-unknown")
    page.get_by_role("button", name="Enrol this face").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Enrol")
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Every person needs an id")
    page.get_by_label("Id", exact=True).fill("grace")
    page.get_by_label("Name", exact=True).fill("Grace Hopper")
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".note.good")).to_contain_text("1 face enrolled")
    page.get_by_role("link", name="Search", exact=True).click()
    expect(page.get_by_role("group", name="Drop an image here")).to_be_visible()
    page.evaluate(PASTE, [b64(photos.variant(photos.grace_hopper()))])
    expect(page.locator(".match")).to_contain_text("Grace Hopper")


def test_the_camera_takes_the_picture(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    page = console.open().page
    page.get_by_role("button", name="Camera").click()
    page.get_by_role("button", name="Take the photograph").click()
    expect(page.locator(".match")).to_contain_text("Eileen Collins")
    expect(page.locator("dialog")).to_have_count(0)


def test_two_pictures_are_compared(console: Console) -> None:
    page = console.open("compare").page
    console.give(("a.jpg", photos.astronaut()))
    expect(page.locator(".slot img")).to_be_visible()
    console.give(("b.jpg", photos.variant(photos.astronaut())))
    expect(page.get_by_role("heading", name="The same person", exact=True)).to_be_visible()
    console.shot("compare")
    page.get_by_role("button", name="Another image").nth(1).click()
    console.give(("c.jpg", photos.grace_hopper()))
    expect(page.get_by_role("heading", name="Not the same person")).to_be_visible()


def test_a_person_is_edited_and_deleted_with_a_receipt(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    page = console.open("people/staff").page
    page.get_by_role("link", name="Eileen Collins").click()
    page.get_by_label("Metadata").fill("badge: 7")
    page.get_by_label("Nationality").fill("USA")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    stored = gallery.person("staff", "eileen")
    assert (stored["nationality"], stored["metadata"]) == ("USA", {"badge": "7"})
    console.give(("again.jpg", photos.variant(photos.astronaut())))
    expect(page.get_by_role("heading", name="2 faces")).to_be_visible()
    page.get_by_role("button", name="Delete face 1").click()
    page.get_by_role("button", name="Delete the face").click()
    expect(page.get_by_role("heading", name="1 face")).to_be_visible()
    console.shot("person")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete the person").click()
    receipt = page.get_by_role("dialog", name="Eileen Collins is deleted")
    expect(receipt).to_contain_text("Faces erased")
    console.shot("deletion-receipt")
    with page.expect_download() as download:
        receipt.get_by_role("button", name="Save the receipt").click()
    assert json.loads(Path(download.value.path()).read_text())["erased"] is True
    receipt.get_by_role("button", name="Done").click()
    expect(page.get_by_text("Nobody here yet")).to_be_visible()


def test_what_is_cleared_is_gone_and_what_was_not_touched_stays(console: Console, gallery: Client) -> None:
    lists, metadata = ["Sanctions (EU, UK)", "PEP"], {"note": "two\nlines"}
    enrol_two(gallery)
    gallery.put_person("staff", "eileen", date_of_birth="1956-11-19", watch_list=lists, metadata=metadata)
    page = console.open("people/staff").page
    page.get_by_role("link", name="Eileen Collins").click()
    page.get_by_label("Date of birth").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")
    stored = gallery.person("staff", "eileen")
    assert (stored["date_of_birth"], stored["watch_list"], stored["metadata"]) == (None, lists, metadata)


def test_a_collection_is_made_changed_and_deleted(console: Console, gallery: Client) -> None:
    page = console.open("people").page
    page.get_by_role("button", name="New collection").click()
    page.get_by_label("Name", exact=True).fill("guests")
    page.get_by_label("Title").fill("Front desk")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Settings of guests").click()
    page.get_by_label("Matches from score").fill("0.8")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".tile")).to_contain_text("matches from 0.8")
    page.get_by_role("button", name="Delete guests").click()
    console.shot("delete-collection")
    page.get_by_role("button", name="Cancel").click()
    assert gallery.collection("guests")["policy"]["min_score"] == 0.8
    page.get_by_role("button", name="Delete guests").click()
    page.get_by_role("button", name="Delete the collection").click()
    expect(page.get_by_role("dialog", name="guests is deleted")).to_be_visible()
    assert gallery.collections()["collections"] == []


def test_hostile_texts_stay_texts(console: Console, gallery: Client) -> None:
    gallery.create_collection("staff", title=HOSTILE)
    gallery.put_person("staff", HOSTILE[:90], [photos.astronaut()], name=HOSTILE, notes=HOSTILE)
    page = console.open("people").page
    expect(page.locator(".tile")).to_contain_text(HOSTILE)
    page.get_by_role("link", name="staff").click()
    expect(page.locator(".person-name")).to_have_text(HOSTILE)
    page.locator(".person").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    page.get_by_role("link", name="Search", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")  # the person's page takes pictures as well
    console.give((f"{HOSTILE}.jpg".replace("/", "_"), photos.astronaut()))
    expect(page.locator(".match-name")).to_contain_text(HOSTILE)
    assert page.title() == "Search · facegraph"
    assert page.locator("main script, main img[src=x]").count() == 0


def test_a_person_enrolled_twice_is_merged(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    gallery.put_person("staff", "collins", [photos.variant(photos.astronaut())], name="E. Collins", notes="visitor")
    page = console.open("review/staff").page
    page.get_by_role("button", name="Look for duplicates").click()
    pair = page.locator(".duplicate")
    expect(pair).to_have_count(1)
    expect(pair.locator(".thumb img")).to_have_count(2)
    console.shot("duplicates")
    page.get_by_role("button", name="keep “Eileen Collins”").click()
    expect(page.get_by_role("heading", name="All settled")).to_be_visible()
    person = gallery.person("staff", "eileen")
    assert (len(person["faces"]), person["notes"]) == (2, "visitor")
    assert [found["id"] for found in gallery.all_persons("staff")] == ["eileen"]


def test_another_record_is_merged_into_a_person(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    gallery.put_person("staff", "collins", [photos.variant(photos.astronaut())], name="E. Collins", notes="visitor")
    gallery.put_person("staff", "grace", [photos.grace_hopper()], name="Grace Hopper")
    page = console.open("people/staff/eileen").page
    page.get_by_role("button", name="Merge with …").click()
    dialog = page.get_by_role("dialog", name="Merge into Eileen Collins")
    choices = dialog.locator(".choice")
    expect(choices).to_have_count(2)  # the person is no choice
    expect(choices.locator(".thumb img")).to_have_count(2)
    dialog.get_by_label("Find the other record").fill("nobody of this name")
    expect(dialog.get_by_text("Nobody of that name.")).to_be_visible()
    dialog.get_by_label("Find the other record").fill("collins")
    expect(choices).to_have_text(["E. Collins collins, 1 face"])
    console.shot("merge")
    choices.click()
    question = page.get_by_role("dialog", name="Merge E. Collins into Eileen Collins?")
    expect(question).to_contain_text("E. Collins (collins) is deleted")
    console.shot("merge-question")
    question.get_by_role("button", name="Cancel").click()
    assert len(list(gallery.all_persons("staff"))) == 3
    choices.click()
    question.get_by_role("button", name="Merge", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("E. Collins is merged into Eileen Collins.")
    expect(page.get_by_role("heading", name="2 faces")).to_be_visible()
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_label("Notes")).to_have_value("visitor")  # a gap that the other filled
    assert sorted(person["id"] for person in gallery.all_persons("staff")) == ["eileen", "grace"]


def test_a_merge_that_is_refused_is_said_in_the_dialog(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    gallery.put_person("staff", "grace", [photos.grace_hopper()], name="Grace Hopper")
    page = console.open("people/staff/eileen").page
    page.get_by_role("button", name="Merge with …").click()
    choice = page.get_by_role("button", name="Grace Hopper")
    expect(choice).to_be_visible()
    gallery.delete_person("staff", "grace")  # by somebody else, meanwhile
    choice.click()
    page.get_by_role("button", name="Merge", exact=True).click()
    dialog = page.get_by_role("dialog", name="Merge into Eileen Collins")
    expect(dialog.get_by_role("alert")).to_contain_text("grace")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="1 face")).to_be_visible()


def test_different_people_are_not_shown_as_a_pair_again(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    gallery.put_person("staff", "twin", [photos.variant(photos.astronaut())], name="Her twin")
    page = console.open("review/staff").page
    page.get_by_role("button", name="Look for duplicates").click()
    page.get_by_role("button", name="Different people").click()
    expect(page.get_by_role("heading", name="All settled")).to_be_visible()
    page.get_by_role("button", name="Look for duplicates").click()
    expect(page.get_by_role("heading", name="No duplicates")).to_be_visible()
    task = gallery.wait_for_task(gallery.find_duplicates("staff")["id"])
    assert (task["result"], list(gallery.all_duplicates(task["id"]))) == ({"pairs": 0}, [])
    (pair,) = gallery.all_duplicates(task["id"], with_distinct=True)
    assert pair["distinct"]


def test_unknown_faces_are_kept_merged_named_and_discarded(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    page = console.open("people").page
    page.get_by_role("button", name="Settings of staff").click()
    page.get_by_label("Hours to keep unknown faces").fill("48")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".tile")).to_contain_text("unknown faces kept for 2 days")

    page.get_by_role("link", name="Search", exact=True).click()
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Keep unknown faces").select_option("staff")
    console.give(("grace.jpg", photos.grace_hopper()))
    expect(page.locator(".face .unknown")).to_contain_text("It is kept: say who this is.")
    console.give(("again.jpg", photos.variant(photos.grace_hopper())))
    expect(page.locator(".face .unknown")).to_contain_text("It was seen before")
    page.get_by_role("link", name="say who this is").click()
    card = page.locator(".stranger")
    expect(card).to_have_count(1)
    expect(card).to_be_focused()
    expect(card).to_contain_text("Seen 2 times")
    expect(card.locator(".thumb img")).to_have_count(2)
    console.shot("unknowns")

    # Two faces of one picture are two unknowns, also if they are one person's: for somebody to merge.
    twice = photos.group([photos.grace_hopper(), photos.variant(photos.grace_hopper())])
    gallery.search(twice, ["staff"], faces="all", keep_unknown="staff")
    page.reload()
    expect(card).to_have_count(2)
    merge = page.get_by_role("button", name="Merge chosen")
    expect(merge).to_be_disabled()
    for mark in page.get_by_role("checkbox").all():
        mark.check()
    merge.click()
    expect(card).to_have_count(1)
    expect(card).to_contain_text("Seen 4 times")

    page.get_by_role("button", name="Name …").click()
    dialog = page.get_by_role("dialog", name="Who is this?")
    dialog.get_by_label("Id", exact=True).fill("eileen")
    dialog.get_by_role("button", name="Enrol as a new person").click()
    expect(dialog.get_by_role("alert")).to_contain_text("eileen is enrolled already")
    dialog.get_by_label("Id", exact=True).fill("grace")
    dialog.get_by_label("Name", exact=True).fill("Grace Hopper")
    console.shot("unknown-name")
    dialog.get_by_role("button", name="Enrol as a new person").click()
    expect(page.get_by_role("heading", name="Nobody to name")).to_be_visible()
    person = gallery.person("staff", "grace")
    assert (person["name"], len(person["faces"])) == ("Grace Hopper", 4)


def test_an_unknown_becomes_somebody_who_is_enrolled_or_is_erased(console: Console, gallery: Client) -> None:
    enrol_two(gallery)
    gallery.update_collection("staff", policy={"keep_unknown_h": 1})
    # A threshold that nobody reaches keeps also those who are enrolled.
    for photo in (photos.variant(photos.astronaut()), photos.grace_hopper()):
        gallery.search(photo, ["staff"], min_score=1, keep_unknown="staff")
    page = console.open("unknowns/staff").page
    card = page.locator(".stranger")
    expect(card).to_have_count(2)
    card.nth(1).get_by_role("button", name="Name …").click()
    likely = page.get_by_role("dialog").get_by_role("button", name="Eileen Collins")
    expect(likely).to_contain_text("alike: ")  # before anything is typed
    likely.click()
    expect(card).to_have_count(1)
    assert len(gallery.person("staff", "eileen")["faces"]) == 2
    card.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Discard for good").click()
    expect(page.get_by_role("heading", name="Nobody to name")).to_be_visible()
    assert list(gallery.all_unknowns("staff")) == []
