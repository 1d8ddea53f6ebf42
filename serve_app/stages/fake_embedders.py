"""The part of the fake gallery about the embedder, which never changes."""

from __future__ import annotations

from collections.abc import Mapping

from serve_app.domain import ChangeState, CropsToEmbed, EmbedderChange, EmbeddersInUse, LeftBehind, Page, Vectors
from serve_app.stages.fake_directory import FakeDirectory
from serve_app.stages.fakes import FAKE_MODEL


class FakeEmbedders(FakeDirectory):
    """Implements :class:`~serve_app.contracts.embedder_change.Embedders`."""

    async def embedders(self) -> EmbeddersInUse:
        """Always the same."""
        self.check()
        return EmbeddersInUse(FAKE_MODEL)

    async def embedder_change(self, tenant: str | None = None) -> EmbedderChange:
        """None is under way."""
        stores = [self._of(tenant)] if tenant is not None else list(self._tenants.values())
        faces = sum(len(store.new_faces) for store in stores)
        return EmbedderChange(ChangeState.NONE, FAKE_MODEL, None, faces, faces, 0)

    async def left_behind(self, tenant: str, limit: int = 100, cursor: str | None = None) -> Page[LeftBehind]:
        """Nobody."""
        self.check()
        return Page(())

    async def crops_to_embed(self, worker: str, after: str = "", limit: int = 32) -> CropsToEmbed | None:
        """None wait."""
        self.check()
        return None

    async def add_templates(self, model: str, made: Mapping[str, Vectors]) -> int:
        """No face wants one."""
        self.check()
        return 0
