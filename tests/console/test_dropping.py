"""Photographs and folders are dragged from disk onto the enrol view: real files, real drop events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from serve_app.client import Client
from tests import photos
from tests.console.conftest import Console

pytestmark = pytest.mark.browser


@pytest.fixture
def enrol(console: Console, gallery: Client) -> Console:
    """The enrol view, with one collection to enrol into."""
    gallery.create_collection("staff")
    return console.open("enrol")


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """A folder with such files, sub-folders included."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def rows(page: Page) -> list[tuple[str, str]]:
    """Id and name of each person that is about to be enrolled."""
    ids, names = page.get_by_label("Id", exact=True).all(), page.get_by_label("Name", exact=True).all()
    return [(person.input_value(), name.input_value()) for person, name in zip(ids, names, strict=True)]


def test_a_dropped_folder_is_enrolled_with_progress_and_reasons(
    enrol: Console, gallery: Client, tmp_path: Path
) -> None:
    folder = written(
        tmp_path / "people",
        {
            "eileen_collins/1.jpg": photos.astronaut(),
            "eileen_collins/2.jpg": photos.variant(photos.astronaut()),
            "grace_hopper/portrait.jpg": photos.grace_hopper(),
            "grace_hopper/coffee.jpg": photos.no_face(),
            "grace_hopper/.hidden.jpg": photos.astronaut(),
            "nobody/coffee.jpg": photos.no_face(),
            "nobody/notes.txt": b"no image",
            "zoe.jpg": photos.grace_hopper(),
        },
    )
    page = enrol.page
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    enrol.drop(".drop", folder)
    expect(page.get_by_text("4 persons, 6 images")).to_be_visible()
    expect(page.locator(".note .reasons")).to_have_text("people/nobody/notes.txt: no image that can be read")
    expect(page.locator(".note")).to_contain_text("1 file left out:")
    expect(page.locator(".note")).to_contain_text("1 hidden file or file of a system is ignored.")
    assert rows(page) == [
        ("eileen_collins", "eileen collins"),
        ("grace_hopper", "grace hopper"),
        ("nobody", "nobody"),
        ("zoe", "zoe"),
    ]
    enrol.shot("drop-folder")
    page.route("**/persons/zoe", hold)  # the last one takes its time
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".plan-head .hint")).to_contain_text("3 of 4, ")
    expect(page.locator(".plan-head .hint")).to_contain_text("s left")
    expect(page.get_by_role("progressbar", name="Progress")).to_have_js_property("value", 3)
    expect(page.locator(".plan-row.partly .reasons")).to_have_text("coffee.jpg: No face was found.")
    expect(page.locator(".plan-row.failed .reasons")).to_have_text("coffee.jpg: No face was found.")
    enrol.shot("drop-folder-progress")
    (late,) = held
    late.continue_()
    expect(page.locator(".note.warn")).to_contain_text("4 faces enrolled in staff, 2 images or persons refused.")
    enrolled = {person["id"]: len(person["faces"]) for person in gallery.all_persons("staff")}
    assert enrolled == {"eileen_collins": 2, "grace_hopper": 1, "zoe": 1}


def test_what_failed_is_tried_again_and_what_was_taken_stays(enrol: Console, gallery: Client, tmp_path: Path) -> None:
    gallery.put_person("staff", "eileen", [photos.astronaut()], name="Eileen")
    pictures = {"eileen/1.jpg": photos.astronaut(), "eileen/2.jpg": photos.variant(photos.astronaut())}
    folder = written(tmp_path / "people", {**pictures, "grace/1.jpg": photos.grace_hopper()})
    page = enrol.page
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("A person who is there already").select_option("replace")
    enrol.drop(".drop", folder)
    failures = {
        "eileen": (400, "face_not_found", "Image 2: No face was found.", {"image": 1}),
        "grace": (500, "internal_error", "It is in the log.", {}),
    }

    def fail_once(route: Route) -> None:
        failure = failures.pop(route.request.url.rpartition("/")[2], None)
        if failure is None:
            route.continue_()
            return
        status, code, message, details = failure
        error = {"code": code, "message": message, "details": details, "request_id": "r-1"}
        route.fulfill(status=status, body=json.dumps({"error": error}))

    page.route("**/persons/*", fail_once)
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".plan-row.partly .reasons")).to_have_text("2.jpg: No face was found.")
    expect(page.locator(".plan-row.failed .reasons")).to_have_text("It is in the log.")
    assert [len(person["faces"]) for person in gallery.all_persons("staff")] == [1]
    page.get_by_role("button", name="Try these again").click()
    expect(page.get_by_text("2 persons, 2 images")).to_be_visible()
    assert rows(page) == [("eileen", "eileen"), ("grace", "grace")]
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".note.good")).to_contain_text("2 faces enrolled in staff.")
    enrol.shot("drop-tried-again")
    # The picture that was taken at first was not replaced by the one that came later.
    assert {person["id"]: len(person["faces"]) for person in gallery.all_persons("staff")} == {"eileen": 2, "grace": 1}


