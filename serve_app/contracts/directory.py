"""What the matcher promises as a directory of persons and collections; the part of it that listings and links need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from serve_app.domain import Collection, Deletion, Enrolment, Person, PersonOrder, PersonUpdate, Slice


class Directory(Protocol):
    """Listings by position, memberships, changes of persons."""

    async def collections_named(self, tenant: str, names: Sequence[str]) -> tuple[Collection, ...]:
        """Those of the names that exist, in no order."""
        ...

    async def collections_slice(
        self,
        tenant: str,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        descending: bool = False,
        person_id: str | None = None,
    ) -> Slice[Collection]:
        """By name; ``q`` as in ``collections``; ``person_id`` keeps those that the person is in; ``limit`` may be 0.

        Raises PersonNotFound.
        """
        ...

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
        """Part of a listing of persons; ``q`` as in ``persons``; ``limit`` may be 0. Raises CollectionNotFound."""
        ...

    async def update_person(self, tenant: str, person_id: str, update: PersonUpdate) -> Enrolment:
        """Change a person who exists.

        Raises PersonNotFound, CollectionNotFound, FaceIdNotFound, FaceCountRefused, LivenessRequired, FaceNotLive.
        """
        ...

    async def link_persons(
        self, tenant: str, collection: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Collection:
        """Put persons into a collection and take others out, all or none; the collection afterwards.

        Whoever is in it already stays. Whoever is taken out stays enrolled, if need be in no collection.

        Raises CollectionNotFound; PersonNotFound, also when someone to be taken out is not in it; LivenessRequired,
        FaceNotLive (by the collection's policy).
        """
        ...

    async def merge_persons(self, tenant: str, person_id: str, other_id: str, collection: str | None = None) -> Person:
        """Make one record of two persons (who must be in the collection, if one is given); the merged one.

        The other's faces and collections become the person's, and their record goes. What is stored of the person
        stays, gaps are filled from the other; watch lists and metadata are those of both.

        Raises PersonNotFound; CollectionNotFound; InvalidRequest, if both are the same; LivenessRequired, FaceNotLive,
        QualityTooLow (by the policy of a collection that one of them joins).
        """
        ...

    async def delete_persons(self, tenant: str, person_ids: Sequence[str]) -> Deletion:
        """Erase persons, all or none. Raises PersonNotFound."""
        ...
