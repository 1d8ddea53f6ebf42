"""What the matcher promises about unknowns: faces that searches did not know and kept until they are named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve_app.domain import Deletion, Enrolment, NewFace, Page, PersonFields, Sighting, Unknown


class Unknowns(Protocol):
    """A collection keeps such faces only if its policy's ``keep_unknown_h`` says for how many hours.

    No search of the collection finds them. Each is erased when its time is over, and the unknown with the last of them.
    """

    async def keep_unknown(self, tenant: str, collection: str, faces: Sequence[NewFace]) -> tuple[Sighting | None, ...]:
        """Keep faces of one picture; each joins the unknown that it looks like, or begins a new one.

        The answer has the faces' order; None where there was no room.

        Raises CollectionNotFound, UnknownsNotKept; LivenessRequired, FaceNotLive, QualityTooLow by the policy.
        """
        ...

    async def unknowns(
        self, tenant: str, collection: str, limit: int = 100, cursor: str | None = None
    ) -> Page[Unknown]:
        """Latest seen first. Raises CollectionNotFound, InvalidRequest (cursor)."""
        ...

    async def unknown(self, tenant: str, collection: str, unknown_id: str) -> Unknown:
        """Raises CollectionNotFound, UnknownNotFound."""
        ...

    async def name_unknown(
        self,
        tenant: str,
        collection: str,
        unknown_id: str,
        person_id: str,
        fields: PersonFields = PersonFields(),
        must_be_new: bool = False,
    ) -> Enrolment:
        """The faces become a person's, who is new or present, in the collection; they expire no more.

        Raises CollectionNotFound, UnknownNotFound, PersonExists (only if ``must_be_new``); LivenessRequired,
        FaceNotLive, QualityTooLow by the policy of any of the person's collections.
        """
        ...

    async def merge_unknowns(self, tenant: str, collection: str, unknown_id: str, others: Sequence[str]) -> Unknown:
        """The others become part of the one. Raises CollectionNotFound, UnknownNotFound."""
        ...

    async def discard_unknown(self, tenant: str, collection: str, unknown_id: str | None = None) -> Deletion:
        """Erase one, None for all. Raises CollectionNotFound, UnknownNotFound."""
        ...
