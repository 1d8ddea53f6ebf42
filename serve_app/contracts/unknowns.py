"""Contract of the matcher: unknowns, clusters of faces that searches did not recognise and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve_app.contracts.marks import indexed, on_handle, read
from serve_app.domain import Deletion, Enrolment, NewFace, Page, PersonFields, Sighting, Unknown


class Unknowns(Protocol):
    """A collection keeps such faces only if its policy's ``keep_unknown_h`` says for how many hours.

    Searches of the collection do not find them. Each face is erased when its time is over, the unknown with its last
    face.
    """

    @indexed
    async def keep_unknown(self, tenant: str, collection: str, faces: Sequence[NewFace]) -> tuple[Sighting | None, ...]:
        """Keep the faces of one image: each joins the most similar unknown, or begins a new one.

        The answer has the faces' order; None where the collection has its most faces of unknowns.

        Raises CollectionNotFound, UnknownsNotKept; LivenessRequired, FaceNotLive, QualityTooLow by the policy.
        """

    @on_handle
    @read
    async def unknowns(
        self, tenant: str, collection: str, limit: int = 100, cursor: str | None = None
    ) -> Page[Unknown]:
        """Latest seen first; pages of 1 to 1,000. Raises CollectionNotFound, InvalidRequest (cursor, limit)."""

    @on_handle
    @read
    async def unknown(self, tenant: str, collection: str, unknown_id: str) -> Unknown:
        """One unknown. Raises CollectionNotFound, UnknownNotFound."""

    @on_handle
    @indexed
    async def name_unknown(
        self,
        tenant: str,
        collection: str,
        unknown_id: str,
        person_id: str,
        fields: PersonFields = PersonFields(),
        must_be_new: bool = False,
    ) -> Enrolment:
        """Give the faces to a person, new or existing, in the collection; the faces do not expire any more.

        Raises CollectionNotFound, UnknownNotFound, PersonExists (only if ``must_be_new``); LivenessRequired,
        FaceNotLive, QualityTooLow by the policy of any of the person's collections.
        """

    @on_handle
    @indexed
    async def merge_unknowns(self, tenant: str, collection: str, unknown_id: str, others: Sequence[str]) -> Unknown:
        """Unite 1 to 100 other unknowns with this one. Raises CollectionNotFound, UnknownNotFound, InvalidRequest."""

    @on_handle
    @indexed
    async def discard_unknown(self, tenant: str, collection: str, unknown_id: str | None = None) -> Deletion:
        """Erase one unknown, None for all. Raises CollectionNotFound, UnknownNotFound."""
