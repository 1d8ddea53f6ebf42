"""Import: adds the content of an archive to a gallery.

The whole archive is checked before anything is added (:mod:`.checking`). Nothing that exists is changed, and nothing
that was erased is brought back. Every part of the archive is one write
(:mod:`serve_app.gallery.writes.writer`): records, index and images are written together or not at all. If an import was
interrupted, run it again; it skips what it has already added.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import sqlalchemy as sa

from serve_app.gallery.archive.checking import Contents, FaceImages, Head, Part, check_archive
from serve_app.gallery.archive.container import ArchiveDamaged, ArchiveReader
from serve_app.gallery.archive.contents import Collection, Erased, FaceRow, Key, Tenant
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.database import Database, LostRace
from serve_app.gallery.sql.records import collections as collection_records
from serve_app.gallery.sql.records import distinct_persons
from serve_app.gallery.sql.records.changes import Changes, Membership, erased_among
from serve_app.gallery.sql.records.faces import dimension, models, to_vector
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


def import_archive(
    database: Database,
    writer: Writer,
    archive: ArchiveReader,
    with_keys: bool = False,
    progress: Callable[[Imported], None] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> Imported:
    """Add everything in the archive that does not exist here and was not erased here.

    Args:
        with_keys: add API keys too, also those that were revoked after the export. Installed keys, which the operator
            sets at a start, are never added.
        progress: called after each part.
        sizes: as for :func:`~.checking.check_archive`; those of the faces here are added.

    Raises:
        ArchiveDamaged, ConfigurationError: as :func:`~.checking.check_archive`, which comes first; or
            something else here has an id of the archive. Nothing was added.
        StoreUnavailable.
    """
    with database.read() as connection:
        present = {model: size for model in models(connection) if (size := dimension(connection, model)) is not None}
    sizes = {**present, **(sizes or {})}
    check_archive(archive, sizes)
    return _Import(database, writer, with_keys, progress or (lambda _: None)).run(Contents(archive, sizes))


@dataclass
class _Import:
    _database: Database
    _writer: Writer
    _with_keys: bool
    _progress: Callable[[Imported], None]
    _done: Imported = field(default_factory=Imported)
    _tenants: dict[str, str] = field(default_factory=dict)  # id in the archive -> id here
    _collections: dict[str, str] = field(default_factory=dict)

    def run(self, contents: Contents) -> Imported:
        for part in contents.parts():
            contents.settle()
            if isinstance(part, Part):
                self._add_part(part)
            else:
                self._database.transact(partial(self._add_head, head=part))
        return self._done

    def _add_head(self, connection: sa.Connection, head: Head) -> None:
        self._add_tombstones(connection, head.get("erased", []))
        self._add_tenants(connection, head.get("tenants", []))
        if self._with_keys:
            self._add_keys(connection, head.get("keys", []))
        self._add_collections(connection, head.get("collections", []))

    def _add_tombstones(self, connection: sa.Connection, rows: list[Erased]) -> None:
        # They keep the tenant ids of the archive, which can differ here; ids of erased things are the same everywhere.
        known = erased_among(connection, (row.id for row in rows))
        _insert(connection, erased, [row.columns() for row in rows if row.id not in known])

    def _add_tenants(self, connection: sa.Connection, rows: list[Tenant]) -> None:
        present = {row.name: row.id for row in connection.execute(sa.select(tenants.c.name, tenants.c.id))}
        new = [row for row in rows if row.name not in present]
        _refuse({row.id for row in new} & set(present.values()), "tenant")
        _insert(connection, tenants, [row.columns() for row in new])
        self._tenants = {row.id: present.get(row.name, row.id) for row in rows}
        for tenant in self._tenants.values():
            collection_records.make_pool(connection, tenant)

    def _add_keys(self, connection: sa.Connection, rows: list[Key]) -> None:
        present = {row.digest: row.id for row in connection.execute(sa.select(api_keys.c.digest, api_keys.c.id))}
        new = [row for row in rows if not row.installed and row.digest not in present]
        _refuse({row.id for row in new} & set(present.values()), "API key")
        _insert(connection, api_keys, [{**row.columns(), "tenant_id": self._tenants[row.tenant_id]} for row in new])

    def _add_collections(self, connection: sa.Connection, rows: list[Collection]) -> None:
        self._collections = {}
        erased_ids = erased_among(connection, (row.id for row in rows))
        query = sa.select(collections.c.tenant_id, collections.c.name, collections.c.id)
        present = {(row.tenant_id, row.name): row.id for row in connection.execute(query)}
        tenant_of = {id_: tenant for (tenant, _), id_ in present.items()}
        for row in rows:
            tenant = self._tenants[row.tenant_id]
            existing = present.get((tenant, row.name))
            if existing is None and row.id in tenant_of:  # it was given another name since the export
                _refuse({row.id} if tenant_of[row.id] != tenant else set(), "collection")
                existing = row.id
            elif existing is None and row.id not in erased_ids:
                existing = row.id
                _insert(connection, collections, [{**row.columns(), "tenant_id": tenant}])
            if existing is not None:
                self._collections[row.id] = existing

    def _add_part(self, part: Part) -> None:
        if not part.persons:
            return
        tenant = self._tenants[part.persons[0].tenant_id]
        with self._database.read() as connection:
            chosen = {row["id"] for row in self._changes(connection, tenant, part)[0].insert_faces}
        wanted = {face_id: face_images for face_id, face_images in part.images.items() if face_id in chosen}
        added = self._writer.run(self._plan(tenant, part, chosen), images=wanted)
        self._count(added, wanted)
        self._progress(self._done)

    def _plan(self, tenant: str, part: Part, chosen: set[str]) -> Plan[tuple[Changes, int, int]]:
        def plan(connection: sa.Connection) -> Planned[tuple[Changes, int, int]]:
            changes, kept, erased_persons = self._changes(connection, tenant, part)
            if {row["id"] for row in changes.insert_faces} != chosen:
                raise LostRace("The gallery changed during the import; run it again.")

            def finish(connection: sa.Connection) -> tuple[Changes, int, int]:
                people = [each for each in part.persons if each.person is not None]
                distinct = [(each.person.id, other) for each in people for other in each.distinct if each.person]
                distinct_persons.put(connection, tenant, distinct)
                return changes, kept, erased_persons

            return changes, finish

        return plan

    def _changes(self, connection: sa.Connection, tenant: str, part: Part) -> tuple[Changes, int, int]:
        """What to write of a part, and the numbers of persons who exist already and who were erased."""
        people = [record.person for record in part.persons if record.person is not None]
        ids = [*(person.id for person in people), *part.images]
        erased_ids = erased_among(connection, ids)
        existing = _existing(connection, persons.c.id, ids) | _existing(connection, faces.c.id, ids)
        here = persons.c.tenant_id == tenant
        taken_names = _existing(connection, persons.c.external_id, (person.external_id for person in people), here)
        pool = collection_records.get_pool(connection, tenant).id
        changes, kept, erased_persons = Changes(tenant, "import"), 0, 0
        for record in part.persons:
            person = record.person
            if person is not None:
                if person.id in erased_ids:
                    erased_persons += 1
                    continue
                if person.id in existing or person.external_id in taken_names:
                    kept += 1
                    continue
                changes.insert_persons.append({**person.columns(), "tenant_id": tenant})
                ids_here = self._collection_ids(record.collections) or [pool]
                changes.joins += [Membership(id_, person.id) for id_ in ids_here]
            for entry in record.faces:
                if entry.face.id not in erased_ids | existing:
                    ids_here = self._collection_ids(entry.collections) or ([pool] if person is not None else [])
                    _add_face(changes, entry.face, ids_here, part.images[entry.face.id])
        return changes, kept, erased_persons

    def _collection_ids(self, archived: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(self._collections[id_] for id_ in archived if id_ in self._collections))

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


def _add_face(changes: Changes, face: FaceRow, collection_ids: list[str], images: FaceImages) -> None:
    if face.expires is not None and face.expires <= dt.datetime.now(dt.UTC):
        return
    has = {f"has_{kind}": image is not None for kind, image in images._asdict().items()}
    changes.insert_faces.append({**face.columns(), "tenant_id": changes.tenant, **has})
    vector = to_vector(face.template)
    changes.attach[face.model] += [IndexRow(RowKey(id_, face.id), vector) for id_ in collection_ids]


def _refuse(ids: set[str], what: str) -> None:
    if ids:
        raise ArchiveDamaged(f"The archive has a {what} with the id {min(ids)}, which is another {what} here.")


def _existing(
    connection: sa.Connection, column: sa.Column[str], values: Iterable[str], *conditions: sa.ColumnElement[bool]
) -> set[str]:
    return {row[0] for row in rows_in(connection, sa.select(column).where(*conditions), column, values)}


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)
