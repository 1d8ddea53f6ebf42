"""Contract of the matcher: single enrolled faces and their stored images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from serve_app.contracts.marks import indexed, on_handle, read
from serve_app.domain import Collection, Deletion, EnrolledFace, Face, Slice


class Faces(Protocol):
    """Faces by their ids, with or without a person."""

    @on_handle
    @read
    async def face(self, tenant: str, face_id: str) -> Face:
        """One face. Raises FaceIdNotFound."""

    @on_handle
    @read
    async def faces(
        self, tenant: str, collection: str, q: str = "", limit: int = 100, offset: int = 0
    ) -> Slice[EnrolledFace]:
        """At most 1,000 of a collection's faces, oldest first.

        ``q`` keeps those whose person's id or name contains it, ignoring case.

        Raises CollectionNotFound.
        """

    @on_handle
    @read
    async def face_collections(self, tenant: str, face_id: str) -> tuple[Collection, ...]:
        """The collections that a face is in. Raises FaceIdNotFound."""

    @on_handle
    @indexed
    async def delete_face(
        self,
        tenant: str,
        face_id: str,
        person_id: str | None = None,
        collection: str | None = None,
        with_person: bool = False,
    ) -> Deletion:
        """Erase one face; its person stays, unless ``with_person`` and this was the only face.

        Then the person is deleted as by :meth:`~serve_app.contracts.persons.Persons.delete_person`: out of
        ``collection``, or altogether.

        Raises FaceIdNotFound, also when it is not that person's or not in that collection; CollectionNotFound.
        """

    @on_handle
    @read
    async def face_image(self, tenant: str, face_id: str, kind: Literal["thumbnail", "photograph"]) -> bytes:
        """The stored JPEG crop, or the photograph as sent. Raises FaceIdNotFound, ImageNotStored."""

    @on_handle
    @read
    async def face_images(
        self, tenant: str, face_ids: Sequence[str], kind: Literal["thumbnail", "photograph"]
    ) -> tuple[bytes | None, ...]:
        """The stored images of up to 1,000 faces, in the order of the ids; None where none is stored."""
