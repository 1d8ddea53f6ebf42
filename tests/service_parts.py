"""The service over a real gallery and fake models, in this process.

The gallery is the one that is shipped: records in SQLite, images in a folder, the matcher stage with its threads, the
API keys in the same database. Doubles stand in for the models, and the index is an exact one in memory.

The schema is migrated once per process; each service starts from a copy of that database file. The folder is in memory
where the system has such a file system, since SQLite waits for the disk at each commit: 3.5 ms on an SSD.
"""

from __future__ import annotations

import atexit
import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import anyio

from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.gallery import Gallery, KeyStore
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.schema import tenants
from serve_app.service import FaceService
from serve_app.settings import Settings
from serve_app.stages import MatcherStage
from tests.fakes.controlled_gallery import ControlledGallery
from tests.fakes.memory_index import MemoryIndex, Rows
from tests.fakes.stages import FAKE_CALIBRATION, FAKE_MODEL, FakeDetector, FakeEmbedder, FakeLiveness
from tests.gallery.stores import migrated_records

OTHER_TENANT = "f" * 32
MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 256 << 20
"""Free in the file system in memory, of which containers often have 64 MB."""


@dataclass(frozen=True)
class StoredState:
    """What the stores hold.

    Attributes:
        records: the SQLite file.
        rows: of the index.
        images: by path in the images store.
    """

    records: bytes
    rows: Rows = field(default_factory=dict)
    images: Mapping[str, bytes] = field(default_factory=dict)


class _Folder:
    """A folder with records and images, which one service after the other uses.

    The engines stay, since SQLAlchemy compiles each statement once per engine: 20 ms for a test with few requests.
    """

    def __init__(self) -> None:
        in_memory = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES
        self.path = Path(tempfile.mkdtemp(prefix="facegraph-test-", dir=MEMORY if in_memory else None))
        atexit.register(shutil.rmtree, self.path, ignore_errors=True)
        self.records, self.images = self.path / "records.db", self.path / "blobs"
        self.log = self.path / "records.db-wal"  # SQLite removes it when the last connection is closed
        self.database, self.key_database = (Database(f"sqlite:///{self.records}") for _ in range(2))

    def fill(self, state: StoredState) -> None:
        """Put this there instead of what is there."""
        shutil.rmtree(self.images, ignore_errors=True)
        self.records.write_bytes(state.records)
        for name, content in state.images.items():
            (self.images / name).parent.mkdir(parents=True, exist_ok=True)
            (self.images / name).write_bytes(content)

    def all_images(self) -> dict[str, bytes]:
        """By path in the images store."""
        found = (path for path in self.images.rglob("*") if path.is_file())
        return {str(path.relative_to(self.images)): path.read_bytes() for path in found}


_FREE: list[_Folder] = []


class ServiceParts:
    """The service and what it stands on.

    Args:
        state: that the stores start with.
        background: whether the matcher stage does the gallery's background work and upkeep, as in production.
            Otherwise a test calls ``gallery.work()`` and ``gallery.maintain()``.
        settings: of :class:`~serve_app.settings.Settings`.

    Attributes:
        faults: its ``failure`` is what the gallery raises.
    """

    def __init__(self, state: StoredState | None = None, *, background: bool = False, **settings: Any) -> None:
        self._folder = _FREE.pop() if _FREE else _Folder()
        self._folder.fill(state or empty_state()[0])
        self.settings = Settings(**{"data_dir": self._folder.path, **settings})
        self.database, self.images = self._folder.database, self._folder.images
        self.index = MemoryIndex(state.rows if state else None)
        blobs = BlobStore(self.settings.blobs_url)
        self.gallery = Gallery(self.database, self.index, blobs, {FAKE_MODEL: FAKE_CALIBRATION}, alone=True)
        self.faults = ControlledGallery(self.gallery, background)
        self.keys = KeyStore(self._folder.key_database)
        self.detector, self.liveness, self.embedder = FakeDetector(), FakeLiveness(), FakeEmbedder()
        self.matcher = MatcherStage(self.settings, gallery=self.faults)  # type: ignore[arg-type]
        self.service = FaceService(
            self.detector,
            self.liveness,
            self.embedder,
            self.matcher,
            calibrations={FAKE_MODEL: FAKE_CALIBRATION},
        )

    def close(self, run: Callable[[Callable[[], Awaitable[None]]], object] = anyio.run) -> StoredState:
        """Release everything; what the stores held.

        Args:
            run: runs a coroutine function on the event loop that served the requests, if that still runs.
        """
        self.keys.close()
        run(self.matcher.close)
        assert not self._folder.log.exists(), "a connection to the database was left open"
        state = StoredState(self._folder.records.read_bytes(), self.index.rows(), self._folder.all_images())
        _FREE.append(self._folder)
        return state


@cache
def empty_state() -> tuple[StoredState, Mapping[str, str]]:
    """Stores without collections, and the secrets of their keys.

    There is a key of each role, by the role's name, and an admin key of another tenant, ``stranger``.
    """
    parts = ServiceParts(StoredState(migrated_records()))
    parts.gallery.aim(FAKE_MODEL)
    with parts.database.write() as connection:
        values = {"id": OTHER_TENANT, "name": "other", "created": dt.datetime.now(dt.UTC)}
        connection.execute(tenants.insert().values(values))
    secrets = {str(role): parts.keys.create(DEFAULT_TENANT, f"{role} key", role)[1] for role in Role}
    secrets["stranger"] = parts.keys.create(OTHER_TENANT, "admin key", Role.ADMIN)[1]
    return parts.close(), secrets
