"""Checkpoint of an enrolment run: which persons are completely enrolled, and from which files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from serve_app.bulk.entries import BadSource, Entry


class Checkpoint:
    """A small SQLite database. Other runs can use it at the same time. Not thread-safe.

    Every method raises BadSource if the file is not a checkpoint, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = sqlite3.connect(path, timeout=60.0, isolation_level=None)
        self._path = path
        try:
            self._execute("PRAGMA journal_mode = WAL")
            self._execute("PRAGMA synchronous = NORMAL")
            self._execute(
                "CREATE TABLE IF NOT EXISTS enrolled (person TEXT PRIMARY KEY, fingerprint TEXT NOT NULL) WITHOUT ROWID"
            )
            self._execute("SELECT person, fingerprint FROM enrolled LIMIT 1")
        except BadSource:
            self._database.close()
            raise

    def is_empty(self) -> bool:
        """Whether no person is recorded yet."""
        return self._execute("SELECT 1 FROM enrolled LIMIT 1").fetchone() is None

    def holds(self, entry: Entry) -> bool:
        """Whether exactly these images and fields are enrolled."""
        query = "SELECT fingerprint FROM enrolled WHERE person = ?"
        return bool(self._execute(query, (entry.person,)).fetchone() == (entry.fingerprint(),))

    def add(self, entry: Entry) -> None:
        """Record a completely enrolled person."""
        values = (entry.person, entry.fingerprint())
        self._execute("INSERT OR REPLACE INTO enrolled (person, fingerprint) VALUES (?, ?)", values)

    def _execute(self, statement: str, values: tuple[str, ...] = ()) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.DatabaseError as error:
            raise BadSource(
                f"{self._path} is not the state file of an earlier run, or cannot be used: {error}."
            ) from None

    def close(self) -> None:
        """Close the file."""
        self._database.close()
