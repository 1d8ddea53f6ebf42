"""Tasks in a dictionary, done when they are asked for; the part of the fake matcher that :class:`Tasks` promises."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

from serve_app.domain import DuplicatePair, EnrolledFace, Page, Slice, Task, TaskState, ThresholdRequest
from serve_app.errors import InvalidRequest, PersonNotFound, TaskNotFound
from serve_app.score import Calibration, resolve_threshold


class FakeTasks:
    """Implements :class:`~serve_app.contracts.tasks.Tasks`."""

    _calibration: Calibration

    def _of(self, tenant: str) -> Any:
        raise AssertionError("the fake matcher has it")

    async def faces(
        self, tenant: str, collection: str, q: str = "", limit: int = 100, offset: int = 0
    ) -> Slice[EnrolledFace]:
        """A collection's faces."""
        raise AssertionError("the fake matcher has it")

    async def add_task(self, tenant: str, kind: str, result: Mapping[str, Any]) -> Task:
        """Kept for ever."""
        task = Task(uuid.uuid4().hex, kind, result, dt.datetime.now(dt.UTC), finished=dt.datetime.now(dt.UTC))
        self._of(tenant).tasks[task.id] = task
        return task

    async def task(self, tenant: str, task_id: str) -> Task:
        """One task."""
        found: Task | None = self._of(tenant).tasks.get(task_id)
        if found is None:
            raise TaskNotFound(f"There is no task {task_id!r}.", task_id=task_id)
        return found

    async def tasks(self, tenant: str, limit: int = 100) -> tuple[Task, ...]:
        """Newest first."""
        return tuple(reversed(self._of(tenant).tasks.values()))[:limit]

    async def cancel_task(self, tenant: str, task_id: str) -> Task:
        """Changes a task only that a test has made unfinished."""
        task = await self.task(tenant, task_id)
        if not task.state.is_final:
            task = replace(task, state=TaskState.CANCELLED, finished=dt.datetime.now(dt.UTC))
            self._of(tenant).tasks[task.id] = task
        return task

    async def find_duplicates(
        self, tenant: str, collection: str, model: str, threshold: ThresholdRequest = ThresholdRequest()
    ) -> Task:
        """Done at once."""
        store = self._of(tenant)
        listed = (await self.faces(tenant, collection, limit=10**6)).items
        chosen = resolve_threshold(threshold, len(listed))
        best: dict[tuple[str, str], DuplicatePair] = {}
        for first, second in combinations(listed, 2):
            owners = tuple(sorted(side.face.person_id or side.face.id for side in (first, second)))
            templates = [store.new_faces[side.face.id].template for side in (first, second)]
            cosine = float(templates[0] @ templates[1])
            pair = DuplicatePair(first, second, self._calibration.score(cosine), 1.0 - cosine)
            key = (owners[0], owners[1])
            if owners[0] != owners[1] and pair.score >= chosen.min_score:
                best[key] = max(pair, best.get(key, pair), key=lambda candidate: candidate.score)
        task = await self.add_task(tenant, "duplicates", {"pairs": len(best)})
        arguments = {"collection": collection, "model": model, "min_score": chosen.min_score, "faces": len(listed)}
        store.tasks[task.id] = replace(task, arguments=arguments)
        store.duplicates[task.id] = sorted(best.values(), key=lambda pair: -pair.score)
        return store.tasks[task.id]  # type: ignore[no-any-return]

    async def duplicates(
        self, tenant: str, task_id: str, limit: int = 100, cursor: str | None = None, with_distinct: bool = False
    ) -> Page[DuplicatePair]:
        """By position."""
        await self.task(tenant, task_id)
        if task_id not in self._of(tenant).duplicates:
            raise TaskNotFound(f"The task {task_id!r} is no search for duplicates.", task_id=task_id)
        store, start = self._of(tenant), int(cursor or 0)
        marked = [replace(pair, distinct=_persons(pair) in store.distinct) for pair in store.duplicates[task_id]]
        pairs = [pair for pair in marked if with_distinct or not pair.distinct]
        return Page(tuple(pairs[start : start + limit]), str(start + limit) if start + limit < len(pairs) else None)

    async def tell_apart(
        self, tenant: str, person_id: str, other_id: str, collection: str | None = None, apart: bool = True
    ) -> None:
        """Kept when one of them goes."""
        if person_id == other_id:
            raise InvalidRequest("Another person was expected.")
        store = self._of(tenant)
        for each in (person_id, other_id):
            found = store.persons.get(each)
            if found is None or (collection is not None and collection not in found.collections):
                raise PersonNotFound(f"There is no person {each!r}.", person_id=each)
        (store.distinct.add if apart else store.distinct.discard)(frozenset((person_id, other_id)))


def _persons(pair: DuplicatePair) -> frozenset[str]:
    return frozenset(side.face.person_id or side.face.id for side in (pair.first, pair.second))