def test_dropped_pictures_may_be_of_one_person(enrol: Console, gallery: Client, tmp_path: Path) -> None:
    files = {"IMG_1.jpg": photos.astronaut(), "IMG_2.jpg": photos.variant(photos.astronaut())}
    folder, page = written(tmp_path, files), enrol.page
    enrol.drop(".drop", *(folder / name for name in files))
    expect(page.get_by_text("2 persons, 2 images")).to_be_visible()
    assert rows(page) == [("IMG_1", "IMG 1"), ("IMG_2", "IMG 2")]
    page.get_by_role("button", name="They are all of one person").click()
    expect(page.get_by_text("1 person, 2 images")).to_be_visible()
    expect(page.get_by_label("Id", exact=True)).to_be_focused()
    page.get_by_label("Id", exact=True).fill("eileen")
    page.get_by_label("Name", exact=True).fill("Eileen Collins")
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".note.good")).to_contain_text("2 faces enrolled in staff.")
    expect(page.get_by_role("button", name="They are all of one person")).to_have_count(0)
    page.get_by_role("link", name="See the collection").click()
    expect(page.locator(".person")).to_contain_text("Eileen Collins")
    expect(page.locator(".person")).to_contain_text("eileen, 2 faces")


def test_folders_of_file_servers_and_deeper_folders_are_no_persons(enrol: Console, tmp_path: Path) -> None:
    picture = photos.astronaut()
    names = (
        "ada/1.jfif",
        "ada/2023/a.jpg",
        "bob/1.jpg",
        "bob/2023/b.jpg",
        "@eaDir/1.jpg",
        "ada/Thumbs.db",
        "ada/2.heic",
    )
    page = enrol.page
    enrol.drop(".drop", written(tmp_path / "people", dict.fromkeys(names, picture)))
    expect(page.get_by_text("2 persons, 2 images")).to_be_visible()
    assert rows(page) == [("ada", "ada"), ("bob", "bob")]
    expect(page.locator(".note .reasons li")).to_have_count(3)
    expect(page.locator(".note .reasons")).to_contain_text(
        "people/ada/2023/a.jpg: in a folder inside a person's folder"
    )
    expect(page.locator(".note .reasons")).to_contain_text("people/ada/2.heic: no image that can be read")
    expect(page.locator(".note")).to_contain_text("2 hidden files or files of systems are ignored.")


def test_two_folders_of_one_name_are_not_one_person(enrol: Console, tmp_path: Path) -> None:
    page = enrol.page
    files = dict.fromkeys(("ada/2023/a.jpg", "bob/2023/b.jpg"), photos.astronaut())
    enrol.drop(".drop", written(tmp_path / "people", files))
    expect(page.get_by_text("1 person, 1 image")).to_be_visible()
    expect(page.locator(".note .reasons")).to_contain_text("/2023 has the same name")


def test_a_search_takes_one_picture(console: Console, gallery: Client, tmp_path: Path) -> None:
    gallery.create_collection("staff")
    folder = written(tmp_path, {"1.jpg": photos.astronaut(), "2.jpg": photos.astronaut()})
    page = console.open("search").page
    console.drop(".drop", folder / "1.jpg", folder / "2.jpg")
    expect(page.get_by_role("alert")).to_contain_text("One image is expected here, and 2 came.")


def test_a_drop_without_a_picture_is_answered(enrol: Console, tmp_path: Path) -> None:
    page = enrol.page
    (tmp_path / "empty").mkdir()
    for dropped in (tmp_path / "empty", written(tmp_path / "notes", {"notes.txt": b"no image"})):
        enrol.drop(".drop", dropped)
        expect(page.get_by_role("alert")).to_contain_text("There is no image in this")
        page.reload()
        expect(page.get_by_role("alert")).to_have_count(0)
    enrol.drop("h1", written(tmp_path / "beside", {"1.jpg": photos.astronaut()}))  # it misses the place for it
    expect(page.get_by_role("heading", level=1)).to_have_text("Enrol")
    expect(page.locator(".plan-row")).to_have_count(0)
