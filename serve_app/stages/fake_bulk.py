"""Uploads in dictionaries; the part of the fake matcher that :class:`Bulk` promises."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from serve_app.domain import BulkPerson, BulkWork, Collection, Page, Task, TaskState
from serve_app.errors import TaskNotFound
from serve_app.request_context import current
from serve_app.stages.fake_directory import FakeTenant, FakeUpload


class FakeBulk:
    """Implements :class:`~serve_app.contracts.bulk_uploads.Bulk`. There is one worker, and nobody crashes."""

    _tenants: dict[str, FakeTenant]

    def _of(self, tenant: str) -> FakeTenant:
        raise AssertionError("the fake matcher has it")

    async def collection(self, tenant: str, name: str) -> Collection:
        """One collection."""
        raise AssertionError("the fake matcher has it")

    async def task(self, tenant: str, task_id: str) -> Task:
        """One task."""
        raise AssertionError("the fake matcher has it")

    async def add_task(self, tenant: str, kind: str, result: Mapping[str, Any]) -> Task:
        """A finished one."""
        raise AssertionError("the fake matcher has it")

    async def begin_bulk(self, tenant: str, collection: str, options: Mapping[str, Any]) -> Task:
        """See :class:`~serve_app.contracts.bulk_uploads.Bulk`."""
        await self.collection(tenant, collection)
        task = await self.add_task(tenant, "bulk", {})
        arguments = {"collection": collection, **options}
        self._of(tenant).uploads[task.id] = FakeUpload(current().caller)
        waiting = replace(task, state=TaskState.WAITING, arguments=arguments, finished=None)
        self._of(tenant).tasks[task.id] = waiting
        return waiting

    async def add_bulk(self, tenant: str, task_id: str, first: int, people: Sequence[BulkPerson]) -> None:
        """See :class:`~serve_app.contracts.bulk_uploads.Bulk`."""
        self._of(tenant).uploads[task_id].people |= dict(enumerate(people, first))

    async def start_bulk(self, tenant: str, task_id: str) -> Task:
        """See :class:`~serve_app.contracts.bulk_uploads.Bulk`."""
        people = self._of(tenant).uploads[task_id].people
        return self._changed(tenant, task_id, state=TaskState.RUNNING, total=len(people))

    async def bulk_work(self, worker: str, pictures: int) -> BulkWork | None:
        """See :class:`~serve_app.contracts.bulk_uploads.Bulk`."""
        for tenant, store in self._tenants.items():
            for task_id, upload in store.uploads.items():
                left = {at: person for at, person in upload.people.items() if at not in upload.outcomes}
                task = store.tasks[task_id]
                if left and task.state is TaskState.RUNNING:
                    options = {name: value for name, value in task.arguments.items() if name != "collection"}
                    return BulkWork(task_id, tenant, task.arguments["collection"], options, upload.actor, left)
        return None

    async def note_bulk(self, worker: str, task_id: str, outcomes: Mapping[int, Mapping[str, Any]]) -> bool:
        """See :class:`~serve_app.contracts.bulk_uploads.Bulk`."""
        tenant = next(name for name, store in self._tenants.items() if task_id in store.uploads)
        if (await self.task(tenant, task_id)).state is not TaskState.RUNNING:
            return False
        upload = self._of(tenant).uploads[task_id]
        upload.outcomes |= outcomes
        counts = Counter(str(outcome["status"]) for outcome in upload.outcomes.values())
        counts["faces"] = sum(outcome["faces"] for outcome in upload.outcomes.values())
        self._changed(tenant, task_id, done=len(upload.outcomes))
        if len(upload.outcomes) == len(upload.people):
            now = dt.datetime.now(dt.UTC)
            self._changed(tenant, task_id, state=TaskState.DONE, result=counts, finished=now)
        return True

    async def bulk_report(
        self, tenant: str, task_id: str, failures: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[Mapping[str, Any]]:
        """See :class:`~serve_app.contracts.bulk_uploads.Bulk`; one page."""
        await self.task(tenant, task_id)
        upload = self._of(tenant).uploads.get(task_id)
        if upload is None:
            raise TaskNotFound(f"The task {task_id!r} is no upload.", task_id=task_id)
        lines = [{"person": upload.people[at].person, **upload.outcomes[at]} for at in sorted(upload.outcomes)]
        return Page(tuple(line for line in lines if line["errors"] or not failures), None)

    def _changed(self, tenant: str, task_id: str, **changes: Any) -> Task:
        task = replace(self._of(tenant).tasks[task_id], **changes)
        self._of(tenant).tasks[task_id] = task
        return task
