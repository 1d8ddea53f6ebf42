"""What the matcher promises about uploads of many persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from serve_app.domain import BulkPerson, BulkWork, Page, Task


class Bulk(Protocol):
    """Uploads, kept until they have been worked on: begun, filled, started; then a worker asks for the next persons."""

    async def begin_bulk(self, tenant: str, collection: str, options: Mapping[str, Any]) -> Task:
        """A task that waits for its persons. Raises CollectionNotFound; TaskRunning: too many unfinished ones."""
        ...

    async def add_bulk(self, tenant: str, task_id: str, first: int, people: Sequence[BulkPerson]) -> None:
        """The persons from this position on. Raises TaskNotFound: it is not waiting any more."""
        ...

    async def start_bulk(self, tenant: str, task_id: str) -> Task:
        """All were added, and are worked on from now on, whatever happens to the process. Raises TaskNotFound."""
        ...

    async def bulk_work(self, worker: str, pictures: int) -> BulkWork | None:
        """The next persons, with about so many pictures; None if nothing is to be done.

        ``worker``, 32 hex digits, tells apart the processes that could do the work.
        """
        ...

    async def note_bulk(self, worker: str, task_id: str, outcomes: Mapping[int, Mapping[str, Any]]) -> bool:
        """What became of persons, by position: ``{status, faces, errors}`` and what else the report is to say.

        False if the task was cancelled, or is another worker's by now.
        """
        ...

    async def bulk_report(
        self, tenant: str, task_id: str, failures: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[Mapping[str, Any]]:
        """The outcomes so far with the persons' ids; pages may be short. Raises TaskNotFound, InvalidRequest."""
        ...
