"""What the matcher promises about work in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from serve_app.domain import DuplicatePair, Page, Task, ThresholdRequest


class Tasks(Protocol):
    """Records of work, kept for a week. Unfinished work goes on when the process has ended and the next one starts."""

    async def add_task(self, tenant: str, kind: str, result: Mapping[str, Any]) -> Task:
        """Record finished work."""
        ...

    async def task(self, tenant: str, task_id: str) -> Task:
        """Raises TaskNotFound."""
        ...

    async def tasks(self, tenant: str, limit: int = 100) -> tuple[Task, ...]:
        """The latest ones, newest first."""
        ...

    async def cancel_task(self, tenant: str, task_id: str) -> Task:
        """Stop a task; what it found stays. A finished one stays as it is. Raises TaskNotFound."""
        ...

    async def find_duplicates(
        self, tenant: str, collection: str, model: str, threshold: ThresholdRequest = ThresholdRequest()
    ) -> Task:
        """Compare all faces of a collection that this model embedded, in the background.

        Without a threshold two faces count as alike from the score that a search of the collection would take: about
        one face in a hundred has a false partner then.

        Raises CollectionNotFound; TaskRunning if that collection is being searched already.
        """
        ...

    async def duplicates(
        self, tenant: str, task_id: str, limit: int = 100, cursor: str | None = None, with_distinct: bool = False
    ) -> Page[DuplicatePair]:
        """What such a task has found so far, most alike first; a page may be shorter than asked for.

        Persons who were told apart are left out unless ``with_distinct``.

        Raises TaskNotFound, InvalidRequest (cursor).
        """
        ...

    async def tell_apart(
        self, tenant: str, person_id: str, other_id: str, collection: str | None = None, apart: bool = True
    ) -> None:
        """Note that two persons (who must be in the collection, if one is given) are different people, however alike.

        It holds for whatever collection they are in until one is erased, and for whom one is merged into. Not
        ``apart`` takes it back.

        Raises PersonNotFound; CollectionNotFound; InvalidRequest, if both are the same.
        """
        ...
