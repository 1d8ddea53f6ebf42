"""Uploads of many persons over HTTP: what is accepted, progress, the report, and the worker that enrols them."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import zipfile
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.api.bulk.payload import Content, Payload
from serve_app.api.bulk.worker import BulkWorker
from serve_app.domain import DEFAULT_TENANT, TaskState
from serve_app.errors import Overloaded
from tests.api.conftest import World, b64, code
from tests.fakes.stages import FakeFace, fake_picture

BULK = "/v1/collections/staff/bulk"
LINES = {"Content-Type": "application/x-ndjson"}
ADA, NO_FACE = fake_picture("ada"), fake_picture()


def zipped(**files: bytes | str) -> bytes:
    """Names have __ for a slash and a dot before the last three letters."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), content)
    return made.getvalue()


def lines(*objects: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in objects)


def submit(world: World, body: bytes, kind: str = "application/x-ndjson", query: str = "", **options: Any) -> Any:
    headers = {**options.get("by", world.enroll), "Content-Type": kind}
    return world.call("POST", BULK + query, headers, content=body)


def work_off(world: World, worker: BulkWorker | None = None) -> int:
    """Steps that the worker took; a new one unless one is given."""
    worker = worker or BulkWorker(world.context)

    async def run() -> int:
        steps = 0
        while await worker.step():
            steps += 1
        return steps

    return asyncio.run(run())


def report(world: World, task: str, query: str = "") -> list[dict[str, Any]]:
    answer = world.call("GET", f"/v1/tasks/{task}/report{query}", world.enroll)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert answer.headers["cache-control"] == "no-store"
    return [json.loads(line) for line in answer.text.splitlines()]


def faces(world: World) -> dict[str, int]:
    answer = world.call("GET", "/v1/collections/staff/persons").json()
    return {person["id"]: len(person["faces"]) for person in answer["persons"]}


def test_json_lines_are_enrolled_and_reported(world: World) -> None:
    body = lines(
        {"person": "ada", "name": "Ada", "image_base64": [b64(ADA), b64(NO_FACE)], "metadata": {"badge": "7"}},
        {"person": "bob", "image_base64": b64(NO_FACE)},
        {"person": "eve", "image_base64": [b64(fake_picture(FakeFace("eve", take))) for take in range(6)]},
    )
    answer = submit(world, body)
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert (task["kind"], task["state"], task["done"], task["total"]) == ("bulk", "waiting", 0, 3)
    assert faces(world) == {}
    work_off(world)
    ended = world.call("GET", f"/v1/tasks/{task['id']}").json()
    assert (ended["state"], ended["done"]) == ("done", 3)
    assert ended["result"] == {"enrolled": 1, "partial": 1, "failed": 1, "faces": 7}
    assert faces(world) == {"ada": 1, "eve": 6}
    ada = world.call("GET", "/v1/collections/staff/persons/ada").json()
    assert (ada["name"], ada["metadata"]) == ("Ada", {"badge": "7"})
    told = {line["person"]: line for line in report(world, task["id"])}
    assert [told[person]["status"] for person in ("ada", "bob", "eve")] == ["partial", "failed", "enrolled"]
    assert set(told["ada"]) == {"person", "files", "status", "faces", "errors"}, "the report keeps no further data"
    assert told["ada"]["errors"][0] | {"message": ""} == {
        "file": "image_base64[1]",
        "code": "face_not_found",
        "message": "",
    }
    assert [line["person"] for line in report(world, task["id"], "?failures=true")] == ["ada", "bob"]


def test_a_zip_is_enrolled(world: World) -> None:
    body = zipped(ada__1_DOT_jpg=ADA, Bob_B__x_DOT_png=fake_picture("bob"), Bob_B__y_DOT_jpg=NO_FACE)
    task = submit(world, body, "application/zip", "?faces=largest&reject_below=0.1").json()
    assert task["arguments"] | {"faces": "largest", "reject_below": 0.1} == task["arguments"]
    work_off(world)
    assert faces(world) == {"Bob_B": 1, "ada": 1}
    assert world.call("GET", "/v1/collections/staff/persons/Bob_B").json()["name"] == "Bob B"
    assert [error["file"] for line in report(world, task["id"]) for error in line["errors"]] == ["Bob_B/y.jpg"]


