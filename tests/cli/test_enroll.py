"""``facegraph enroll``: many persons, rejected images, interruptions."""

from __future__ import annotations

import json
import os
import signal
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pytest
from starlette.requests import Request
from starlette.responses import Response

from serve_app.cli import progress
from serve_app.domain import Role
from tests.cli.conftest import Service, error_answer, facegraph
from tests.fakes.stages import FakeFace, fake_picture

NO_FACE = fake_picture()
DAMAGED = b"this is no picture"


def write(folder: Path, **persons: list[bytes]) -> Path:
    """A folder with these pictures: 0.jpg, 1.jpg ... for each person."""
    for person, pictures in persons.items():
        (folder / person).mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures):
            (folder / person / f"{number}.jpg").write_bytes(picture)
    return folder


def takes(who: str, count: int) -> list[bytes]:
    return [fake_picture(FakeFace(who, take)) for take in range(count)]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    return write(tmp_path / "photographs", Ada_Lovelace=takes("ada", 2), bob=takes("bob", 1), eve=takes("eve", 6))


@pytest.fixture(autouse=True)
def _own_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def enrolled(service: Service) -> dict[str, int]:
    """Person -> faces, in the collection staff."""
    with service.client() as client:
        return {person["id"]: len(person["faces"]) for person in client.all_persons("staff")}


def puts(service: Service) -> list[str]:
    """Whom requests were about, since the last call."""
    persons = [path.rsplit("/", 1)[1] for method, path in service.requests if method == "PUT"]
    service.requests.clear()
    return persons


def report_of(path: Path) -> dict[str, dict[str, Any]]:
    return {entry["person"]: entry for entry in map(json.loads, path.read_text().splitlines())}


def test_a_folder_becomes_a_collection(service: Service, photographs: Path, tmp_path: Path) -> None:
    (photographs / "bob" / "notes.txt").write_text("no picture")
    (photographs / "group.jpg").write_bytes(NO_FACE)
    report = tmp_path / "report.jsonl"
    (photographs / "bob" / ".DS_Store").write_bytes(b"")
    done = service.cli("enroll", str(photographs), "-c", "staff", "--report", str(report))
    assert done.exit_code == 1, done.output
    assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 1, "eve": 6}, "eve's six pictures take two requests"
    assert "3 persons: 3 enrolled; 9 faces added, 0 errors" in done.stderr
    assert "images/s" in done.stderr
    assert "2 files left out" in done.stderr
    assert "1 files and folders of the system, or hidden, are ignored" in done.stderr
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [(Path(line["left_out"]).name, line["junk"]) for line in lines if "left_out" in line] == [
        ("notes.txt", False),
        ("group.jpg", False),
        (".DS_Store", True),
    ]
    assert {line["person"]: line["status"] for line in lines if "person" in line} == dict.fromkeys(
        ("Ada_Lovelace", "bob", "eve"), "enrolled"
    )
    with service.client() as client:
        assert client.person("staff", "Ada_Lovelace")["name"] == "Ada Lovelace"
    assert service.cli("enroll", str(report), "-c", "staff").exit_code == 0, "a report is a manifest"


@pytest.mark.parametrize("lists", ['["Sanctions (EU, UK)", "PEP"]', '"x"'])
def test_a_manifests_list_stays_the_list(service: Service, tmp_path: Path, lists: str) -> None:
    (tmp_path / "a.jpg").write_bytes(takes("ada", 1)[0])
    (tmp_path / "m.jsonl").write_text(f'{{"person": "ada", "file": "a.jpg", "watch_list": {lists}}}')
    done = service.cli("enroll", str(tmp_path / "m.jsonl"), "-c", "staff")
    if lists == '"x"':
        assert "watch_list: expected a list" in done.stderr
        return
    with service.client() as client:
        assert client.person("staff", "ada")["watch_list"] == ["Sanctions (EU, UK)", "PEP"]


