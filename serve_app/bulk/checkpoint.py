"""Checkpoint of an enrolment run: which persons are completely enrolled, and from which files."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from serve_app.bulk.entries import BadSource, Entry


class Checkpoint:
    """A small SQLite database. Other runs can use it at the same time. Not thread-safe.

    Raises BadSource if the file is not a checkpoint.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = sqlite3.connect(path, timeout=60.0, isolation_level=None)
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS enrolled (person TEXT PRIMARY KEY, fingerprint TEXT NOT NULL) WITHOUT ROWID"
            )
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise BadSource(f"{path} is not the state file of an earlier run: {error}.") from None

    def is_empty(self) -> bool:
        """Whether no person is recorded yet."""
        return self._database.execute("SELECT 1 FROM enrolled LIMIT 1").fetchone() is None

    def holds(self, entry: Entry) -> bool:
        """Whether exactly these images and fields are enrolled."""
        query = "SELECT fingerprint FROM enrolled WHERE person = ?"
        return bool(self._database.execute(query, (entry.person,)).fetchone() == (entry.fingerprint(),))

    def add(self, entry: Entry) -> None:
        """Record a completely enrolled person."""
        values = (entry.person, entry.fingerprint())
        self._database.execute("INSERT OR REPLACE INTO enrolled VALUES (?, ?)", values)

    def close(self) -> None:
        """Close the file."""
        self._database.close()
