"""Import: adds the content of an archive to a gallery.

Nothing that exists is changed, and nothing that was erased is brought back. Every part of the archive is one write
(:mod:`serve_app.gallery.writes.writer`): records, index and images are written together or not at all. If an import was
interrupted, run it again; it skips what it has already added.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pydantic_core
import sqlalchemy as sa

from serve_app.errors import ConfigurationError
from serve_app.gallery.archive.container import ArchiveDamaged, ArchiveReader
from serve_app.gallery.archive.exporting import FORMAT
from serve_app.gallery.archive.rows import from_json, records
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.database import Database, LostRace
from serve_app.gallery.sql.records import collections as collection_records
from serve_app.gallery.sql.records import distinct_persons
from serve_app.gallery.sql.records.changes import Changes, Membership, erased_among
from serve_app.gallery.sql.records.faces import to_vector
from serve_app.gallery.sql.records.statements import rows_in
from serve_app.gallery.sql.schema import api_keys, collections, erased, faces, persons, tenants
from serve_app.gallery.writes.writer import Plan, Planned, Writer


@dataclass
class Imported:
    """Result of an import.

    Attributes:
        persons, faces, images: numbers of those added.
        kept: number of persons who existed already and were not changed.
        erased: number of persons skipped because they were erased after the export.
        models: number of faces added, by embedder.
        without_image: by embedder, ids of persons (or of unassigned faces) with faces that have no stored crop, so that
            another embedder cannot embed them.
    """

    persons: int = 0
    faces: int = 0
    images: int = 0
    kept: int = 0
    erased: int = 0
    models: dict[str, int] = field(default_factory=dict)
    without_image: dict[str, list[str]] = field(default_factory=dict)


class FaceImages(NamedTuple):
    """Images of one face; the fields are the kinds."""

    thumbnail: bytes | None = None
    photograph: bytes | None = None


def import_archive(
    database: Database,
    writer: Writer,
    archive: ArchiveReader,
    with_keys: bool = False,
    progress: Callable[[Imported], None] | None = None,
) -> Imported:
    """Add everything in the archive that does not exist here and was not erased here.

    Args:
        with_keys: add API keys too, also those that were revoked after the export. Installed keys, which the operator
            sets at a start, are never added.
        progress: called after each part.

    Raises:
        ArchiveDamaged: parts before the damage have been added by then. To prevent that, check the archive before: read
            all members once.
        ConfigurationError: a newer version wrote the archive.
        StoreUnavailable.
    """
    return _Import(database, writer, with_keys, progress or (lambda _: None)).run(archive)


@dataclass
class _Import:
    _database: Database
    _writer: Writer
    _with_keys: bool
    _progress: Callable[[Imported], None]
    _done: Imported = field(default_factory=Imported)
    _tenants: dict[str, str] = field(default_factory=dict)  # id in the archive -> id here
    _collections: dict[str, str] = field(default_factory=dict)
    _part: list[dict[str, Any]] = field(default_factory=list)
    _images: dict[str, FaceImages] = field(default_factory=dict)

    def run(self, archive: ArchiveReader) -> Imported:
        for name, content in archive.members():
            folder, _, rest = name.partition("/")
            if folder == "images":
                face_id, _, kind = rest.partition(".")
                if kind not in FaceImages._fields:
                    raise ArchiveDamaged(f"The archive has an image of an unknown kind: {kind[:20]!r}.")
                self._images[face_id] = self._images.get(face_id, FaceImages())._replace(**{kind: content})
                continue
            self._add_part()
            if folder == "people":
                self._part = list(records(content))
            elif name == "manifest.json":
                _check_format(content)
            else:
                self._add_table(name.removesuffix(".jsonl"), content)
        self._add_part()
        return self._done

    def _add_table(self, name: str, content: bytes) -> None:
        readers = {
            "erased": self._add_tombstones,
            "tenants": self._add_tenants,
            "keys": self._add_keys,
            "collections": self._add_collections,
        }
        if name not in readers:
            raise ConfigurationError(f"The archive has a part that this version does not know: {name}.")
        rows = list(records(content))
        self._database.transact(lambda c: readers[name](c, rows))

    def _add_tombstones(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        # They keep the tenant ids of the archive, which can differ here; ids of erased things are the same everywhere.
        known = erased_among(connection, (row["id"] for row in rows))
        _insert(connection, erased, [from_json(row, erased) for row in rows if row["id"] not in known])

    def _add_tenants(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        present = {row.name: row.id for row in connection.execute(sa.select(tenants.c.name, tenants.c.id))}
        _insert(connection, tenants, [from_json(row, tenants) for row in rows if row["name"] not in present])
        self._tenants = {row["id"]: present.get(row["name"], row["id"]) for row in rows}
        for tenant in self._tenants.values():
            collection_records.make_pool(connection, tenant)

    def _add_keys(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        if not self._with_keys:
            return
        present = set(connection.execute(sa.select(api_keys.c.digest)).scalars())
        new = [from_json(row, api_keys) for row in rows if not row["installed"] and row["digest"] not in present]
        _insert(connection, api_keys, [{**row, "tenant_id": self._tenants[row["tenant_id"]]} for row in new])

    def _add_collections(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        self._collections = {}
        erased_ids = erased_among(connection, (row["id"] for row in rows))
        query = sa.select(collections.c.tenant_id, collections.c.name, collections.c.id)
        present = {(row.tenant_id, row.name): row.id for row in connection.execute(query)}
        for row in rows:
            tenant = self._tenants[row["tenant_id"]]
            existing = present.get((tenant, row["name"]))
            if existing is None and row["id"] not in erased_ids:
                existing = row["id"]
                fresh = {"tenant_id": tenant, "person_count": 0, "face_count": 0}
                _insert(connection, collections, [from_json(row, collections) | fresh])
            if existing is not None:
                self._collections[row["id"]] = existing

    def _add_part(self) -> None:
        part, images, self._part, self._images = self._part, self._images, [], {}
        if not part:
            return
        owner = part[0].get("person") or part[0]["faces"][0]["face"]
        tenant = self._tenants[owner["tenant_id"]]
        with self._database.read() as connection:
            chosen = {row["id"] for row in self._changes(connection, tenant, part, images)[0].insert_faces}
        wanted = {face_id: face_images for face_id, face_images in images.items() if face_id in chosen}
        added = self._writer.run(self._plan(tenant, part, images, chosen), images=wanted)
        self._count(added, wanted)
        self._progress(self._done)

    def _plan(
        self, tenant: str, part: list[dict[str, Any]], images: Mapping[str, FaceImages], chosen: set[str]
    ) -> Plan[tuple[Changes, int, int]]:
        def plan(connection: sa.Connection) -> Planned[tuple[Changes, int, int]]:
            changes, kept, erased_persons = self._changes(connection, tenant, part, images)
            if {row["id"] for row in changes.insert_faces} != chosen:
                raise LostRace("The gallery changed during the import; run it again.")

            def finish(connection: sa.Connection) -> tuple[Changes, int, int]:
                distinct = [(each["person"]["id"], other) for each in part for other in each.get("distinct", ())]
                distinct_persons.put(connection, tenant, distinct)
                return changes, kept, erased_persons

            return changes, finish

        return plan

    def _changes(
        self, connection: sa.Connection, tenant: str, part: list[dict[str, Any]], images: Mapping[str, FaceImages]
    ) -> tuple[Changes, int, int]:
        """What to write of a part, and the numbers of persons who exist already and who were erased."""
        people = [record["person"] for record in part if "person" in record]
        entries = [entry["face"] for record in part for entry in record["faces"]]
        ids = [each["id"] for each in (*people, *entries)]
        erased_ids = erased_among(connection, ids)
        existing = _existing(connection, persons.c.id, ids) | _existing(connection, faces.c.id, ids)
        here = persons.c.tenant_id == tenant
        taken_names = _existing(connection, persons.c.external_id, (person["external_id"] for person in people), here)
        pool = collection_records.get_pool(connection, tenant).id
        changes, kept, erased_persons = Changes(tenant, "import"), 0, 0
        for record in part:
            person = record.get("person")
            if person is not None:
                if person["id"] in erased_ids:
                    erased_persons += 1
                    continue
                if person["id"] in existing or person["external_id"] in taken_names:
                    kept += 1
                    continue
                changes.insert_persons.append(from_json(person, persons) | {"tenant_id": tenant})
                ids_here = self._collection_ids(record["collections"]) or [pool]
                changes.joins += [Membership(id_, person["id"]) for id_ in ids_here]
            for entry in record["faces"]:
                if entry["face"]["id"] not in erased_ids | existing:
                    ids_here = self._collection_ids(entry["collections"]) or ([pool] if person is not None else [])
                    _add_face(changes, entry["face"], ids_here, images.get(entry["face"]["id"], FaceImages()))
        return changes, kept, erased_persons

    def _collection_ids(self, archived: Iterable[str]) -> list[str]:
        return [self._collections[id_] for id_ in archived if id_ in self._collections]

    def _count(self, added: tuple[Changes, int, int], images: Mapping[str, FaceImages]) -> None:
        changes, kept, erased_persons = added
        done = self._done
        done.persons += len(changes.insert_persons)
        done.faces += len(changes.insert_faces)
        done.images += sum(image is not None for face_images in images.values() for image in face_images)
        done.kept += kept
        done.erased += erased_persons
        names = {row["id"]: row["external_id"] for row in changes.insert_persons}
        for row in changes.insert_faces:
            model = row["model"]
            done.models[model] = done.models.get(model, 0) + 1
            if not row["has_thumbnail"]:
                lacking = done.without_image.setdefault(model, [])
                name = names.get(row["person_id"], row["id"])
                if not lacking or lacking[-1] != name:
                    lacking.append(name)


def _add_face(changes: Changes, face: Mapping[str, Any], collection_ids: list[str], images: FaceImages) -> None:
    row = from_json(face, faces)
    if row["expires"] is not None and row["expires"] <= dt.datetime.now(dt.UTC):
        return
    row |= {
        "tenant_id": changes.tenant,
        "has_thumbnail": images.thumbnail is not None,
        "has_photograph": images.photograph is not None,
    }
    changes.insert_faces.append(row)
    vector = to_vector(row["template"])
    changes.attach[row["model"]] += [IndexRow(RowKey(id_, row["id"]), vector) for id_ in collection_ids]


def _check_format(content: bytes) -> None:
    manifest = pydantic_core.from_json(content)
    if manifest.get("format") != FORMAT:
        raise ConfigurationError(
            f"The archive was written by facegraph {manifest.get('facegraph')} in the format "
            f"{manifest.get('format')!r}; this version reads the format {FORMAT}."
        )


def _existing(
    connection: sa.Connection, column: sa.Column[str], values: Iterable[str], *conditions: sa.ColumnElement[bool]
) -> set[str]:
    return {row[0] for row in rows_in(connection, sa.select(column).where(*conditions), column, values)}


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)