def test_exit_status_says_that_formats_were_left_out(service: Service, tmp_path: Path) -> None:
    folder = write(tmp_path / "phone", ada=takes("ada", 1))
    (folder / "ada" / "2.HEIC").write_bytes(b"x")
    done = service.cli("enroll", str(folder), "-c", "staff", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["left_out"] == 1
    assert "2.HEIC" in service.cli("enroll", str(folder), "-c", "staff").stderr


def test_a_second_run_sends_nothing_until_a_file_changes(service: Service, photographs: Path) -> None:
    service.cli("enroll", str(photographs), "-c", "staff")
    puts(service)
    again = service.cli("enroll", str(photographs), "-c", "staff", "--json")
    assert (again.exit_code, puts(service)) == (0, [])
    assert json.loads(again.stdout)["skipped"] == 3

    write(photographs, bob=takes("bob", 3), zoe=takes("zoe", 1))
    assert service.cli("enroll", str(photographs), "-c", "staff").exit_code == 0
    assert sorted(puts(service)) == ["bob", "zoe"]
    assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 3, "eve": 6, "zoe": 1}


def test_a_person_who_was_deleted_is_enrolled_again(service: Service, photographs: Path) -> None:
    service.cli("enroll", str(photographs), "-c", "staff")
    with service.client() as client:
        client.delete_person("staff", "bob")
    puts(service)
    service.cli("enroll", str(photographs), "-c", "staff")
    assert puts(service) == ["bob"]


def test_bad_pictures_are_left_out_and_tried_again(service: Service, tmp_path: Path) -> None:
    folder = write(
        tmp_path / "photographs",
        ada=[NO_FACE, *takes("ada", 2), DAMAGED],
        bob=[NO_FACE],
        cleo=takes("cleo", 1),
        dan=[],
        eve=[*takes("eve", 3), b"\xff" * 50_000, *takes("eve", 1)],
        fay=[b"\xff" * 150_000],
    )
    report = tmp_path / "report.jsonl"
    arguments = ("enroll", str(folder), "-c", "staff", "--report", str(report))
    done = service.cli(*arguments)
    assert done.exit_code == 1
    assert enrolled(service) == {"ada": 2, "cleo": 1, "eve": 4}
    entries = report_of(report)
    assert {person: entry["status"] for person, entry in entries.items()} == {
        "ada": "partial",
        "bob": "failed",
        "cleo": "enrolled",
        "dan": "failed",
        "eve": "partial",
        "fay": "failed",
    }
    errors = {person: [(Path(e["file"]).name, e["code"]) for e in entry["errors"]] for person, entry in entries.items()}
    assert sorted(errors["ada"]) == [("0.jpg", "face_not_found"), ("3.jpg", "image_format_unsupported")]
    assert errors["dan"] == [("", "no_pictures")]
    assert errors["eve"] == [("3.jpg", "image_too_large")]
    assert [file for file, _ in errors["fay"]] == ["0.jpg"]
    assert "0.jpg" in done.stderr, "the table names the file"

    (folder / "bob" / "0.jpg").write_bytes(takes("bob", 1)[0])
    puts(service)
    service.cli(*arguments)
    assert set(puts(service)) == {"ada", "bob", "eve"}, "dan has no pictures, fay's is too large, cleo is done"
    assert enrolled(service)["bob"] == 1


def test_a_file_that_cannot_be_read_stops_nothing(service: Service, photographs: Path, tmp_path: Path) -> None:
    (photographs / "bob" / "9.jpg").symlink_to(tmp_path / "nowhere.jpg")
    done = service.cli("enroll", str(photographs), "-c", "staff")
    assert done.exit_code == 1
    assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 1, "eve": 6}
    assert "no such file" in done.stderr


