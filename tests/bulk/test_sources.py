"""Sources of persons (folders, archives, manifests), and the report of what cannot be read."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from serve_app.bulk.entries import BadSource, Entry, PictureFile
from serve_app.bulk.files import Files, PictureTooLarge, Unreadable
from serve_app.bulk.sources import Source
from serve_app.bulk.worklist import WorkList


def load(location: Path | str) -> tuple[list[Entry], list[str]]:
    work, files = WorkList(), Files()
    try:
        source = Source(str(location), files)
        source.load(work)
        return list(work), source.warnings
    finally:
        work.close()
        files.close()


def refusal(location: Path | str) -> str:
    with pytest.raises(BadSource) as refused:
        load(location)
    return str(refused.value)


def people(folder: Path) -> Path:
    for name in (
        "ada/1.jpg",
        "ada/0.PNG",
        "ada/notes.txt",
        "ada/.hidden.jpg",
        "Bob_B/x.webp",
        ".git/a.jpg",
        "group.jpg",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "cleo").mkdir()
    return folder


def names(entries: list[Entry]) -> dict[str, list[str]]:
    return {entry.person: [file.name for file in entry.files] for entry in entries}


def test_a_folder_has_a_sub_folder_for_each_person(tmp_path: Path) -> None:
    entries, warnings = load(people(tmp_path))
    assert names(entries) == {"Bob_B": ["x.webp"], "ada": ["0.PNG", "1.jpg"], "cleo": []}
    assert entries[0].fields == {"name": "Bob B"}
    assert [warning.split(" images")[0] for warning in warnings] == ["1"]


def test_a_name_that_is_no_text_survives(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(folder)).mkdir()
    Path(os.fsdecode(folder + b"/\xff.jpg")).write_bytes(b"x")
    (entry,), _ = load(tmp_path)
    assert os.fsencode(entry.person) == b"caf\xe9"
    assert Files().read(entry.files[0].location, 10) == b"x"
    assert len(entry.fingerprint()) == 32


def test_the_fingerprint_follows_files_and_fields(tmp_path: Path) -> None:
    folder = people(tmp_path)
    before = {entry.person: entry.fingerprint() for entry in load(folder)[0]}
    assert before == {entry.person: entry.fingerprint() for entry in load(folder)[0]}
    (folder / "ada" / "1.jpg").write_bytes(b"other")
    after = {entry.person: entry.fingerprint() for entry in load(folder)[0]}
    assert {person for person in before if before[person] != after[person]} == {"ada"}
    plain = Entry("ada", (PictureFile("/a.jpg", 1, "1"),))
    assert plain.fingerprint() != Entry("ada", plain.files, {"name": "Ada"}).fingerprint()
    assert plain.fingerprint() == Entry("ada", (PictureFile("/moved/a.jpg", 1, "1"),)).fingerprint()


def test_a_zip_may_have_a_manifest(tmp_path: Path) -> None:
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("manifest.csv", "person,file,name\nada,pictures/1.jpg,Ada L.\n")
        file.writestr("pictures/1.jpg", b"one")
        file.writestr("pictures/2.jpg", b"two")
    (entry,), _ = load(archive)
    assert (entry.person, entry.fields) == ("ada", {"name": "Ada L."})
    assert entry.files[0].size == 3
    assert Files().read(entry.files[0].location, 3) == b"one"


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "file:///etc/passwd", "a/../../b.jpg"])
def test_a_manifest_in_a_zip_stays_in_it(tmp_path: Path, name: str) -> None:
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("manifest.jsonl", json.dumps({"person": "ada", "file": name}))
    assert "expected a file of the zip" in refusal(archive)


def test_no_more_of_a_file_is_read_than_a_picture_may_have(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("ada/1.jpg", bytes(50_000_000))
    (entry,), _ = load(archive)
    with pytest.raises(PictureTooLarge):
        Files().read(entry.files[0].location, 1000)


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    (tmp_path / "notes.txt").write_text("notes")
    assert "broken.zip cannot be read" in refusal(tmp_path / "broken.zip")
    assert "a folder, a .zip" in refusal(tmp_path / "notes.txt")
    assert "There is no file or folder" in refusal(tmp_path / "nothing.csv")
    assert "cannot be read" in refusal("nosuchprotocol://bucket/people")
    assert "no sub-folders" in refusal(tmp_path)
    with pytest.raises(Unreadable, match="no such file"):
        Files().read(str(tmp_path / "nothing.jpg"), 10)


MANIFESTS = {
    "person,photo\nada,a.jpg\n": "names the columns",
    "file\na.jpg\n": "names the columns",
    "person,file,file\nada,a.jpg,b.jpg\n": "names the columns",
    "": "names the columns",
    "person,file\n": "names no person",
    "person,file\nada,a.jpg,b.jpg\n": "line 2: expected 2 columns, got 3",
    "person,file\nada,a.jpg\n,b.jpg\n": "line 3: person",
    "person,file\nada,\n": "line 2: file",
    'person,file\nada,"a.jpg\n': "not CSV",
    "person,file,name\nada,a.jpg,Ada\nada,b.jpg,Bob\n": "line 3: name of 'ada' is 'Ada' on an earlier line",
}


@pytest.mark.parametrize("text", MANIFESTS)
def test_bad_csv_is_refused_with_the_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    assert MANIFESTS[text] in refusal(tmp_path / "m.csv")


LINES = {
    '["ada"]': "line 1: expected an object",
    '{"person": "ada"}': "line 1: file",
    '{"person": "ada", "file": "a.jpg", "files": []}': "exclude each other",
    '{"person": "ada", "files": "a.jpg"}': "a list of texts",
    '{"person": "ada", "file": "a.jpg", "nmae": "Ada"}': "got also: nmae",
    '{"person": "ada", "file": "a.jpg", "name": 7}': "name: expected a text, got 7",
    '{"person": "ada", "file": "a.jpg", "metadata": []}': "metadata: expected an object",
}


@pytest.mark.parametrize("line", LINES)
def test_bad_json_lines_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "m.jsonl").write_text(line + "\n")
    assert LINES[line] in refusal(tmp_path / "m.jsonl")


def test_only_the_first_bad_lines_are_described(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("x\n" * 1000)
    said = refusal(tmp_path / "m.jsonl")
    assert said.startswith("1000 unusable lines in ")
    assert said.endswith("... and 980 more")


def test_latin_1_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"person,file,name\nada,a.jpg,Caf\xe9\n")
    assert "not UTF-8" in refusal(tmp_path / "m.csv")
