"""Contract of the matcher: background tasks, and the search for duplicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from serve_app.contracts.marks import on_handle, read
from serve_app.domain import DuplicatePair, Page, Task, ThresholdRequest


class Tasks(Protocol):
    """Records of background work, kept for a week. Unfinished work goes on after a restart."""

    async def add_task(self, tenant: str, kind: str, result: Mapping[str, Any]) -> Task:
        """Record finished work; ``kind`` has at most 50 characters."""

    @on_handle
    @read
    async def task(self, tenant: str, task_id: str) -> Task:
        """One task. Raises TaskNotFound."""

    @on_handle
    @read
    async def tasks(self, tenant: str, limit: int = 100) -> tuple[Task, ...]:
        """The latest 1 to 1,000 tasks, newest first."""

    @on_handle
    async def cancel_task(self, tenant: str, task_id: str) -> Task:
        """Stop a task; its results so far stay. A finished task stays as it is. Raises TaskNotFound."""

    async def find_duplicates(
        self, tenant: str, collection: str, model: str, threshold: ThresholdRequest = ThresholdRequest()
    ) -> Task:
        """Compare all faces of a collection that this model embedded, in the background.

        Without a threshold, two faces are a pair from the score that a search of the collection would use: about one
        face in a hundred then has a false partner.

        Raises CollectionNotFound; TaskRunning if that collection is being compared already.
        """

    @on_handle
    @read
    async def duplicates(
        self, tenant: str, task_id: str, limit: int = 100, cursor: str | None = None, with_distinct: bool = False
    ) -> Page[DuplicatePair]:
        """The pairs that such a task has found so far, highest score first; a page may be short.

        Pairs marked as different people are left out unless ``with_distinct``.

        Raises TaskNotFound, InvalidRequest (cursor, limit).
        """

    @on_handle
    async def tell_apart(
        self, tenant: str, person_id: str, other_id: str, collection: str | None = None, apart: bool = True
    ) -> None:
        """Mark two persons (who must be in the collection, if one is given) as different people.

        The mark holds in every collection until one of the two is erased; a person that one of them is merged into
        inherits it. ``apart=False`` removes it.

        Raises PersonNotFound; CollectionNotFound; InvalidRequest, if both are the same.
        """
