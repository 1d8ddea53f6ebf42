"""After an erasure, no file of the data folder has anything of the person: every byte of every file is read."""

from __future__ import annotations

import base64
import datetime as dt
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from serve_app.domain import (
    DEFAULT_TENANT,
    BulkPerson,
    CollectionPolicy,
    Consent,
    ImageStorage,
    NewCollection,
    NewFace,
    PersonFields,
)
from serve_app.gallery import Gallery, TenantStore, open_gallery
from serve_app.gallery.gallery import SCRUB_PERIOD_S
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.schema import persons
from serve_app.settings import Settings, StorageSettings
from tests.gallery.samples import CALIBRATIONS, MODEL, OTHER_MODEL, face, query, template

T = DEFAULT_TENANT
ADA, BEN = 1, 2
"""Seeds of the one who is erased and of one who stays."""

LATER = dt.timedelta(days=40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def gallery(folder: Path) -> Iterator[Gallery]:
    """A gallery on SQLite and milvus-lite in which Ben is enrolled."""
    with opened(folder) as gallery:
        yield gallery


@contextmanager
def opened(folder: Path, encryption_key: str = "") -> Iterator[Gallery]:
    storage = StorageSettings(encryption_key=SecretStr(encryption_key))
    with closing(open_gallery(Settings(data_dir=folder, storage=storage), CALIBRATIONS)) as gallery:
        if not gallery.collections(T).items:
            policy = CollectionPolicy(retention_days=30, keep_unknown_h=24)
            gallery.create_collection(T, NewCollection("staff", policy=policy))
            enrol(gallery, BEN)
        yield gallery


def whole(seed: int) -> NewFace:
    return face(seed, storage=ImageStorage.FULL, thumbnail=picture(seed, "small"), photograph=picture(seed, "large"))


def picture(seed: int, kind: str) -> bytes:
    return f"picture {kind} of {seed} zyxwv".encode()


def enrol(gallery: Gallery, seed: int, tenant: str = T, where: str = "staff") -> None:
    gallery.put_person(tenant, f"ext-{seed}-qwv", [where], texts(seed), [whole(seed)])


def texts(seed: int, **fields: object) -> PersonFields:
    named = {"name": f"Naïve Zebra{seed}quux", "notes": f"note{seed}xyzzy" * 300, "id_number": f"AB{seed}9988776"}
    return PersonFields(**named, metadata={"badge": f"badge{seed}plugh"}, **fields)  # type: ignore[arg-type]


def traces(folder: Path, seed: int) -> dict[str, bytes]:
    """What is stored of a person, as bytes that can be searched for; what the templates look like encrypted, too."""
    vector = template(seed)
    found = {
        "template": vector.tobytes(),
        "half of it": vector.tobytes()[256:],
        "template as float16": vector.astype(np.float16).tobytes(),
        "external id": f"ext-{seed}-qwv".encode(),
        "name": f"Zebra{seed}quux".encode(),
        "folded name": f"zebra{seed}quux".encode(),
        "notes": f"note{seed}xyzzy".encode(),
        "id number": f"AB{seed}9988776".encode(),
        "metadata": f"badge{seed}plugh".encode(),
        "thumbnail": picture(seed, "small"),
        "photograph": picture(seed, "large"),
    }
    with closing(sqlite3.connect(folder / "records.db")) as connection:
        found_persons = connection.execute("SELECT id FROM persons WHERE external_id = ?", [f"ext-{seed}-qwv"])
        for (person,) in found_persons.fetchall():
            rows = connection.execute("SELECT template FROM faces WHERE person_id = ?", [person])
            found |= {f"stored template {at}": stored for at, (stored,) in enumerate(rows)}
    return found


def left(folder: Path, searched: dict[str, bytes]) -> set[tuple[str, str]]:
    """Which of these bytes are in which files."""
    contents = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {
        (name, str(path.relative_to(folder)))
        for path, content in contents.items()
        for name, wanted in searched.items()
        if wanted in content
    }


@pytest.mark.parametrize("encryption_key", ["", base64.b64encode(b"k" * 32).decode()], ids=["plain", "encrypted"])
def test_nothing_of_an_erased_person_is_on_the_disk(folder: Path, encryption_key: str) -> None:
    with opened(folder, encryption_key) as gallery:
        enrol(gallery, ADA)
        ada, ben = traces(folder, ADA), traces(folder, BEN)
        gallery._index.maintain()
        assert {"name", "template", "external id", "stored template 0"} <= {name for name, _ in left(folder, ada)}
        assert gallery.delete_person(T, "ext-1-qwv").receipt is not None
        assert left(folder, ada), "the deletion alone leaves something, which the house-keeping has to remove"
        gallery._scrub_due = 0.0
        gallery.maintain()
        assert left(folder, ada) == set()
        assert {"name", "template", "external id"} <= {name for name, _ in left(folder, ben)}
        assert gallery.search(T, query(BEN, ADA)).matches[0][0].person.id == "ext-2-qwv"  # type: ignore[union-attr]
        assert gallery.search(T, query(ADA)).matches == ((),)


def test_nor_after_any_other_erasure(gallery: Gallery, folder: Path) -> None:
    other = TenantStore(gallery._database).create("other").id
    gallery.create_collection(other, NewCollection("staff"))
    for name in ("left", "also"):
        gallery.create_collection(T, NewCollection(name))
    gallery.put_person(T, "ext-2-qwv", ["also"], texts(BEN))
    for seed, where in ((10, "staff"), (11, "staff"), (12, "staff"), (13, "left")):
        enrol(gallery, seed, where=where)
    enrol(gallery, 14, tenant=other)
    (token,) = gallery.add_faces(T, [whole(15)])
    gallery.set_user_id(T, token.id, "Zebra15quux")
    gallery.attach_faces(T, "staff", [token.id])
    gallery.keep_unknown(T, "staff", [whole(16)])
    gallery._index.maintain()
    searched = {seed: traces(folder, seed) for seed in range(10, 17)}
    now = dt.datetime.now(dt.UTC)

    gallery.delete_person(T, "ext-10-qwv", "staff")  # from its last collection
    (stored,) = gallery.person(T, "ext-11-qwv").faces
    gallery.delete_face(T, stored.id)
    gallery.put_person(T, "ext-12-qwv", ["staff"], texts(12, consent=Consent("x", expires=now + dt.timedelta(days=1))))
    assert gallery.expire_persons(now + dt.timedelta(days=2)) == 1
    gallery.delete_collection(T, "left", only_if_empty=False)
    gallery.erase_tenant(other)
    gallery.discard_unknown(T, "staff")
    gallery.detach_faces(T, "staff", [token.id])
    assert gallery.expire_faces(now + LATER) == 1
    gallery.scrub()
    of_the_face = {"template", "half of it", "template as float16", "thumbnail", "photograph", "stored template 0"}
    searched[11] = {name: content for name, content in searched[11].items() if name in of_the_face}
    remains = {seed: left(folder, contents) for seed, contents in searched.items()}
    assert remains == {seed: set() for seed in searched}

    searched[11] = traces(folder, 11)
    assert gallery.expire_persons(now + LATER) >= 2, "the retention period of all others has ended"
    gallery.scrub()
    assert left(folder, searched[11]) == set()


def test_nor_of_uploads_and_their_reports(gallery: Gallery, folder: Path) -> None:
    task = gallery.begin_bulk(T, "staff", {})
    gallery.add_bulk(T, task.id, 0, [BulkPerson("ext-1-qwv", 1, picture(ADA, "large")), BulkPerson("p2", 1, b"other")])
    gallery.start_bulk(T, task.id)
    assert gallery.bulk_work("ab" * 16, 10) is not None
    enrol(gallery, ADA)
    outcome = {"files": ["Zebra1quux.jpg"], "status": "enrolled", "faces": 1, "errors": []}
    gallery.note_bulk("ab" * 16, task.id, {0: outcome, 1: outcome | {"files": ["other.jpg"]}})
    ada = traces(folder, ADA)
    gallery.delete_person(T, "ext-1-qwv")
    gallery.scrub()
    assert left(folder, ada) == set()
    assert [line["person"] for line in gallery.bulk_report(T, task.id).items] == ["p2"]


def test_nor_of_templates_by_another_embedder(gallery: Gallery, folder: Path) -> None:
    gallery.aim(MODEL)
    gallery.aim(OTHER_MODEL)
    second = template(77, dimension=64)
    gallery.put_person(T, "both", ["staff"], PersonFields(), [face(5, further={OTHER_MODEL: second})])
    gallery._index.maintain()
    searched = {"second template": second.tobytes(), "first template": template(5).tobytes()}
    assert {name for name, _ in left(folder, searched)} == set(searched)
    gallery.delete_person(T, "both")
    gallery.scrub()
    assert left(folder, searched) == set()


def test_the_next_start_removes_what_a_crash_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(folder) as gallery:
        enrol(gallery, ADA)
        gallery._index.maintain()
        ada = traces(folder, ADA)
        gallery.delete_person(T, "ext-1-qwv")
        crashed = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    for name, content in crashed.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    assert left(folder, ada)
    with opened(folder) as gallery:
        gallery._scrub_due = 0.0
        gallery.maintain()
        assert left(folder, ada) == set()


def test_sqlite_keeps_no_copy_in_pages_that_it_has_split(folder: Path) -> None:
    """``secure_delete`` overwrites a deleted row, but not the bytes that rows leave behind when their page is split."""
    chance = random.Random(1)
    gone: list[str] = []
    stay: list[str] = []
    folder.mkdir()
    database = Database(f"sqlite:///{folder / 'records.db'}")
    rows = sa.Table("rows", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), sa.Column("text", sa.Text))
    with closing(database), database.write() as connection:
        rows.create(connection)
        for _ in range(4000):
            if chance.random() < 0.55 or not stay:
                stay.append(chance.randbytes(16).hex())
                connection.execute(rows.insert().values(id=stay[-1], text=stay[-1] * chance.choice([1, 30])))
            else:
                gone.append(stay.pop(chance.randrange(len(stay))))
                connection.execute(rows.delete().where(rows.c.id == gone[-1]))
        connection.commit()
        assert database.scrub()
        content = (folder / "records.db").read_bytes()
    assert [text for text in gone if text.encode() in content] == []
    assert stay[0].encode() in content


def test_a_reader_delays_the_removal_and_no_writer(gallery: Gallery, folder: Path) -> None:
    enrol(gallery, ADA)
    ada = traces(folder, ADA)
    with gallery._database.read() as connection:
        connection.execute(sa.select(persons)).all()
        gallery.delete_person(T, "ext-1-qwv")
        gallery.scrub()
        assert left(folder, ada), "the reader may still read it"
        enrol(gallery, 3)
    assert gallery._scrub_due <= time.monotonic() + SCRUB_PERIOD_S
    gallery.scrub()
    assert left(folder, ada) == set()
