"""Reading an archive into a gallery, beside what is there: nothing that exists is changed, nothing erased comes back.

Every part is one write like any other (:mod:`serve_app.gallery.writes.writer`): records, index and images together or
not at all. An import that was cut off is begun again; it leaves out what it has already brought.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from serve_app.errors import ConfigurationError
from serve_app.gallery.archive.container import ArchiveDamaged, ArchiveReader
from serve_app.gallery.archive.exporting import FORMAT
from serve_app.gallery.archive.rows import from_json, records
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.database import Database, LostRace
from serve_app.gallery.sql.records import collections as collection_records
from serve_app.gallery.sql.records import distinct_persons, tombstones
from serve_app.gallery.sql.records.changes import Changes, Membership
from serve_app.gallery.sql.records.faces import batches, to_vector
from serve_app.gallery.sql.schema import api_keys, collections, erased, faces, persons, tenants
from serve_app.gallery.writes.writer import Plan, Writer


@dataclass
class Imported:
    """What an import did.

    Attributes:
        persons, faces, images: brought.
        kept: persons who were there already and stay as they are.
        erased: persons left out because they were erased after the archive was made.
        models: faces brought of each embedder.
        without_image: ids of persons, by embedder, some of whose faces have no image to embed them anew from.
    """

    persons: int = 0
    faces: int = 0
    images: int = 0
    kept: int = 0
    erased: int = 0
    models: dict[str, int] = field(default_factory=dict)
    without_image: dict[str, list[str]] = field(default_factory=dict)


class Pictures(NamedTuple):
    """Images of one face."""

    thumbnail: bytes | None = None
    photograph: bytes | None = None


def import_archive(
    database: Database,
    writer: Writer,
    archive: ArchiveReader,
    with_keys: bool = False,
    progress: Callable[[Imported], None] | None = None,
) -> Imported:
    """Bring everything in the archive that is not there and was not erased.

    Args:
        with_keys: API keys too, also those that were revoked since. The admin key of a start is never brought.

    Raises:
        ArchiveDamaged: check an archive first (read all members once) to be sure that nothing is brought of it.
        ConfigurationError: a newer version wrote it.
        StoreUnavailable.
    """
    return _Import(database, writer, with_keys, progress or (lambda _: None)).run(archive)


class _Import:
    def __init__(
        self, database: Database, writer: Writer, with_keys: bool, progress: Callable[[Imported], None]
    ) -> None:
        self._database = database
        self._writer = writer
        self._with_keys = with_keys
        self._progress = progress
        self._done = Imported()
        self._tenants: dict[str, str] = {}  # id in the archive -> id here
        self._collections: dict[str, str] = {}
        self._part: list[dict[str, Any]] = []
        self._images: dict[str, Pictures] = {}

    def run(self, archive: ArchiveReader) -> Imported:
        for name, content in archive.members():
            folder, _, rest = name.partition("/")
            if folder == "images":
                face_id, _, kind = rest.partition(".")
                if kind not in Pictures._fields:
                    raise ArchiveDamaged(f"The archive holds an image of a kind that is unknown: {kind[:20]!r}.")
                self._images[face_id] = self._images.get(face_id, Pictures())._replace(**{kind: content})
                continue
            self._bring()
            if folder == "people":
                self._part = list(records(content))
            elif name == "manifest.json":
                _check_format(content)
            else:
                self._head(name.removesuffix(".jsonl"), content)
        self._bring()
        return self._done

    def _head(self, name: str, content: bytes) -> None:
        readers = {
            "erased": self._take_erased,
            "tenants": self._take_tenants,
            "keys": self._take_keys,
            "collections": self._take_collections,
        }
        if name not in readers:
            raise ConfigurationError(f"The archive has a part that this version does not know: {name}.")
        rows = list(records(content))
        self._database.transact(lambda connection: readers[name](connection, rows))

    def _take_erased(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        # Of the archive's tenants, whose ids may differ here; the ids of what was erased do not.
        known = tombstones.among(connection, (row["id"] for row in rows))
        _insert(connection, erased, [from_json(row, erased) for row in rows if row["id"] not in known])

    def _take_tenants(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        present = {row.name: row.id for row in connection.execute(sa.select(tenants.c.name, tenants.c.id))}
        _insert(connection, tenants, [from_json(row, tenants) for row in rows if row["name"] not in present])
        self._tenants = {row["id"]: present.get(row["name"], row["id"]) for row in rows}
        for tenant in self._tenants.values():
            collection_records.make_pool(connection, tenant)

    def _take_keys(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        if not self._with_keys:
            return
        present = set(connection.execute(sa.select(api_keys.c.digest)).scalars())
        new = [from_json(row, api_keys) for row in rows if not row["installed"] and row["digest"] not in present]
        _insert(connection, api_keys, [{**row, "tenant_id": self._tenants[row["tenant_id"]]} for row in new])

    def _take_collections(self, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
        self._collections = {}
        gone = tombstones.among(connection, (row["id"] for row in rows))
        query = sa.select(collections.c.tenant_id, collections.c.name, collections.c.id)
        present = {(row.tenant_id, row.name): row.id for row in connection.execute(query)}
        for row in rows:
            tenant = self._tenants[row["tenant_id"]]
            there = present.get((tenant, row["name"]))
            if there is None and row["id"] not in gone:
                there = row["id"]
                fresh = {"tenant_id": tenant, "person_count": 0, "face_count": 0}
                _insert(connection, collections, [from_json(row, collections) | fresh])
            if there is not None:
                self._collections[row["id"]] = there

    def _bring(self) -> None:
        part, images, self._part, self._images = self._part, self._images, [], {}
        if not part:
            return
        owner = part[0].get("person") or part[0]["faces"][0]["face"]
        tenant = self._tenants[owner["tenant_id"]]
        with self._database.read() as connection:
            chosen = {row["id"] for row in self._changes(connection, tenant, part, images)[0].insert_faces}
        wanted = {face_id: pictures for face_id, pictures in images.items() if face_id in chosen}
        brought = self._writer.run(self._plan(tenant, part, images, chosen), images=wanted)
        self._count(brought, wanted)
        self._progress(self._done)

    def _plan(
        self, tenant: str, part: list[dict[str, Any]], images: Mapping[str, Pictures], chosen: set[str]
    ) -> Plan[tuple[Changes, int, int]]:
        def plan(
            connection: sa.Connection,
        ) -> tuple[Changes, Callable[[sa.Connection], tuple[Changes, int, int]]]:
            changes, kept, gone = self._changes(connection, tenant, part, images)
            if {row["id"] for row in changes.insert_faces} != chosen:
                raise LostRace("The gallery changed during the import; begin it again.")

            def finish(connection: sa.Connection) -> tuple[Changes, int, int]:
                apart = [(each["person"]["id"], other) for each in part for other in each.get("distinct", ())]
                distinct_persons.put(connection, tenant, apart)
                return changes, kept, gone

            return changes, finish

        return plan

    def _changes(
        self, connection: sa.Connection, tenant: str, part: list[dict[str, Any]], images: Mapping[str, Pictures]
    ) -> tuple[Changes, int, int]:
        """What to write of a part, and how many persons are there already and were erased."""
        people = [record["person"] for record in part if "person" in record]
        entries = [entry["face"] for record in part for entry in record["faces"]]
        ids = [each["id"] for each in (*people, *entries)]
        gone = tombstones.among(connection, ids)
        there = _present(connection, persons.c.id, ids) | _present(connection, faces.c.id, ids)
        named = sa.select(persons.c.external_id).where(persons.c.tenant_id == tenant)
        taken = {
            name
            for batch in batches(person["external_id"] for person in people)
            for name in connection.execute(named.where(persons.c.external_id.in_(batch))).scalars()
        }
        pool = collection_records.get_pool(connection, tenant).id
        changes, kept, erased_persons = Changes(tenant, "import"), 0, 0
        for record in part:
            person = record.get("person")
            if person is not None:
                if person["id"] in gone:
                    erased_persons += 1
                    continue
                if person["id"] in there or person["external_id"] in taken:
                    kept += 1
                    continue
                changes.insert_persons.append(from_json(person, persons) | {"tenant_id": tenant})
                places = self._places(record["collections"]) or [pool]
                changes.joins += [Membership(place, person["id"]) for place in places]
            for entry in record["faces"]:
                if entry["face"]["id"] not in gone | there:
                    places = self._places(entry["collections"]) or ([pool] if person is not None else [])
                    _add_face(changes, entry["face"], places, images.get(entry["face"]["id"], Pictures()))
        return changes, kept, erased_persons

    def _places(self, archived: Iterable[str]) -> list[str]:
        return [self._collections[place] for place in archived if place in self._collections]

    def _count(self, brought: tuple[Changes, int, int], images: Mapping[str, Pictures]) -> None:
        changes, kept, gone = brought
        done = self._done
        done.persons += len(changes.insert_persons)
        done.faces += len(changes.insert_faces)
        done.images += sum(picture is not None for pictures in images.values() for picture in pictures)
        done.kept += kept
        done.erased += gone
        names = {row["id"]: row["external_id"] for row in changes.insert_persons}
        for row in changes.insert_faces:
            model = row["model"]
            done.models[model] = done.models.get(model, 0) + 1
            if not row["has_thumbnail"]:
                lacking = done.without_image.setdefault(model, [])
                name = names.get(row["person_id"], row["id"])
                if not lacking or lacking[-1] != name:
                    lacking.append(name)


def _add_face(changes: Changes, face: Mapping[str, Any], places: list[str], pictures: Pictures) -> None:
    row = from_json(face, faces)
    if row["expires"] is not None and row["expires"] <= dt.datetime.now(dt.UTC):
        return
    row |= {
        "tenant_id": changes.tenant,
        "has_thumbnail": pictures.thumbnail is not None,
        "has_photograph": pictures.photograph is not None,
    }
    changes.insert_faces.append(row)
    vector = to_vector(row["template"])
    changes.attach[row["model"]] += [IndexRow(RowKey(place, row["id"]), vector) for place in places]


def _check_format(content: bytes) -> None:
    manifest = json.loads(content)
    if manifest.get("format") != FORMAT:
        raise ConfigurationError(
            f"The archive was written by facegraph {manifest.get('facegraph')} as {manifest.get('format')!r}, "
            f"this version reads {FORMAT}."
        )


def _present(connection: sa.Connection, column: sa.Column[str], ids: Iterable[str]) -> set[str]:
    return {
        id_
        for batch in batches(ids)
        for id_ in connection.execute(sa.select(column).where(column.in_(batch))).scalars()
    }


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)