def test_a_failing_service_loses_only_that_person(service: Service, photographs: Path) -> None:
    def fail_for_bob(request: Request) -> Response | None:
        return error_answer(500, "internal_error") if request.url.path.endswith("/bob") else None

    service.instead = fail_for_bob
    done = service.cli("enroll", str(photographs), "-c", "staff")
    assert done.exit_code == 1
    assert "internal_error" in done.stderr
    service.instead = lambda request: None
    puts(service)
    assert service.cli("enroll", str(photographs), "-c", "staff").exit_code == 0
    assert puts(service) == ["bob"]


def test_a_busy_service_is_waited_for(service: Service, photographs: Path) -> None:
    refusals = iter([True, True, True])

    def busy(request: Request) -> Response | None:
        if request.method == "PUT" and next(refusals, False):
            return error_answer(429, "overloaded", {"Retry-After": "0"})
        return None

    service.instead = busy
    assert service.cli("enroll", str(photographs), "-c", "staff").exit_code == 0
    assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 1, "eve": 6}


def test_a_revoked_key_ends_the_run_in_words(service: Service, photographs: Path) -> None:
    def refuse(request: Request) -> Response | None:
        return error_answer(401, "api_key_invalid") if request.method == "PUT" else None

    service.instead = refuse
    done = service.cli("enroll", str(photographs), "-c", "staff", "--concurrency", "1")
    assert done.exit_code == 2
    assert "Error: made up: api_key_invalid" in done.stderr
    assert len(puts(service)) == 1


def test_the_first_interrupt_finishes_who_is_under_way(service: Service, photographs: Path) -> None:
    def interrupt(request: Request) -> Response | None:
        if request.method == "PUT" and len(puts_so_far()) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return None

    def puts_so_far() -> list[str]:
        return [path for method, path in service.requests if method == "PUT"]

    service.instead = interrupt
    done = service.cli("enroll", str(photographs), "-c", "staff", "--concurrency", "1")
    assert done.exit_code == 130, done.output
    assert enrolled(service) == {"Ada_Lovelace": 2}
    service.instead = lambda request: None
    puts(service)
    assert service.cli("enroll", str(photographs), "-c", "staff").exit_code == 0
    assert set(puts(service)) == {"bob", "eve"}, "who was under way is not sent again"


def test_an_enrolment_key_needs_the_collection_to_exist(service: Service, photographs: Path) -> None:
    done = service.cli("enroll", str(photographs), "-c", "staff", role=Role.ENROLL)
    assert done.exit_code == 2
    assert "no collection 'staff'" in done.stderr
    with service.client() as client:
        client.create_collection("staff")
    assert service.cli("enroll", str(photographs), "-c", "staff", role=Role.ENROLL).exit_code == 0


def test_an_empty_folder_is_refused(service: Service, tmp_path: Path) -> None:
    done = service.cli("enroll", str(tmp_path), "-c", "staff")
    assert done.exit_code == 2
    assert "no sub-folders" in done.stderr


def test_a_missing_folder_is_refused() -> None:
    assert facegraph("enroll", "/nowhere/at/all", "-c", "staff").exit_code == 2