def test_a_task_says_what_its_zip_left_out(world: World) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("people/ada/1.jpg", ADA)
        for name in ("people/ada/2.HEIC", "README.txt", "people/ada/.DS_Store", "__MACOSX/people/ada/._1.jpg"):
            archive.writestr(name, b"x")
    task = submit(world, made.getvalue(), "application/zip").json()
    assert task["arguments"]["left_out"] == 2
    reason = "not an image by its name: expected .bmp, .jfif, .jpe, .jpeg, .jpg, .png, .webp"
    assert task["arguments"]["left_out_files"] == [
        {"file": "README.txt", "reason": reason},
        {"file": "people/ada/2.HEIC", "reason": reason},
    ]
    work_off(world)
    assert faces(world) == {"ada": 1}
    assert world.call("GET", f"/v1/tasks/{task['id']}").json()["arguments"]["left_out"] == 2
    assert "left_out" not in submit(world, zipped(ada__1_DOT_jpg=ADA), "application/zip").json()["arguments"]


def test_null_in_a_line_clears_the_field(world: World) -> None:
    submit(world, lines({"person": "ada", "name": "Ada", "date_of_birth": "1815-12-10", "image_base64": b64(ADA)}))
    work_off(world)
    submit(world, lines({"person": "ada", "name": None, "date_of_birth": None, "image_base64": b64(ADA)}))
    work_off(world)
    ada = world.call("GET", "/v1/collections/staff/persons/ada").json()
    assert (ada["name"], ada["date_of_birth"]) == ("", None)


def test_a_manifest_in_the_zip_decides(world: World) -> None:
    manifest = "person,file,name\nada,p/1.jpg,Ada L.\n"
    submit(world, zipped(manifest_DOT_csv=manifest, p__1_DOT_jpg=ADA, p__2_DOT_jpg=NO_FACE), "application/zip")
    work_off(world)
    assert faces(world) == {"ada": 1}
    assert world.call("GET", "/v1/collections/staff/persons/ada").json()["name"] == "Ada L."


