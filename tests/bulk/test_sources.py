"""Sources of persons (folders, archives, manifests), and the report of what cannot be read."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import pytest

from serve_app.bulk.entries import BadSource, Entry, PictureFile
from serve_app.bulk.files import Files, PictureTooLarge, Unreadable
from serve_app.bulk.sources import NO_PICTURE, Source
from serve_app.bulk.worklist import WorkList
from serve_app.domain import CLEARED


def load(location: Path | str) -> tuple[list[Entry], dict[str, str]]:
    """The entries of a source, and what it leaves out: the end of the path -> the first word of the reason, or junk."""
    work, files = WorkList(), Files()
    try:
        Source(str(location), files).load(work)
        left_out = {entry.location: entry.reason for entry in work.left_out()}
        left_out |= {entry.location: "junk" for entry in work.left_out(junk=True)}
        folder = str(location) + "/"
        return list(work), {path.removeprefix(folder): reason for path, reason in left_out.items()}
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
    entries, left_out = load(people(tmp_path))
    assert names(entries) == {"Bob_B": ["x.webp"], "ada": ["0.PNG", "1.jpg"], "cleo": []}
    assert entries[0].fields == {"name": "Bob B"}
    assert left_out == {
        "ada/notes.txt": NO_PICTURE,
        "group.jpg": "the image is not in a person's folder",
        "ada/.hidden.jpg": "junk",
        ".git": "junk",
    }


def test_endings_of_jpeg_are_images(tmp_path: Path) -> None:
    for name in ("1.jfif", "2.JPE", "3.jpeg", "4.heic", "5.avif", "6"):
        (tmp_path / "ada").mkdir(exist_ok=True)
        (tmp_path / "ada" / name).write_bytes(b"x")
    entries, left_out = load(tmp_path)
    assert names(entries) == {"ada": ["1.jfif", "2.JPE", "3.jpeg"]}
    assert left_out == dict.fromkeys(("ada/4.heic", "ada/5.avif", "ada/6"), NO_PICTURE)


JUNK_TREE = (
    *("@eaDir/a.jpg", "$RECYCLE.BIN/b.jpg", "#recycle/c.jpg", "__MACOSX/ada/._1.jpg", "lost+found/d.jpg"),
    *("ada/1.jpg", "ada/._1.jpg", "ada/.DS_Store", "ada/Thumbs.db", "ada/desktop.ini", "ada/@eaDir/1.jpg"),
)


def test_what_systems_leave_is_no_person_and_no_error(tmp_path: Path) -> None:
    for name in JUNK_TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    entries, left_out = load(tmp_path)
    assert names(entries) == {"ada": ["1.jpg"]}
    assert set(left_out.values()) == {"junk"}
    assert set(left_out) == {name.split("/")[0] for name in JUNK_TREE[:5]} | {
        name.removesuffix("/1.jpg") if "@" in name else name for name in JUNK_TREE[6:]
    }


def test_a_folder_in_a_persons_folder_is_left_out_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "ada" / "2023").mkdir(parents=True)
    (tmp_path / "ada" / "2023" / "a.jpg").write_bytes(b"x")
    (tmp_path / "ada" / "1.jpg").write_bytes(b"x")
    entries, left_out = load(tmp_path)
    assert names(entries) == {"ada": ["1.jpg"]}
    assert list(left_out) == ["ada/2023"]
    assert "a folder in a person's folder" in left_out["ada/2023"]


def zipped(path: Path, *members: str) -> Path:
    """A zip with these files; each has its name as the content."""
    with zipfile.ZipFile(path, "w") as file:
        for member in members:
            info = zipfile.ZipInfo("x")
            info.filename = member  # as it is: ZipInfo changes separators
            file.writestr(info, member.encode("utf-8", "surrogateescape"))
    return path


@pytest.mark.parametrize(
    ("members", "expected", "left_out"),
    [
        (["people\\ada\\1.jpg", "people\\bob\\1.jpg"], {"ada": ["1.jpg"], "bob": ["1.jpg"]}, []),
        (["./ada/1.jpg", "./bob/1.jpg"], {"ada": ["1.jpg"], "bob": ["1.jpg"]}, []),
        (["C:\\people\\ada\\1.jpg"], {"ada": ["1.jpg"]}, []),
        (["/ada/1.jpg", "ada//2.jpg"], {"ada": ["1.jpg", "2.jpg"]}, []),
        (["people/ada/1.jpg", "README.txt"], {"ada": ["1.jpg"]}, ["README.txt"]),
        (
            ["people/ada/1.jpg", "__MACOSX/people/ada/._1.jpg", ".DS_Store"],
            {"ada": ["1.jpg"]},
            ["__MACOSX", ".DS_Store"],
        ),
        (["ada/1.jpg", "../bob/1.jpg"], {"ada": ["1.jpg"]}, ["../bob/1.jpg"]),
        (["ada/1.jpg", "ada\\1.jpg"], {"ada": ["1.jpg"]}, ["ada\\1.jpg"]),
        (["ada/1.jpg", "group.jpg"], {"ada": ["1.jpg"]}, ["group.jpg"]),
        (["ada/1.jpg", "ada/2.HEIC"], {"ada": ["1.jpg"]}, ["ada/2.HEIC"]),
        (["Mu\u0308ller/1.jpg"], {"M\u00fcller": ["1.jpg"]}, []),
    ],
)
def test_zips_as_people_have_them(
    tmp_path: Path, members: list[str], expected: dict[str, list[str]], left_out: list[str]
) -> None:
    entries, found = load(zipped(tmp_path / "people.zip", *members))
    assert names(entries) == expected
    assert sorted(found) == sorted(left_out)
    files, sent = Files(), {member.encode() for member in members}
    assert all(files.read(file.location, 100) in sent for entry in entries for file in entry.files)
    files.close()


def test_names_that_macos_writes_without_the_flag_of_utf_8(tmp_path: Path) -> None:
    path = zipped(tmp_path / "people.zip", "M\u00fcller/1.jpg")
    content = path.read_bytes()
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # APPNOTE.TXT, 4.3.7 and 4.3.12
        at = content.index(signature) + offset
        content = content[:at] + b"\0\0" + content[at + 2 :]
    path.write_bytes(content)
    assert names(load(path)[0]) == {"M\u00fcller": ["1.jpg"]}


def test_one_person_in_both_forms_of_unicode(tmp_path: Path) -> None:
    for folder, picture in (("M\u00fcller", "1.jpg"), ("Mu\u0308ller", "2.jpg")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / picture).write_bytes(b"x")
    found = names(load(tmp_path)[0])  # folders come in the file system's order
    assert {person: sorted(pictures) for person, pictures in found.items()} == {"M\u00fcller": ["1.jpg", "2.jpg"]}


@pytest.mark.parametrize(("written", "stored"), [("\u00fc.jpg", "u\u0308.jpg"), ("u\u0308.jpg", "\u00fc.jpg")])
def test_a_manifest_names_files_in_either_form_of_unicode(tmp_path: Path, written: str, stored: str) -> None:
    (tmp_path / stored).write_bytes(b"x")
    (tmp_path / "m.csv").write_text(f"person,file\nada,{written}\n")
    (entry,), _ = load(tmp_path / "m.csv")
    assert Files().read(entry.files[0].location, 10) == b"x"


def test_null_in_a_manifest_clears_the_field(tmp_path: Path) -> None:
    fields = {"name": None, "watch_list": None, "metadata": None, "consent": None}
    (tmp_path / "m.jsonl").write_text(json.dumps({"person": "ada", "file": "a.jpg", **fields}))
    (entry,), _ = load(tmp_path / "m.jsonl")
    assert entry.fields == {name: CLEARED[name] for name in fields}


def test_file_names_that_are_no_text_survive_and_such_a_person_is_left_out(tmp_path: Path) -> None:
    for folder in (b"/cafe", b"/caf\xe9"):
        Path(os.fsdecode(os.fsencode(tmp_path) + folder)).mkdir()
        Path(os.fsdecode(os.fsencode(tmp_path) + folder + b"/\xff.jpg")).write_bytes(b"x")
    (entry,), left_out = load(tmp_path)
    assert entry.person == "cafe"
    assert Files().read(entry.files[0].location, 10) == b"x"
    assert len(entry.fingerprint()) == 32
    assert left_out == {os.fsdecode(b"caf\xe9"): "the folder's name is not UTF-8"}


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
        for name in ("pictures/2.jpg", "pictures/3.HEIC", "manifest.jsonl", "README.txt", ".DS_Store"):
            file.writestr(name, b"two")
    (entry,), left_out = load(archive)
    assert (entry.person, entry.fields) == ("ada", {"name": "Ada L."})
    assert left_out.pop(".DS_Store") == "junk"
    assert set(left_out) == {"pictures/2.jpg", "pictures/3.HEIC", "manifest.jsonl", "README.txt"}
    assert set(left_out.values()) == {"the manifest does not name it"}
    assert entry.files[0].size == 3
    assert Files().read(entry.files[0].location, 3) == b"one"


def test_manifest_lines_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    manifest = tmp_path / "people.jsonl"
    wrong = ['{"person": "a", "file": "foo://x"}', '{"person": "b", "metadata": ' + '{"a":' * 100_000, "[" * 100_000]
    manifest.write_text("\n".join(wrong))
    message = refusal(manifest)
    assert all(f"line {number}: " in message for number in (1, 2, 3)), message
    assert "foo" in message


def test_no_source_is_refused() -> None:
    assert "got nothing" in refusal("")


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


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    with pytest.raises(Unreadable, match="named pipe"):
        Files().read(str(tmp_path / "1.jpg"), 10)


MANIFESTS = {
    "person,photo\nada,a.jpg\n": "names the columns",
    "person,flie\nada,a.jpg\n": "got: person, flie; did you mean 'file'?",
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
    '{"person": "ada", "file": "a.jpg", "nmae": "Ada"}': "got also: nmae; did you mean 'name'?",
    '{"person": "ada", "file": "a.jpg", "name": 7}': "name: expected a text, got 7",
    '{"person": "ada", "person": "eve", "file": "a.jpg"}': "line 1: not JSON: 'person' is written twice in one object",
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


def test_a_link_that_leads_to_itself_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada/1.jpg").write_bytes(b"x")
    (tmp_path / "self").symlink_to("self")
    (entry,), left_out = load(tmp_path)
    assert entry.person == "ada"
    assert left_out == {"self": NO_PICTURE}


def test_blanks_around_cells_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"one")
    rows = 'person, file, name, metadata.badge\nada , a.jpg , "Lovelace, Ada", 7 \nada, a.jpg, "  "\n'
    (tmp_path / "m.csv").write_text(rows)
    (entry,), _ = load(tmp_path / "m.csv")
    assert entry.person == "ada"
    assert [file.size for file in entry.files] == [3]
    assert entry.fields == {"name": "Lovelace, Ada", "metadata": {"badge": "7"}}


def test_the_line_before_the_heading_that_excel_writes(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"\xef\xbb\xbfsep=;\r\nperson;file\r\nada;a.jpg\r\n;b.jpg\r\n")
    assert "1 unusable lines" in (said := refusal(tmp_path / "m.csv"))
    assert "line 4: person" in said
    (tmp_path / "m.csv").write_bytes(b"sep=;\r\nperson;file\r\nada;a.jpg\r\n")
    assert names(load(tmp_path / "m.csv")[0]) == {"ada": ["a.jpg"]}


def test_a_zip_with_an_outer_folder_may_have_a_manifest_in_it(tmp_path: Path) -> None:
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("people/manifest.csv", "person,file\nada,1.jpg\neve,more/2.jpg\n")
        for name in ("people/1.jpg", "people/more/2.jpg", "people/3.jpg", "README.txt"):
            file.writestr(name, b"one")
    entries, left_out = load(archive)
    assert names(entries) == {"ada": ["1.jpg"], "eve": ["2.jpg"]}
    assert [file.size for entry in entries for file in entry.files] == [3, 3]
    assert left_out == dict.fromkeys(("people/3.jpg", "README.txt"), "the manifest does not name it")


def test_blanks_at_the_ends_of_a_folders_name_do_not_count(tmp_path: Path) -> None:
    for name in (" ada ", "ada", "eve_"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{len(name)}.jpg").write_bytes(b"one")
    entries, _ = load(tmp_path)
    assert {entry.person: {file.name for file in entry.files} for entry in entries} == {
        "ada": {"5.jpg", "3.jpg"},
        "eve_": {"4.jpg"},
    }
    assert [entry.fields for entry in entries] == [{"name": "ada"}, {"name": "eve"}]
