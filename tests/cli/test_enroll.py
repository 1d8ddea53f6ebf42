"""``facegraph enroll``: many persons, bad pictures, interruptions."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from serve_app.cli.enrolment import Enroller, Outcome, State, Status
from serve_app.cli.folders import PersonFolder, batches, read_folder
from serve_app.client import ServiceUnreachable
from serve_app.domain import Role
from serve_app.stages.fakes import FakeFace, fake_picture
from tests.cli.conftest import Service, error_answer, facegraph

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
    done = service.cli("enroll", str(photographs), "-c", "staff", "--report", str(report))
    assert done.exit_code == 0, done.output
    assert enrolled(service) == {"Ada_Lovelace": 2, "bob": 1, "eve": 6}, "eve's six pictures take two requests"
    assert "3 persons: 3 enrolled; 9 faces added, 0 errors" in done.stderr
    assert "1 pictures lie in" in done.stderr
    assert {person: entry["status"] for person, entry in report_of(report).items()} == dict.fromkeys(
        ("Ada_Lovelace", "bob", "eve"), "enrolled"
    )
    with service.client() as client:
        assert client.person("staff", "Ada_Lovelace")["name"] == "Ada Lovelace"


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
    errors = {person: [(e["file"], e["code"]) for e in entry["errors"]] for person, entry in entries.items()}
    assert sorted(errors["ada"]) == [("0.jpg", "face_not_found"), ("3.jpg", "image_format_unsupported")]
    assert errors["dan"] == [("", "no_pictures")]
    assert errors["eve"] == [("3.jpg", "image_too_large")]
    assert [file for file, _ in errors["fay"]] == ["0.jpg"]
    assert "0.jpg" in done.stderr, "the table names the file"

    (folder / "bob" / "0.jpg").write_bytes(takes("bob", 1)[0])
    puts(service)
    service.cli(*arguments)
    assert set(puts(service)) == {"ada", "bob", "eve", "fay"}, "dan has no pictures, cleo is done"
    assert enrolled(service)["bob"] == 1


def test_a_file_that_cannot_be_read_stops_nothing(service: Service, photographs: Path, tmp_path: Path) -> None:
    (photographs / "bob" / "9.jpg").symlink_to(tmp_path / "nowhere.jpg")
    done = service.cli("enroll", str(photographs), "-c", "staff")
    assert done.exit_code == 1
    assert enrolled(service) == {"Ada_Lovelace": 2, "eve": 6}


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


def test_a_connection_that_breaks_begins_the_person_again(service: Service, photographs: Path) -> None:
    eve = next(person for person in read_folder(photographs).persons if person.id == "eve")
    with service.client() as client:
        client.create_collection("staff")
        enroller = Enroller(client, "staff", most=4)
        put = client.put_person
        calls: list[str] = []

        def breaks_after_the_second(collection: str, person: str, images: Any, **fields: Any) -> Any:
            answer = put(collection, person, images, **fields)
            calls.append(fields["mode"])
            if len(calls) == 2:
                raise ServiceUnreachable("the answer was lost")
            return answer

        client.put_person = breaks_after_the_second  # type: ignore[method-assign]
        outcome = enroller.enroll(eve)
    assert (outcome.status, outcome.faces) == (Status.ENROLLED, 6)
    assert calls == ["replace", "add", "replace", "add"]
    assert enrolled(service)["eve"] == 6, "no face twice"


def test_stop_begins_no_further_person(service: Service, photographs: Path) -> None:
    stop = threading.Event()
    with service.client() as client:
        client.create_collection("staff")
        outcomes = Enroller(client, "staff").enroll_all(read_folder(photographs).persons, 1, stop)
        next(outcomes)
        stop.set()
        assert list(outcomes) == []


def test_the_state_survives_a_torn_line(tmp_path: Path, photographs: Path) -> None:
    ada, bob, _ = read_folder(photographs).persons
    path = tmp_path / "deep" / "state.jsonl"
    state = State(path)
    assert not state.holds(ada)
    state.add(outcome_of(ada))
    state.close()
    path.write_text(path.read_text() + '{"person": "bo')
    state = State(path)
    assert state.holds(ada)
    assert not state.holds(bob)
    state.add(outcome_of(bob))
    state.close()
    state = State(path)
    assert state.holds(bob)
    state.close()


def outcome_of(person: PersonFolder) -> Outcome:
    return Outcome(person.id, Status.ENROLLED, fingerprint=person.fingerprint())


def test_batches_keep_to_both_limits(tmp_path: Path) -> None:
    files = []
    for number, size in enumerate((10, 10, 10, 50, 200, 10)):
        files.append(tmp_path / f"{number}.jpg")
        files[-1].write_bytes(b"x" * size)
    sizes = [[file.stat().st_size for file in batch] for batch in batches(files, 2, 100)]
    assert sizes == [[10, 10], [10, 50], [200], [10]]


def test_a_missing_folder_is_refused() -> None:
    assert facegraph("enroll", "/nowhere/at/all", "-c", "staff").exit_code == 2
