"""Separate galleries for tests that damage them, and a check that all stores agree."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from serve_app.gallery import Gallery, open_gallery
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import RowKey, VectorIndex
from serve_app.gallery.index.milvus_lite import LiteIndex
from serve_app.gallery.index_move.dual_write_index import DualWriteIndex
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import audit_chain, faces
from serve_app.gallery.sql.schema import collections, face_collections, index_journal, person_collections
from serve_app.gallery.tenants import installation_id
from serve_app.settings import Settings
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.copies import migrated_records
from tests.gallery.samples import CALIBRATIONS


@contextmanager
def embedded(folder: Path) -> Iterator[Gallery]:
    """A gallery on SQLite and milvus-lite in a folder."""
    gallery = open_gallery(Settings(data_dir=folder), CALIBRATIONS)
    try:
        yield gallery
    finally:
        gallery.close()


@contextmanager
def in_memory(folder: Path, index: VectorIndex | None = None) -> Iterator[Gallery]:
    """SQLite in a folder and an index in memory."""
    records = folder / "records.db"
    new = not records.exists()
    if new:
        folder.mkdir(parents=True, exist_ok=True)
        records.write_bytes(migrated_records())
        with closing(sqlite3.connect(records)) as connection, connection:
            connection.execute("UPDATE installation SET id = ?", [uuid.uuid4().hex])
    database = Database(f"sqlite:///{records}")
    if new:
        database.transact(lambda c: audit_chain.begin(c, installation_id(c)))
    gallery = Gallery(
        database, index or MemoryIndex(), BlobStore(f"file://{folder / 'blobs'}"), CALIBRATIONS, alone=True
    )
    try:
        yield gallery
    finally:
        gallery.close()


def check_consistent(gallery: Gallery) -> None:
    """Check that counts equal memberships, the index has their rows only, the journal is empty, no image is stray."""
    with gallery._database.read() as connection:
        for table, column in (
            (person_collections, collections.c.person_count),
            (face_collections, collections.c.face_count),
        ):
            query = (
                sa.select(collections.c.name, column, sa.func.count(table.c.collection_id))
                .outerjoin(table, table.c.collection_id == collections.c.id)
                .group_by(collections.c.id, collections.c.name, column)
            )
            for name, count, really in connection.execute(query):
                assert count == really, f"{name} claims {count} in {table.name}, has {really}"
        assert connection.execute(sa.select(sa.func.count()).select_from(index_journal)).scalar_one() == 0
        models = {*faces.models(connection), *gallery._index.models()}
        expected: dict[str, set[RowKey]] = {model: set(faces.all_memberships(connection, model)) for model in models}
        ids = set(connection.execute(sa.select(faces.faces.c.id)).scalars())
    index = gallery._index.layout.current if isinstance(gallery._index, DualWriteIndex) else gallery._index
    if isinstance(index, LiteIndex):
        followed = {model: set(index.keys(model)) for model in models}
        index._flat_rows.forget()  # so that the rows of the store itself are read now
        assert followed == {model: set(index.keys(model)) for model in models}, (
            "the rows in memory differ from those of the store"
        )
    for model in models:
        present = set(gallery._index.keys(model))
        missing, stray = sorted(expected[model] - present), sorted(present - expected[model])
        assert not missing, f"the index lacks {missing}"
        assert not stray, f"the index has stray {stray}"
    images = [path for path in Path(gallery._blobs._root).rglob("*") if path.is_file()]
    assert {path.name.split(".")[0] for path in images} <= ids