REFUSED = {
    "no json": (b"{", "line 1"),
    "a list": (b"[]\n", "line 1"),
    "nothing": (b"\n\n", "contains no persons"),
    "no person": (lines({"image_base64": b64(ADA)}), "person"),
    "no picture": (lines({"person": "ada"}), "at least one image"),
    "no base64": (lines({"person": "ada", "image_base64": "!"}), "not base64"),
    "too large": (lines({"person": "ada", "image_base64": b64(b"x" * 30_000)}), "20000 bytes"),
    "unknown field": (lines({"person": "ada", "image_base64": b64(ADA), "nmae": "Ada"}), "nmae"),
    "bad date": (lines({"person": "ada", "image_base64": b64(ADA), "date_of_birth": "1815"}), "YYYY-MM-DD"),
    "twice": (lines(*[{"person": "ada", "image_base64": b64(ADA)}] * 2), "line 3: 'ada' is on an earlier line"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_lines_are_refused_as_a_whole(world: World, case: str) -> None:
    body, message = REFUSED[case]
    answer = submit(world, lines({"person": "first", "image_base64": b64(ADA)}) * (case != "nothing") + body)
    assert code(answer) == (400, "invalid_request")
    assert message.replace("line 1", "line 2" if case != "nothing" else "line 1") in answer.json()["error"]["message"]
    assert world.call("GET", "/v1/tasks").json()["tasks"] == []


def bomb() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(30):
            archive.writestr(f"ada/{number}.jpg", bytes(19_000))
    return made.getvalue()


def many_files() -> bytes:
    return zipped(**{f"ada__{number}_DOT_txt": b"" for number in range(2_000)})


ZIPS = {
    "no zip": (b"PK nonsense", "A zip was expected"),
    "cut off": (zipped(ada__1_DOT_jpg=ADA)[:-30], "A zip was expected"),
    "damaged": (zipped(ada__1_DOT_jpg=ADA).replace(b"PK\x01\x02", b"PK\x09\x02"), "cannot be read"),
    "nobody": (zipped(readme_DOT_txt=b"x"), "no sub-folders in the zip"),
    "outside": (zipped(manifest_DOT_csv="person,file\nada,../../etc/passwd\n"), "expected a file of the zip"),
    "elsewhere": (zipped(manifest_DOT_csv="person,file\nada,http://localhost/x.jpg\n"), "a file of the zip"),
    "bad field": (zipped(manifest_DOT_csv="person,file,date_of_birth\nada,a.jpg,1815\n"), "YYYY-MM-DD"),
    "bad id": (zipped(**{"a\nb__1_DOT_jpg": ADA}), "person"),
    "too large": (zipped(ada__1_DOT_jpg=b"x" * 30_000), "20000 bytes"),
    "bomb": (bomb(), "bytes together"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_bad_zips_are_refused_as_a_whole(world: World, case: str) -> None:
    body, message = ZIPS[case]
    answer = submit(world, body, "application/zip")
    assert code(answer) == (400, "invalid_request")
    assert message in answer.json()["error"]["message"]
    assert "/tmp" not in answer.text
    assert world.call("GET", "/v1/tasks").json()["tasks"] == []


def test_limits_hold(world: World) -> None:
    limits = world.context.settings.limits.model_copy(update={"max_bulk_pictures": 5})
    world.context.settings = world.context.settings.model_copy(update={"limits": limits})
    assert code(submit(world, lines({"person": "ada", "image_base64": [b64(ADA)] * 6}))) == (400, "invalid_request")
    assert "5 images" in submit(world, many_files(), "application/zip").json()["error"]["message"]
    assert code(submit(world, b"x" * 300_000)) == (413, "request_too_large")
    assert code(submit(world, ADA, "image/jpeg")) == (415, "media_type_unsupported")
    assert code(submit(world, lines({"person": "a"}), by=world.search)) == (403, "forbidden")
    assert code(world.call("POST", BULK.replace("staff", "none"), LINES | world.enroll)) == (
        404,
        "collection_not_found",
    )


def test_an_overloaded_service_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(world, lines({"person": "ada", "image_base64": b64(ADA)}, {"person": "bob", "image_base64": b64(ADA)}))
    enroll = world.context.service.enroll
    refusals = iter([True])

    async def busy(tenant: str, person: str, *args: Any, **kwargs: Any) -> Any:
        if person == "bob" and next(refusals, False):
            raise Overloaded("no room")
        return await enroll(tenant, person, *args, **kwargs)

    monkeypatch.setattr(world.context.service, "enroll", busy)
    worker = BulkWorker(world.context)
    work_off(world, worker)
    assert faces(world) == {"ada": 1}, "it waits instead of failing"
    work_off(world, worker)
    assert faces(world) == {"ada": 1, "bob": 1}


def test_the_worker_outlives_every_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    submit(world, lines({"person": "ada", "image_base64": b64(ADA)}))
    bulk_work = world.matcher.bulk_work
    faults = iter([RuntimeError("oops"), Overloaded("no room")])

    async def faulty(*args: Any) -> Any:
        if (fault := next(faults, None)) is not None:
            raise fault
        return await bulk_work(*args)

    monkeypatch.setattr(world.matcher, "bulk_work", faulty)

    async def run() -> None:
        worker = BulkWorker(world.context, idle_s=0.01)
        worker.start()
        worker.start()  # once is enough
        async with asyncio.timeout(120):
            while not (await world.matcher.tasks(DEFAULT_TENANT))[0].state.is_final:
                await asyncio.sleep(0.01)
        await worker.close()

    asyncio.run(run())
    assert faces(world) == {"ada": 1}


def test_a_fault_of_ours_costs_one_person_not_the_upload(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = submit(world, lines({"person": "ada", "image_base64": b64(ADA)})).json()

    async def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("oops")

    monkeypatch.setattr(world.context.service, "enroll", broken)
    work_off(world)
    assert report(world, task["id"])[0]["errors"][0]["code"] == "internal_error"


def test_a_url_that_may_not_be_fetched_is_reported(world: World) -> None:
    urls = ["http://127.0.0.1/a.jpg", "ftp://example.com/a.jpg"]
    task = submit(world, lines({"person": "ada", "image_url": urls, "image_base64": b64(ADA)})).json()
    work_off(world)
    (line,) = report(world, task["id"])
    assert [(error["file"], error["code"]) for error in line["errors"]] == [(url, "image_url_refused") for url in urls]
    assert line["status"] == "partial"


def test_a_task_is_followed_to_its_end(world: World) -> None:
    task = submit(world, lines({"person": "ada", "image_base64": b64(ADA)})).json()
    work_off(world)
    answer = world.call("GET", f"/v1/tasks/{task['id']}/events", world.enroll)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.startswith("retry: 1000\n\nevent: task\ndata: {")
    (data,) = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert json.loads(data.removeprefix("data: "))["state"] == "done"
    assert code(world.call("GET", f"/v1/tasks/{'0' * 32}/events")) == (404, "task_not_found")
    assert code(world.call("GET", f"/v1/tasks/{task['id']}/events", world.search)) == (403, "forbidden")
    assert code(world.call("GET", f"/v1/tasks/{task['id']}/events", world.stranger)) == (404, "task_not_found")
    assert code(world.call("GET", f"/v1/tasks/{task['id']}/report", world.stranger)) == (404, "task_not_found")


def test_a_stream_ends_before_the_request_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()  # each look at the clock finds it a second on
    monkeypatch.setattr("serve_app.api.native.tasks.time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    monkeypatch.setattr("serve_app.api.native.tasks.PERIOD_S", 0.0)
    task = submit(world, lines({"person": "ada", "image_base64": b64(ADA)})).json()
    answer = world.call("GET", f"/v1/tasks/{task['id']}/events", world.enroll)
    assert answer.status_code == 200
    assert answer.text.count(": still the same") >= 2
    assert next(seconds) < world.context.settings.ingress.request_timeout_s


def test_an_upload_that_breaks_off_leaves_a_cancelled_task(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*args: Any) -> Any:
        raise Overloaded("no room")

    monkeypatch.setattr(world.matcher, "add_bulk", full)
    assert code(submit(world, lines({"person": "ada", "image_base64": b64(ADA)}))) == (429, "overloaded")
    (task,) = asyncio.run(world.matcher.tasks(DEFAULT_TENANT))
    assert task.state is TaskState.CANCELLED


def test_payloads_are_what_they_were() -> None:
    payload = Payload((Content("a\n.jpg", b"one\n"), Content("u", url="http://x"), Content("b", b"")), {"name": "Ä"})
    assert Payload.unpack(payload.pack()) == payload
    assert Payload.unpack(b'{"fields": {}, "pictures": []}\n') == Payload()
    strange = [
        b"[]",
        b"5",
        b"{}",
        b"[" * 10_000,
        b'{"fields": [], "pictures": []}',
        b'{"fields": {}, "pictures": [5]}',
        b'{"fields": {}, "pictures": [{"name": "a", "url": ""}]}',
        b'{"fields": {}, "pictures": [{"name": "a", "url": "", "size": -1}]}\nx',
        b'{"fields": {}, "pictures": [{"name": "a", "url": "", "size": "1"}]}\nx',
    ]
    for torn in (b"", payload.pack()[:-1], *strange):
        with pytest.raises(ValueError):
            Payload.unpack(torn)


def test_a_json_line_with_a_member_twice_is_refused(world: World) -> None:
    line = b'{"person": "ada", "person": "eve", "image_base64": "' + b64(ADA).encode() + b'"}\n'
    answer = submit(world, line)
    assert answer.status_code == 400
    assert "line 1: body: 'person' is written twice" in answer.json()["error"]["message"]


def test_json_lines_may_begin_with_the_mark_that_windows_writes(world: World) -> None:
    answer = submit(world, b"\xef\xbb\xbf" + lines({"person": "ada", "image_base64": b64(ADA)}))
    assert answer.status_code == 202
    work_off(world)
    assert faces(world) == {"ada": 1}
