"""Work list: entries on disk, so that a million of them take no memory and lines about one person are joined."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator

from serve_app.bulk.entries import Entry, LeftOut, PictureFile

# File names are not always UTF-8, so they are stored as bytes.
SCHEMA = """
CREATE TABLE persons (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE fields (
    position INTEGER PRIMARY KEY, person BLOB NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, UNIQUE (person, name)
);
CREATE TABLE files (
    position INTEGER PRIMARY KEY, person BLOB NOT NULL, location BLOB NOT NULL, size INTEGER, version TEXT NOT NULL,
    UNIQUE (person, location)
);
CREATE INDEX files_by_location ON files (location);
CREATE TABLE present (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE left_out (location BLOB NOT NULL, reason TEXT NOT NULL, is_junk INTEGER NOT NULL);
"""

SHOWN = 100
"""Characters of a value that an error shows."""


class WorkList:
    """Entries by person, in a temporary database. Only one thread may use it at a time."""

    def __init__(self) -> None:
        # The empty name makes a temporary file, which SQLite removes on close.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.executescript(SCHEMA)

    def add(self, entry: Entry) -> None:
        """Add images and fields to a person; an image that is there already is not added again.

        Raises ValueError if a field already has another value.
        """
        person = os.fsencode(entry.person)
        self._database.execute("INSERT OR IGNORE INTO persons VALUES (?)", (person,))
        for name, value in entry.fields.items():
            key = (person, name)
            row = self._database.execute("SELECT value FROM fields WHERE person = ? AND name = ?", key).fetchone()
            if row is None:
                insert = "INSERT INTO fields (person, name, value) VALUES (?, ?, ?)"
                self._database.execute(insert, (*key, json.dumps(value)))
            elif (before := json.loads(row[0])) != value:
                shown = f"{str(before)[:SHOWN]!r} on an earlier line, {str(value)[:SHOWN]!r} here"
                raise ValueError(f"{name} of {entry.person[:SHOWN]!r} is {shown}")
        self._database.executemany(
            "INSERT OR IGNORE INTO files (person, location, size, version) VALUES (?, ?, ?, ?)",
            ((person, os.fsencode(file.location), file.size, file.version) for file in entry.files),
        )

    def leave_out(self, entry: LeftOut) -> None:
        """Note an entry of the source that is not enrolled."""
        values = (os.fsencode(entry.location), entry.reason, entry.is_junk)
        self._database.execute("INSERT INTO left_out VALUES (?, ?, ?)", values)

    def left_out(self, *, junk: bool = False) -> Iterator[LeftOut]:
        """The entries that are not enrolled: junk, or the others."""
        query = "SELECT location, reason FROM left_out WHERE is_junk = ? ORDER BY location"
        for location, reason in self._database.execute(query, (junk,)):
            yield LeftOut(os.fsdecode(location), reason, junk)

    def count_left_out(self, *, junk: bool = False) -> int:
        """Number of entries that are not enrolled: of junk, or of the others."""
        return self._number("SELECT count(*) FROM left_out WHERE is_junk = ?", junk)

    def has_file(self, location: str) -> bool:
        """Whether an image is one of a person's."""
        return self._number("SELECT count(*) FROM files WHERE location = ?", os.fsencode(location)) > 0

    def note_present(self, persons: Iterable[str]) -> None:
        """Note persons that are in the collection already."""
        ids = ((os.fsencode(person),) for person in persons)
        self._database.executemany("INSERT OR IGNORE INTO present VALUES (?)", ids)

    def is_present(self, person: str) -> bool:
        """Whether :meth:`note_present` was called with this person."""
        return self._number("SELECT count(*) FROM present WHERE id = ?", os.fsencode(person)) > 0

    @property
    def persons(self) -> int:
        """Number of persons."""
        return self._number("SELECT count(*) FROM persons")

    @property
    def pictures(self) -> int:
        """Number of images of all persons."""
        return self._number("SELECT count(*) FROM files")

    def __iter__(self) -> Iterator[Entry]:
        """The entries, ordered by the person's id."""
        for (person,) in self._database.execute("SELECT id FROM persons ORDER BY id"):
            fields = self._database.execute(
                "SELECT name, value FROM fields WHERE person = ? ORDER BY position", (person,)
            )
            rows = self._database.execute(
                "SELECT location, size, version FROM files WHERE person = ? ORDER BY position", (person,)
            )
            files = tuple(PictureFile(os.fsdecode(location), size, version) for location, size, version in rows)
            yield Entry(os.fsdecode(person), files, {name: json.loads(value) for name, value in fields})

    def close(self) -> None:
        """Close and remove the temporary database."""
        self._database.close()

    def _number(self, query: str, *values: bytes | bool) -> int:
        return int(self._database.execute(query, values).fetchone()[0])
