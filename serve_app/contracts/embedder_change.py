"""Contract of the matcher: the embedder in use, and the change to another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from serve_app.contracts.marks import indexed, read
from serve_app.domain import CropsToEmbed, EmbedderChange, EmbeddersInUse, LeftBehind, Page, Vectors


class EmbedderChanges(Protocol):
    """The gallery decides which model probes are embedded with: the one that its faces were embedded with.

    Another model in the settings is the target of a change, until it has embedded all faces.
    """

    @read
    async def embedders(self) -> EmbeddersInUse:
        """The models for probes and for new faces. Cheap."""

    @read
    async def embedder_change(self, tenant: str | None = None) -> EmbedderChange:
        """The progress of a change, counted over one tenant or all."""

    @read
    async def left_behind(self, tenant: str, limit: int = 100, cursor: str | None = None) -> Page[LeftBehind]:
        """Faces that cannot be embedded because no crop is stored: persons by id, then faces without a person.

        Pages of 1 to 1,000. Raises InvalidRequest (cursor, limit).
        """

    async def crops_to_embed(self, worker: str, after: str = "", limit: int = 32) -> CropsToEmbed | None:
        """The next stored crops after a face's id; None at the end, or while another worker does this."""

    @indexed
    async def add_templates(self, model: str, made: Mapping[str, Vectors]) -> int:
        """Store templates (dimension,) made of stored crops, by face id; the number of faces that got one."""
