"""Contract of the matcher: unassigned faces, that is, faces without a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve_app.contracts.marks import indexed, on_handle
from serve_app.domain import Face, NewFace, UnassignedFacesChange


class UnassignedFaces(Protocol):
    """Storing unassigned faces and putting them into collections.

    Outside of collections such a face is not searchable and is erased after ``matcher.unattached_face_ttl_h`` hours; in
    a collection it stays. These methods treat ids of persons' faces as unknown. At most 1,000 faces a call.
    """

    @on_handle
    @indexed
    async def add_faces(self, tenant: str, faces: Sequence[NewFace]) -> tuple[Face, ...]:
        """Store faces in no collection, in the order given."""

    @on_handle
    @indexed
    async def attach_faces(
        self, tenant: str, collection: str, face_ids: Sequence[str], limit: int | None = None
    ) -> UnassignedFacesChange:
        """Add faces to a collection; those in it already stay. ``limit`` bounds the collection's number of faces.

        Raises CollectionNotFound; LivenessRequired, FaceNotLive, QualityTooLow by the collection's policy.
        """

    @on_handle
    @indexed
    async def detach_faces(self, tenant: str, collection: str, face_ids: Sequence[str] | None) -> UnassignedFacesChange:
        """Remove faces from a collection, None for all; those in no other collection expire from now on.

        Raises CollectionNotFound.
        """

    async def set_user_id(self, tenant: str, face_id: str, user_id: str) -> Face:
        """Attach a text of at most 255 characters to a face. Raises FaceIdNotFound, InvalidRequest."""
