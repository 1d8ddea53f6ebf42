"""A database of every earlier schema version, with data, is upgraded and works."""

from __future__ import annotations

import base64
import datetime as dt
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import SecretStr

from serve_app.domain import DEFAULT_TENANT, NewCollection, NotedHead, PersonFields
from serve_app.gallery import open_gallery
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.sql import migrations
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.folding import folded
from serve_app.gallery.sql.records import audit_check
from serve_app.gallery.sql.records.faces import to_bytes
from serve_app.gallery.sql.schema import audit_log
from serve_app.settings import Settings, StorageSettings
from tests.gallery.samples import CALIBRATIONS, MODEL, face, query, template
from tests.gallery.stores import check_consistent

COLLECTION, PERSON, FACE = "c" * 32, "d" * 32, "e" * 32
WHEN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)

ROWS: dict[str, dict[str, Any]] = {
    "collections": {
        "id": COLLECTION,
        "name": "staff",
        "kind": "INTERNAL",
        "tags": [],
        "image_storage": "thumbnail",
        "liveness": False,
        "person_count": 1,
        "face_count": 1,
    },
    "persons": {
        "id": PERSON,
        "external_id": "p",
        "name": "Pia",
        "search_text": "p\npia nguyễn",
        "watch_list": [],
        "metadata": {"a": "b"},
    },
    "faces": {
        "id": FACE,
        "person_id": PERSON,
        "image_id": "f" * 32,
        "model": MODEL,
        "template": to_bytes(template(1)),
        "storage": "thumbnail",
        "has_thumbnail": True,
        "has_photograph": False,
    },
    "person_collections": {"collection_id": COLLECTION, "person_id": PERSON},
    "face_collections": {"collection_id": COLLECTION, "face_id": FACE},
}
"""Rows that every version stored. Columns that are not named are null where that is allowed, otherwise empty."""


def config() -> Config:
    made = Config()
    made.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return made


EARLIER = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()][1:]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
@pytest.mark.parametrize("revision", EARLIER)
def test_data_of_an_earlier_version(revision: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    storage = StorageSettings()
    if kind == "postgres":
        storage = StorageSettings(database_url=request.getfixturevalue("postgres").create_database())
    settings = Settings(data_dir=tmp_path, storage=storage)
    database = Database(settings.database_url)
    with database.write() as connection:
        older = config()
        older.attributes["connection"] = connection
        command.upgrade(older, revision)
        tables = sa.MetaData()
        tables.reflect(connection)
        for name, values in ROWS.items():
            stored = values
            if revision >= "0013" and "search_text" in values:  # folded since then
                stored = values | {"search_text": folded(values["search_text"])}
            connection.execute(tables.tables[name].insert().values(row(tables.tables[name], stored)))
    database.close()
    BlobStore(settings.blobs_url).write(DEFAULT_TENANT, FACE, "thumbnail", b"thumbnail")

    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        check_consistent(gallery)
        person = gallery.person(DEFAULT_TENANT, "p")
        assert (person.name, person.collections, dict(person.metadata)) == ("Pia", ("staff",), {"a": "b"})
        assert gallery.persons(DEFAULT_TENANT, q="NGUYEN").items == (person,)
        assert gallery.face_image(DEFAULT_TENANT, FACE, "thumbnail") == b"thumbnail"
        assert gallery.search(DEFAULT_TENANT, query(1)).matches[0][0].person == person
        gallery.put_person(DEFAULT_TENANT, "p", ["staff"], PersonFields(name="Pia B."), [face(2)])
        gallery.delete_person(DEFAULT_TENANT, "p")
        check_consistent(gallery)
        assert gallery.check_audit(DEFAULT_TENANT).broken is None


@pytest.mark.parametrize("encryption_key", ["", base64.b64encode(b"k" * 32).decode()])
@pytest.mark.parametrize("first", [1, 4])
def test_an_audit_log_of_a_version_that_did_not_sign_it(tmp_path: Path, first: int, encryption_key: str) -> None:
    """It is taken as it is, also if that version had erased its oldest entries; what is cut off later is found."""
    settings = Settings(data_dir=tmp_path, storage=StorageSettings(encryption_key=SecretStr(encryption_key)))
    database = Database(settings.database_url)
    with database.write() as connection:
        older = config()
        older.attributes["connection"] = connection
        command.upgrade(older, "0014")
        tables = sa.MetaData()
        tables.reflect(connection)
        previous = ""
        for sequence in range(1, 7):
            facts = {"chain": DEFAULT_TENANT, "sequence": sequence, "time": WHEN, "actor": "key:k", "action": "search"}
            facts |= {"subjects": [], "collections": [], "details": {"faces": 1}, "previous": previous}
            previous = audit_check.digest(facts)
            if sequence >= first:
                connection.execute(tables.tables["audit_log"].insert().values(**facts, hash=previous))
        head = {"chain": DEFAULT_TENANT, "sequence": 6, "hash": previous}
        connection.execute(tables.tables["audit_heads"].insert().values(head))
    database.close()

    with closing(open_gallery(settings, CALIBRATIONS)) as gallery:
        check = gallery.check_audit(DEFAULT_TENANT, previous)
        assert (check.broken, check.entries) == (None, 6 if first == 1 else 4)
        assert check.noted == NotedHead(True, 6, 0 if first == 1 else 1)
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        assert gallery.check_audit(DEFAULT_TENANT).broken is None
        with gallery._database.write() as connection:
            connection.execute(audit_log.delete().where(audit_log.c.sequence == first))
        assert gallery.check_audit(DEFAULT_TENANT).broken == first


def row(table: sa.Table, values: dict[str, Any]) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for column in table.c:
        if column.name in values:
            filled[column.name] = values[column.name]
        elif column.name == "tenant_id":
            filled[column.name] = DEFAULT_TENANT
        elif column.name in ("created", "modified"):
            filled[column.name] = WHEN
        elif not column.nullable and column.server_default is None:
            filled[column.name] = column.type.python_type()
    return filled
