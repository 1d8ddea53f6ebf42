"""Galleries that start as copies of a stored state: SQLite and images in a folder, and an index in memory.

The schema is migrated once per process. A folder is in memory where the system has such a file system, since SQLite
waits for the disk at each commit: 3.5 ms on an SSD.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from serve_app.gallery import Gallery
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.migrations import upgrade_database
from serve_app.score import Calibration
from tests.fakes.memory_index import MemoryIndex, Rows

MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 256 << 20
"""Free in the file system in memory, of which containers often have 64 MB."""


@cache
def migrated_records() -> bytes:
    """An SQLite file with this version's schema and nothing stored."""
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records.db"
        with closing(Database(f"sqlite:///{records}")) as database:
            upgrade_database(database)
        return records.read_bytes()


@dataclass(frozen=True)
class StoredState:
    """What the stores hold.

    Attributes:
        records: the SQLite file.
        rows: of the index.
        images: by path in the images store.
    """

    records: bytes = field(default_factory=migrated_records)
    rows: Rows = field(default_factory=dict)
    images: Mapping[str, bytes] = field(default_factory=dict)


class Folder:
    """A folder with records and images, which one gallery after the other uses.

    The engines stay, since SQLAlchemy compiles each statement once per engine: 20 ms for a test with few requests. API
    keys have their own engine, as in production.
    """

    def __init__(self) -> None:
        in_memory = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES
        self.path = Path(tempfile.mkdtemp(prefix="facegraph-test-", dir=MEMORY if in_memory else None))
        atexit.register(shutil.rmtree, self.path, ignore_errors=True)
        self.records, self.images = self.path / "records.db", self.path / "blobs"
        self.database, self.key_database = (Database(f"sqlite:///{self.records}") for _ in range(2))

    def fill(self, state: StoredState) -> None:
        """Replace what is there."""
        shutil.rmtree(self.images, ignore_errors=True)
        self.records.write_bytes(state.records)
        for name, content in state.images.items():
            (self.images / name).parent.mkdir(parents=True, exist_ok=True)
            (self.images / name).write_bytes(content)

    def read(self, rows: Rows) -> StoredState:
        """What is there, with these rows of the index. Fails if a connection to the database is still open."""
        log = self.records.with_name(f"{self.records.name}-wal")
        assert not log.exists(), "SQLite removes it when the last connection is closed"
        found = (path for path in self.images.rglob("*") if path.is_file())
        images = {str(path.relative_to(self.images)): path.read_bytes() for path in found}
        return StoredState(self.records.read_bytes(), rows, images)


_free: list[Folder] = []


class CopiedGallery:
    """An open gallery that starts with this state. Its user closes ``gallery`` and then calls :meth:`leave`."""

    def __init__(self, state: StoredState, calibrations: Mapping[str, Calibration]) -> None:
        self.folder = _free.pop() if _free else Folder()
        self.folder.fill(state)
        self.index = MemoryIndex(state.rows)
        blobs = BlobStore(f"file://{self.folder.images}")
        self.gallery = Gallery(self.folder.database, self.index, blobs, calibrations, alone=True)

    def leave(self) -> StoredState:
        """What the closed gallery left behind; the folder is free for another one."""
        state = self.folder.read(self.index.rows())
        _free.append(self.folder)
        return state
