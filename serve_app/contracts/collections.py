"""Contract of the matcher: collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from serve_app.contracts.marks import indexed, on_handle, read
from serve_app.domain import Collection, Deletion, NewCollection, Page, Slice


class Collections(Protocol):
    """Creating, listing, changing and deleting collections."""

    async def create_collection(self, tenant: str, new: NewCollection) -> Collection:
        """Raises CollectionExists; InvalidRequest by the rules for names and fields."""

    @on_handle
    @read
    async def collection(self, tenant: str, name: str) -> Collection:
        """One collection with its counts. Raises CollectionNotFound."""

    @read
    async def collections_by_id(self, tenant: str, ids: Sequence[str]) -> tuple[Collection, ...]:
        """In the order of the ids. Raises CollectionNotFound for the first that does not exist."""

    @read
    async def collections_named(self, tenant: str, names: Sequence[str]) -> tuple[Collection, ...]:
        """Those of the names that exist, in no order."""

    @on_handle
    @read
    async def collections(
        self, tenant: str, q: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[Collection]:
        """A page of 1 to 1,000 collections, by name.

        Args:
            q: keeps those whose name or title contains it, ignoring case.
            cursor: from the page before.

        Raises InvalidRequest (cursor, limit).
        """

    @read
    async def collections_slice(
        self,
        tenant: str,
        q: str = "",
        limit: int = 100,
        offset: int = 0,
        descending: bool = False,
        person_id: str | None = None,
    ) -> Slice[Collection]:
        """By name and position.

        Args:
            q: as in :meth:`collections`.
            limit: 0 to 1,000; 0 asks for the total alone.
            person_id: keeps the collections that this person is in.

        Raises PersonNotFound.
        """

    @on_handle
    async def update_collection(self, tenant: str, name: str, changes: Mapping[str, Any]) -> Collection:
        """Set fields of :class:`~serve_app.domain.NewCollection` (``policy`` whole, ``name`` renames).

        Raises CollectionNotFound, CollectionExists; InvalidRequest for unknown fields and impossible values.
        """

    @on_handle
    @indexed
    async def delete_collection(
        self,
        tenant: str,
        name: str,
        only_if_empty: bool = False,
        keep_persons: bool = False,
        keep_faces: bool = False,
    ) -> Deletion:
        """Delete a collection.

        Erases unassigned faces and persons that are in no other collection; with ``keep_faces`` such faces expire
        later, as if they had been detached, with ``keep_persons`` such persons stay enrolled.

        Raises CollectionNotFound; CollectionNotEmpty, if ``only_if_empty`` and persons or faces are in it.
        """
