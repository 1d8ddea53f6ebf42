"""Export: writes an archive of the records at one moment, with the images that they refer to."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from serve_app import __version__
from serve_app.gallery.archive.container import ArchiveWriter
from serve_app.gallery.archive.rows import lines, to_json
from serve_app.gallery.blobs import KINDS, BlobStore
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import distinct_persons
from serve_app.gallery.sql.records.collections import UNKNOWNS_PREFIX
from serve_app.gallery.sql.schema import (
    api_keys,
    collections,
    erased,
    face_collections,
    faces,
    person_collections,
    persons,
    tenants,
    unknown_faces,
)

FORMAT = 1
PART_RECORDS = 100
PART_BYTES = 32 * 2**20
"""Numbers of records and of bytes of images after which a new part begins; the reader holds one part in memory."""

HEAD = {"erased": erased, "tenants": tenants, "keys": api_keys, "collections": collections}
"""Member name -> table that is written completely, before everything that refers to it."""


@dataclass
class Exported:
    """Numbers of what an archive has."""

    persons: int = 0
    faces: int = 0
    images: int = 0
    images_missing: int = 0


def export_archive(
    database: Database, blobs: BlobStore, archive: ArchiveWriter, progress: Callable[[int], None] | None = None
) -> Exported:
    """Write tenants, keys, collections, persons, faces, their images and tombstones to an archive.

    Unknowns, secondary templates, tasks and the audit log are left out. The service can run at the same time: all
    records are read from one snapshot. ``progress`` is called with the number of faces written. Raises
    StoreUnavailable.
    """
    done = Exported()
    with database.snapshot() as connection:
        manifest = {"format": FORMAT, "facegraph": __version__, "created": dt.datetime.now(dt.UTC).isoformat()}
        archive.add("manifest.json", json.dumps(manifest, indent=2).encode())
        for name, table in HEAD.items():
            archive.add(f"{name}.jsonl", lines(to_json(row, table) for row in connection.execute(_whole(table))))
        for number, (records, images) in enumerate(_parts(connection, blobs, done)):
            archive.add(f"people/{number:06}.jsonl", lines(records))
            for name, content in images:
                archive.add(f"images/{name}", content)
            if progress is not None:
                progress(done.faces)
    return done


def _whole(table: sa.Table) -> sa.Select[Any]:
    left_out = table.c.name.startswith(UNKNOWNS_PREFIX, autoescape=True) if table is collections else sa.false()
    return sa.select(table).where(~left_out)


Part = tuple[list[dict[str, Any]], list[tuple[str, bytes]]]


def _parts(connection: sa.Connection, blobs: BlobStore, done: Exported) -> Iterator[Part]:
    """Parts: records of one tenant with their images, bounded by the constants above."""
    for tenant in connection.execute(sa.select(tenants.c.id).order_by(tenants.c.id)).scalars().all():
        records: list[dict[str, Any]] = []
        images: list[tuple[str, bytes]] = []
        size = 0
        for record in _records(connection, tenant):
            for entry in record["faces"]:
                for name, content in _images(blobs, entry["face"], done):
                    images.append((name, content))
                    size += len(content)
            records.append(record)
            done.persons += "person" in record
            done.faces += len(record["faces"])
            if len(records) >= PART_RECORDS or size >= PART_BYTES:
                yield records, images
                records, images, size = [], [], 0
        if records:
            yield records, images


def _images(blobs: BlobStore, face: dict[str, Any], done: Exported) -> Iterator[tuple[str, bytes]]:
    for kind in KINDS:
        if not face[f"has_{kind}"]:
            continue
        content = blobs.read(face["tenant_id"], face["id"], kind)
        if content is None:
            done.images_missing += 1  # erased since the snapshot of the records
            continue
        done.images += 1
        yield f"{face['id']}.{kind}", content


def _records(connection: sa.Connection, tenant: str) -> Iterator[dict[str, Any]]:
    """The records of a tenant: ``{"person", "collections", "distinct", "faces": [{"face", "collections"}]}``.

    An unassigned face is a record with only ``faces``. ``distinct`` has the ids of those persons in earlier records
    that the person was marked as different from.
    """
    for rows in _pages(connection, sa.select(persons).where(persons.c.tenant_id == tenant), persons.c.id):
        ids = [row.id for row in rows]
        memberships = _grouped(connection, person_collections, person_collections.c.person_id, ids)
        distinct = distinct_persons.earlier(connection, ids)
        found = defaultdict(list)
        for row in connection.execute(sa.select(faces).where(faces.c.person_id.in_(ids)).order_by(faces.c.id)).all():
            found[row.person_id].append(row)
        entries = _with_collections(connection, [row for each in found.values() for row in each])
        for row in rows:
            yield {
                "person": to_json(row, persons),
                "collections": memberships[row.id],
                "distinct": distinct.get(row.id, []),
                "faces": [entries[face.id] for face in found[row.id]],
            }
    unassigned = sa.select(faces).where(
        faces.c.tenant_id == tenant,
        faces.c.person_id.is_(None),
        faces.c.id.not_in(sa.select(unknown_faces.c.face_id)),  # unknowns are only kept for hours, so they are left out
    )
    for rows in _pages(connection, unassigned, faces.c.id):
        for entry in _with_collections(connection, rows).values():
            yield {"faces": [entry]}


def _with_collections(connection: sa.Connection, rows: Sequence[sa.Row[Any]]) -> dict[str, dict[str, Any]]:
    memberships = _grouped(connection, face_collections, face_collections.c.face_id, [row.id for row in rows])
    return {row.id: {"face": to_json(row, faces), "collections": memberships[row.id]} for row in rows}


def _grouped(
    connection: sa.Connection, table: sa.Table, column: sa.Column[str], ids: Iterable[str]
) -> dict[str, list[str]]:
    found = defaultdict(list)
    for owner, collection_id in connection.execute(
        sa.select(column, table.c.collection_id).where(column.in_(list(ids))).order_by(table.c.collection_id)
    ):
        found[owner].append(collection_id)
    return found


def _pages(connection: sa.Connection, query: sa.Select[Any], key: sa.Column[str]) -> Iterator[Sequence[sa.Row[Any]]]:
    after = ""
    while rows := connection.execute(query.where(key > after).order_by(key).limit(PART_RECORDS)).all():
        yield rows
        after = rows[-1].id