def test_a_manifest_says_more_of_persons(service: Service, photographs: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "people.csv"
    manifest.write_text(
        "\ufeffperson;file;name;watch_list;metadata.badge\n"
        "ada;photographs/Ada_Lovelace/0.jpg;Ada Lovelace;PEP; 7\n"
        "bob;photographs/bob/0.jpg;Bob;;\n"
        f"ada;{photographs}/Ada_Lovelace/1.jpg;;;\n",
        encoding="utf-8",
    )
    assert service.cli("enroll", str(manifest), "-c", "staff").exit_code == 0
    assert enrolled(service) == {"ada": 2, "bob": 1}, "lines about one person come together"
    with service.client() as client:
        ada = client.person("staff", "ada")
    assert (ada["name"], ada["watch_list"], ada["metadata"]) == ("Ada Lovelace", ["PEP"], {"badge": "7"})

    puts(service)
    manifest.write_text(manifest.read_text(encoding="utf-8-sig").replace(";Bob;", ";Bob B.;"))
    assert service.cli("enroll", str(manifest), "-c", "staff").exit_code == 0
    assert puts(service) == ["bob"], "a changed field is taken in"


def test_a_manifest_with_a_bad_line_sends_nothing(service: Service, tmp_path: Path) -> None:
    manifest = tmp_path / "people.jsonl"
    manifest.write_text('{"person": "ada", "file": "a.jpg"}\n\n{"person": 7, "file": "a.jpg"}\n{"person": "bob"\n')
    done = service.cli("enroll", str(manifest), "-c", "staff")
    assert done.exit_code == 2
    assert "line 3: person: expected the person's id" in done.stderr
    assert "line 4: not JSON" in done.stderr
    assert service.requests == []


@pytest.mark.parametrize("top", ["", "photographs/"])
def test_a_zip_is_a_folder(service: Service, photographs: Path, tmp_path: Path, top: str) -> None:
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for picture in photographs.rglob("*.jpg"):
            file.write(picture, top + str(picture.relative_to(photographs)))
        file.writestr("__MACOSX/bob/._0.jpg", b"what a Mac adds")
    arguments = ("enroll", str(archive), "-c", "staff")
    assert service.cli(*arguments).exit_code == 0
    assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 1, "eve": 6}
    puts(service)
    assert service.cli(*arguments).exit_code == 0
    assert puts(service) == []


def test_a_url_is_a_folder(service: Service, photographs: Path) -> None:
    system = fsspec.filesystem("memory")
    system.put(str(photographs), "/people", recursive=True)
    try:
        done = service.cli("enroll", "memory://people", "-c", "staff")
        assert done.exit_code == 0, done.output
        assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 1, "eve": 6}
    finally:
        system.rm("/people", recursive=True)


def test_failures_are_a_manifest_again(service: Service, tmp_path: Path) -> None:
    folder = write(tmp_path / "photographs", ada=[*takes("ada", 2), NO_FACE], bob=[NO_FACE], cleo=takes("cleo", 1))
    failures = tmp_path / "failures.jsonl"
    assert service.cli("enroll", str(folder), "-c", "staff", "--failures", str(failures)).exit_code == 1
    assert set(report_of(failures)) == {"ada", "bob"}
    assert [error["code"] for error in report_of(failures)["bob"]["errors"]] == ["face_not_found"]

    for person in ("ada", "bob"):
        (folder / person / ("2.jpg" if person == "ada" else "0.jpg")).write_bytes(fake_picture(FakeFace(person, 9)))
    puts(service)
    again = service.cli("enroll", str(failures), "-c", "staff", "--failures", str(failures))
    assert again.exit_code == 0, again.output
    assert set(puts(service)) == {"ada", "bob"}
    assert enrolled(service) == {"ada": 3, "bob": 1, "cleo": 1}, "no face is lost, none is there twice"
    assert failures.read_text() == ""
    assert service.cli("enroll", str(folder), "-c", "staff").exit_code == 0
    assert puts(service) == [], "what was made up for counts for the folder as well"


def test_the_window_bounds_the_pictures_of_a_request(service: Service, photographs: Path) -> None:
    assert service.cli("enroll", str(photographs), "-c", "staff", "--window", "2", "--concurrency", "1").exit_code == 0
    assert puts(service).count("eve") == 3, "six pictures, two at a time"
    assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 1, "eve": 6}


def test_without_a_terminal_progress_is_a_line(
    service: Service, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    done = service.cli("enroll", str(photographs), "-c", "staff", "--concurrency", "1")
    assert "2 of 9 images, " in done.stderr
    assert " left" in done.stderr


def test_a_state_file_of_something_else_is_refused(service: Service, photographs: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("these are notes, and no database at all " * 50)
    done = service.cli("enroll", str(photographs), "-c", "staff", "--state", str(other))
    assert done.exit_code == 2
    assert "is not the state file of an earlier run" in done.stderr
    assert other.read_text().startswith("these are notes")
