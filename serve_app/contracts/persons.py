"""Contract of the matcher: persons, their memberships, merging and deletion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from serve_app.contracts.marks import indexed, on_handle, read
from serve_app.domain import (
    Collection,
    Deletion,
    Enrolment,
    NewFace,
    Page,
    Person,
    PersonFields,
    PersonOrder,
    PersonUpdate,
    Slice,
    ThresholdRequest,
)


class Persons(Protocol):
    """Everything about persons but their single faces."""

    @indexed
    async def put_person(
        self,
        tenant: str,
        person_id: str,
        collections: Sequence[str],
        fields: PersonFields,
        faces: Sequence[NewFace] = (),
        mode: Literal["replace", "add"] = "replace",
        must_be_new: bool = False,
        duplicate_threshold: ThresholdRequest | None = None,
    ) -> Enrolment:
        """Create or update a person and add them to the collections; memberships that exist stay.

        Args:
            collections: may be empty: a new person is then in none, and only a search of everybody finds them.
            fields: those that are None stay as they are.
            faces: at most 1,000; become the person's faces (``replace``) or are added (``add``). None given: the
                present ones stay.
            duplicate_threshold: refuse a face that by this threshold belongs to another person of the collections; None
                does not look. Of such requests for the same faces at the same time, one is accepted.

        Raises CollectionNotFound, PersonExists (only if ``must_be_new``), DuplicateFace (``details["image"]`` is the
        face's position), LivenessRequired, FaceNotLive and QualityTooLow (by the policy of any of the person's
        collections).
        """

    @on_handle
    @read
    async def person(self, tenant: str, person_id: str, collection: str | None = None) -> Person:
        """One person with faces and collections. Raises PersonNotFound, CollectionNotFound."""

    @on_handle
    @read
    async def persons(
        self, tenant: str, collection: str | None = None, q: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[Person]:
        """A page of 1 to 1,000 persons, by id.

        Args:
            q: keeps those whose id or name contains it, ignoring case.
            cursor: from the page before.

        Raises CollectionNotFound, InvalidRequest (cursor, limit).
        """

    @read
    async def persons_slice(
        self,
        tenant: str,
        collection: str | None = None,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        order: PersonOrder = PersonOrder.NAME,
        descending: bool = False,
    ) -> Slice[Person]:
        """Persons by position; ``q`` as in :meth:`persons`; ``limit`` from 0 to 1,000, 0 asks for the total alone.

        Raises CollectionNotFound.
        """

    @indexed
    async def update_person(self, tenant: str, person_id: str, update: PersonUpdate) -> Enrolment:
        """Change a person who exists.

        Raises PersonNotFound, CollectionNotFound, FaceIdNotFound, FaceCountRefused, LivenessRequired, FaceNotLive,
        QualityTooLow.
        """

    @indexed
    async def link_persons(
        self, tenant: str, collection: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Collection:
        """Add persons to a collection and remove others, all or none; the collection afterwards.

        At most 1,000 persons. Members that are added stay. A removed person stays enrolled, also when they are in no
        collection any more.

        Raises CollectionNotFound; PersonNotFound, also when someone to remove is not a member; LivenessRequired,
        FaceNotLive, QualityTooLow (by the collection's policy).
        """

    @on_handle
    @indexed
    async def merge_persons(self, tenant: str, person_id: str, other_id: str, collection: str | None = None) -> Person:
        """Make one record of two persons (who must be in the collection, if one is given); the merged one.

        The other's faces and collections become the person's, and the other record is deleted. Fields and consent of
        the person stay, empty ones are filled from the other; watch lists and metadata are united.

        Raises PersonNotFound; CollectionNotFound; InvalidRequest, if both are the same; LivenessRequired, FaceNotLive,
        QualityTooLow (by the policy of a collection that one of them joins).
        """

    @on_handle
    @indexed
    async def delete_person(self, tenant: str, person_id: str, collection: str | None = None) -> Deletion:
        """Remove the person from the collection; erase them if that was the last one, or if None is given.

        Raises PersonNotFound, CollectionNotFound.
        """

    @indexed
    async def delete_persons(self, tenant: str, person_ids: Sequence[str]) -> Deletion:
        """Erase at most 1,000 persons, all or none. Raises PersonNotFound."""
