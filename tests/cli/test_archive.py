"""``facegraph export`` and ``facegraph import`` on a data folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from tests.cli.conftest import facegraph
from tests.gallery.samples import face
from tests.gallery.stores import embedded


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    with embedded(folder) as gallery:
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        gallery.put_person(DEFAULT_TENANT, "p", ["staff"], PersonFields(name="Pia"), [face(1)])
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(folder))
    return folder


def test_a_backup_and_its_restore(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a long secret\n")
    file = tmp_path / "backup.fg"
    done = facegraph("export", str(file), "--passphrase-file", str(passphrase))
    assert done.exit_code == 0, done.output
    assert "1 persons, 1 faces and 1 images" in done.stderr
    assert b"Pia" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0

    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "new"))
    refused = facegraph("import", str(file))
    assert (refused.exit_code, "encrypted" in refused.stderr) == (2, True)
    monkeypatch.setenv("FACEGRAPH_EXPORT_PASSPHRASE", "wrong")
    refused = facegraph("import", str(file))
    assert (refused.exit_code, "passphrase" in refused.stderr) == (2, True)
    assert not (tmp_path / "new").exists(), "a refused archive leaves nothing"
    monkeypatch.setenv("FACEGRAPH_EXPORT_PASSPHRASE", "a long secret")
    done = facegraph("import", str(file))
    assert done.exit_code == 0, done.output
    again = facegraph("import", str(file))
    assert "1 persons were there already" in again.stderr
    with embedded(tmp_path / "new") as gallery:
        assert gallery.person(DEFAULT_TENANT, "p").name == "Pia"


@pytest.mark.parametrize("passphrase", ["", "a long secret"])
def test_a_malformed_archive_is_refused_in_a_sentence_and_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str
) -> None:
    if passphrase:
        monkeypatch.setenv("FACEGRAPH_EXPORT_PASSPHRASE", passphrase)
    with embedded(data) as gallery, gallery._database.write() as connection:
        damaged = np.full(128, 100, "<f4").tobytes()
        connection.execute(sa.text("UPDATE faces SET template = :damaged"), {"damaged": damaged})
        connection.execute(sa.text("UPDATE persons SET name = :name"), {"name": "Pia\x1b[31m"})
    file = tmp_path / "backup.fg"
    assert facegraph("export", str(file)).exit_code == 0
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "new"))
    refused = facegraph("import", str(file))
    assert refused.exit_code == 2
    assert isinstance(refused.exception, SystemExit)
    said = " ".join(refused.stderr.split())
    assert "people/000000.jsonl, line 1: faces.0.face.template: a template of norm 1 was expected" in said
    assert "people/000000.jsonl, line 1: person.name: control characters are not allowed" in said
    assert "Pia" not in said
    assert not (tmp_path / "new").exists()


def test_a_passphrase_with_a_line_break_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_EXPORT_PASSPHRASE", "a long secret\n")
    refused = facegraph("export", str(tmp_path / "backup.tar"))
    assert (refused.exit_code, "ends with a blank or a line break" in refused.stderr) == (2, True)
    assert list(tmp_path.glob("*backup*")) == []


def test_an_export_without_a_passphrase_says_so(data: Path, tmp_path: Path) -> None:
    done = facegraph("export", str(tmp_path / "backup.tar"))
    assert "not encrypted" in done.stderr
    assert [path.name for path in tmp_path.glob("*backup*")] == ["backup.tar"]


def test_another_embedders_faces_are_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded(data) as gallery:
        old = face(2, model="older-model", thumbnail=None)
        gallery.put_person(DEFAULT_TENANT, "q", ["staff"], PersonFields(), [old])
    facegraph("export", str(tmp_path / "backup.tar"))
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "new"))
    done = facegraph("import", str(tmp_path / "backup.tar"))
    assert "1 faces have templates of older-model" in done.stderr
    assert "to be enrolled again: q" in done.stderr


def test_there_must_be_something_to_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "absent"))
    done = facegraph("export", str(tmp_path / "backup.tar"))
    assert (done.exit_code, "no database" in done.stderr) == (2, True)


def test_an_export_replaces_regular_files_only(data: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = facegraph("export", str(tmp_path / "pipe"))
    assert done.exit_code == 2
    assert "not a regular file" in " ".join(done.stderr.split())
    assert not (tmp_path / "pipe").is_file()
