"""Contract of the matcher: one-to-many search, one-to-one verification, stored templates."""

from __future__ import annotations

from typing import Protocol

from serve_app.contracts.marks import batched, indexed, read
from serve_app.domain import Face, GalleryAnswer, GalleryQuery, Vectors


class Search(Protocol):
    """Comparing probes with the gallery."""

    @read
    @indexed
    @batched
    async def search(self, tenant: str, query: GalleryQuery) -> GalleryAnswer:
        """The persons nearest to each probe.

        Raises CollectionNotFound; LivenessRequired if a collection's policy demands a check that was not made.
        """

    @read
    async def verify(self, tenant: str, person_id: str, probe: Vectors, model: str) -> tuple[Face, float]:
        """The person's face nearest to the probe, shape (1, dimension), and its cosine, -1 to 1.

        Raises PersonNotFound; FaceIdNotFound if the person has no face embedded by this model.
        """

    @read
    async def template(self, tenant: str, face_id: str) -> tuple[Face, Vectors]:
        """An enrolled face and its template, shape (1, dimension). Raises FaceIdNotFound."""
