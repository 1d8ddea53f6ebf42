"""The service over a real gallery and fake models, in this process.

The gallery is the one that is shipped: records in SQLite, images in a folder, the matcher stage with its threads, the
API keys in the same database. Doubles stand in for the models, and the index is an exact one in memory.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

import anyio

from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.gallery import KeyStore
from serve_app.gallery.sql.records import audit_chain
from serve_app.gallery.sql.schema import tenants
from serve_app.service import FaceService
from serve_app.settings import Settings
from serve_app.stages import MatcherStage
from tests.fakes.controlled_gallery import ControlledGallery
from tests.fakes.stages import FAKE_CALIBRATION, FAKE_MODEL, FakeDetector, FakeEmbedder, FakeLiveness
from tests.gallery.copies import CopiedGallery, StoredState

OTHER_TENANT = "f" * 32


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
        self._copy = CopiedGallery(state or empty_state()[0], {FAKE_MODEL: FAKE_CALIBRATION})
        self.gallery, self.index, folder = self._copy.gallery, self._copy.index, self._copy.folder
        self.database, self.images = folder.database, folder.images
        self.settings = Settings(**{"data_dir": folder.path, **settings})
        self.faults = ControlledGallery(self.gallery, background)
        self.keys = KeyStore(folder.key_database)
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
        return self._copy.leave()


@cache
def empty_state() -> tuple[StoredState, Mapping[str, str]]:
    """Stores without collections, and the secrets of their keys.

    There is a key of each role, by the role's name, and an admin key of another tenant, ``stranger``.
    """
    parts = ServiceParts(StoredState())
    parts.gallery.aim(FAKE_MODEL)
    with parts.database.write() as connection:
        values = {"id": OTHER_TENANT, "name": "other", "created": dt.datetime.now(dt.UTC)}
        connection.execute(tenants.insert().values(values))
        audit_chain.begin(connection, OTHER_TENANT)
    secrets = {str(role): parts.keys.create(DEFAULT_TENANT, f"{role} key", role)[1] for role in Role}
    secrets["stranger"] = parts.keys.create(OTHER_TENANT, "admin key", Role.ADMIN)[1]
    return parts.close(), secrets
