"""What the matcher promises about which embedder is in use, and about changing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from serve_app.domain import CropsToEmbed, EmbedderChange, EmbeddersInUse, LeftBehind, Page, Vectors


class Embedders(Protocol):
    """The embedder is the gallery's: its faces decide which model a probe must be embedded with.

    Another one in the settings is its target, until all faces have been embedded by that.
    """

    async def embedders(self) -> EmbeddersInUse:
        """What probes and new faces are to be embedded with. Cheap."""
        ...

    async def embedder_change(self, tenant: str | None = None) -> EmbedderChange:
        """How far a change has come, counted over one tenant or all."""
        ...

    async def left_behind(self, tenant: str, limit: int = 100, cursor: str | None = None) -> Page[LeftBehind]:
        """Who cannot be embedded for want of a stored crop: persons by id, then faces without a person."""
        ...

    async def crops_to_embed(self, worker: str, after: str = "", limit: int = 32) -> CropsToEmbed | None:
        """The next stored crops after a face's id; None at the end, or while another worker is at it."""
        ...

    async def add_templates(self, model: str, made: Mapping[str, Vectors]) -> int:
        """Templates (dimension,) made of stored crops, by face; to how many faces they came."""
        ...
