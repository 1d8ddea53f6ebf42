"""What the matcher promises about faces without a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve_app.domain import Collection, Face, NewFace, UnassignedFacesChange


class UnassignedFaces(Protocol):
    """Faces that stand for themselves.

    In no collection, such a face is not searchable and is erased after ``matcher.unattached_face_ttl_h`` hours; in a
    collection it stays. Ids of persons' faces count as unknown to everything here but ``face_collections``.
    """

    async def add_faces(self, tenant: str, faces: Sequence[NewFace]) -> tuple[Face, ...]:
        """Store faces in no collection, in the order given."""
        ...

    async def attach_faces(
        self, tenant: str, collection: str, face_ids: Sequence[str], limit: int | None = None
    ) -> UnassignedFacesChange:
        """Faces join a collection, those that are in it already stay; ``limit`` is of the collection's faces.

        Raises CollectionNotFound; LivenessRequired, FaceNotLive by the collection's policy.
        """
        ...

    async def detach_faces(self, tenant: str, collection: str, face_ids: Sequence[str] | None) -> UnassignedFacesChange:
        """Faces leave a collection, None for all; those that are in no other one expire from now on.

        Raises CollectionNotFound.
        """
        ...

    async def face_collections(self, tenant: str, face_id: str) -> tuple[Collection, ...]:
        """The collections that a face is in. Raises FaceIdNotFound."""
        ...

    async def set_user_id(self, tenant: str, face_id: str, user_id: str) -> Face:
        """Attach a text of at most 255 characters to a face. Raises FaceIdNotFound."""
        ...
