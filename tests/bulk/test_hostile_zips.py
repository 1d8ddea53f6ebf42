"""Zips and manifests that are cheap to send and dear to read: refused or read within bounds of time and memory."""

from __future__ import annotations

import io
import json
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.api.bulk.upload import read_lines, read_zip
from serve_app.bulk.entries import BadSource, LeftOut
from serve_app.bulk.files import Files
from serve_app.bulk.sources import Source
from serve_app.bulk.worklist import WorkList
from serve_app.domain import BulkPerson
from serve_app.errors import InvalidRequest
from serve_app.settings import Limits
from tests.hostile_files import MEBIBYTE, overlapping_zip, with_zip64_end, zip_of, zip_of_one

LIMITS = Limits()
MOST_S = 2.0
MOST_BYTES = 64 * MEBIBYTE
FOLDERS = 60_000
PERSON = {"ada/1.jpg": b"picture"}


def upload(content: bytes) -> tuple[list[BulkPerson], list[LeftOut]]:
    left_out: list[LeftOut] = []
    return list(read_zip(io.BytesIO(content), LIMITS, left_out)), left_out


def manifest(*lines: str, name: str = "manifest.jsonl") -> bytes:
    return zip_of({name: "\n".join(lines).encode(), **PERSON})


def file_line(person: str = "ada", **fields: object) -> str:
    return json.dumps({"person": person, "file": "ada/1.jpg", **fields})


def damaged() -> bytes:
    plain = zip_of({"manifest.jsonl": bytes(5000)})
    return plain[:60] + b"\xff\xff" + plain[62:]


def encrypted() -> bytes:
    plain = zip_of({"manifest.jsonl": b"x"})
    entry = plain.index(b"PK\x01\x02")
    flagged = struct.pack("<H", 1)
    return plain[:6] + flagged + plain[8 : entry + 8] + flagged + plain[entry + 10 :]


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "one endless line": (lambda: zip_of_one("manifest.jsonl", b"a" * MEBIBYTE, 300), "bytes; at most"),
    "a long line": (lambda: zip_of_one("manifest.jsonl", b"a" * MEBIBYTE, 15), "more than 1048576 characters"),
    "a long heading": (lambda: zip_of_one("manifest.csv", b"a" * MEBIBYTE, 15), "more than 1048576 characters"),
    "a record of many lines": (
        lambda: manifest("person,file,name", 'ada,ada/1.jpg,"' + ("x" * 100 + "\n") * 15_000, name="manifest.csv"),
        "field larger",
    ),
    "a record of many fields": (
        lambda: manifest("person,file", ",".join(['"' + "x" * 100 + '\n"'] * 15_000), name="manifest.csv"),
        "more than 1048576 characters",
    ),
    "line breaks, 300 MB": (lambda: zip_of_one("manifest.jsonl", b"\n" * MEBIBYTE, 300), "bytes; at most"),
    "line breaks, 15 MB": (lambda: zip_of_one("manifest.jsonl", b"\n" * MEBIBYTE, 15), "more than 20000 lines"),
    "wrong lines": (lambda: zip_of_one("manifest.jsonl", b"0\n" * 2**19, 15), "more than 20000 lines"),
    "many files on a line": (
        lambda: zip_of_one("manifest.jsonl", b'{"person":"a","files":[' + b'"a",' * 200_000 + b'"a"]}\n', 15),
        "more than 20000 images",
    ),
    "long names": (
        lambda: manifest(*[json.dumps({"person": "ada", "file": "\u0301\u0316" * 2**16})] * 7),
        "at most 2048 characters",
    ),
    "names with marks": (
        lambda: manifest(*[json.dumps({"person": "ada", "file": "\u0301\u0316" * 1000})] * 1000),
        "got a name of 2000 characters",
    ),
    "unknown fields": (
        lambda: manifest(*[json.dumps({f"{n:x}": 0 for n in range(70_000)} | json.loads(file_line()))] * 5),
        "got also: 0, 1, 2",
    ),
    "empty folders": (lambda: zip_of({f"{n:x}/": b"" for n in range(FOLDERS)}), "more than 20000 entries"),
    "entries behind a second end record": (
        lambda: with_zip64_end(zip_of({f"{n:x}": b"" for n in range(FOLDERS)})),
        "more than 20000 entries",
    ),
    "a directory of long names": (
        lambda: zip_of({f"{n:x}".zfill(65_000): b"" for n in range(400)}),
        "more than 20000 entries",
    ),
    "entries that share their content": (
        lambda: overlapping_zip([f"ada/{n}.jpg" for n in range(4000)], bytes(MEBIBYTE)),
        "overlap",
    ),
    "damaged": (damaged, "cannot be read"),
    "encrypted": (encrypted, "cannot be read"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_upload_is_refused_within_bounds(case: str) -> None:
    make, message = REFUSED[case]
    content = make()
    began = time.thread_time()
    with pytest.raises(InvalidRequest, match=message) as refused:
        upload(content)
    assert time.thread_time() - began < MOST_S
    assert len(str(refused.value)) < 10_000


@pytest.mark.parametrize("case", ["one endless line", "a long line", "entries behind a second end record"])
def test_an_upload_is_refused_within_little_memory(case: str) -> None:
    content = REFUSED[case][0]()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequest):
            upload(content)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("case", ["one endless line", "a long line", "a record of many fields", "damaged"])
def test_the_command_has_bounds_as_well(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    path = tmp_path / "people.zip"
    path.write_bytes(make())
    work, files = WorkList(), Files()
    try:
        with pytest.raises(BadSource, match=message):
            Source(str(path), files).load(work)
    finally:
        work.close()
        files.close()


def test_lines_are_bounded_in_number() -> None:
    began = time.thread_time()
    with pytest.raises(InvalidRequest, match="more than 20000 lines"):
        list(read_lines(io.BytesIO(b"\n" * 2 * MEBIBYTE), LIMITS, []))
    assert time.thread_time() - began < MOST_S


def test_many_folders_are_read_in_one_pass() -> None:
    content = zip_of({f"p{n}/1.jpg": b"x" for n in range(5000)} | {f"p{n}/": b"" for n in range(5000)})
    began = time.thread_time()
    people, _ = upload(content)
    assert len(people) == 5000
    assert time.thread_time() - began < 2 * MOST_S


def test_a_zip64_is_read_as_any_other() -> None:
    people, _ = upload(with_zip64_end(zip_of(PERSON)))
    assert [person.person for person in people] == ["ada"]


def test_what_would_unpack_or_nest_without_end_is_left_out() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("ada/1.jpg", b"picture")
        archive.writestr("ada/2.jpg", bytes(5000), zipfile.ZIP_BZIP2)
        archive.writestr("ada/" + "x/" * 40 + "3.jpg", b"picture")
        archive.writestr("ada/" + "x" * 600 + ".jpg", b"picture")
    people, left_out = upload(made.getvalue())
    assert [person.pictures for person in people] == [1]
    assert sorted(entry.reason for entry in left_out) == [
        "it is in more than 32 folders",
        "it is packed in another way than deflate",
        "its path has more than 500 characters",
    ]


def test_a_long_text_costs_once_and_not_for_each_line() -> None:
    lines = [file_line(metadata={f"k{n}": "x" * 100 for n in range(5000)}), *[file_line(name="Ada")] * 19_000]
    content = manifest(*lines)
    began = time.thread_time()
    with pytest.raises(InvalidRequest, match="metadata"):
        upload(content)
    assert time.thread_time() - began < MOST_S
