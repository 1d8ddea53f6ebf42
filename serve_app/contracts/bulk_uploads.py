"""Contract of the matcher: uploads of many persons that are enrolled in the background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from serve_app.contracts.marks import on_handle, read
from serve_app.domain import BulkPerson, BulkWork, Page, Task


class BulkUploads(Protocol):
    """An upload is begun, filled and started; then a worker asks for its persons, a few at a time."""

    async def begin_bulk(
        self, tenant: str, collection: str, options: Mapping[str, Any], facts: Mapping[str, Any] | None = None
    ) -> Task:
        """A task that waits for its persons. Its arguments are the options, and further ``facts`` for readers.

        Raises CollectionNotFound; TaskRunning: too many unfinished uploads.
        """

    async def add_bulk(self, tenant: str, task_id: str, first: int, people: Sequence[BulkPerson]) -> None:
        """Store persons from this position on. Raises TaskNotFound: the task does not wait for persons any more."""

    async def start_bulk(self, tenant: str, task_id: str) -> Task:
        """All persons are stored: enrol them, also after a restart. Raises TaskNotFound."""

    async def bulk_work(self, worker: str, pictures: int) -> BulkWork | None:
        """The next persons with about ``pictures`` images; None if nothing is to be done.

        ``worker``, 32 hex digits, identifies the process that would do the work.
        """

    async def note_bulk(self, worker: str, task_id: str, outcomes: Mapping[int, Mapping[str, Any]]) -> bool:
        """Record the outcomes of persons, by position: ``{status, faces, errors}`` and further report fields.

        False if the task was cancelled, or another worker has it by now.
        """

    @on_handle
    @read
    async def bulk_report(
        self, tenant: str, task_id: str, failures: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[Mapping[str, Any]]:
        """The outcomes so far with the persons' ids; pages may be short. Raises TaskNotFound, InvalidRequest."""
