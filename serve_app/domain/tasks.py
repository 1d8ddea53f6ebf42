"""Background tasks and their results; bulk uploads, enrolments that are handed in together for such a task."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from serve_app.domain.persons import EnrolledFace


class TaskState(StrEnum):
    """State of a task; the last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the task has ended."""
        return self not in (TaskState.WAITING, TaskState.RUNNING)


@dataclass(frozen=True, slots=True)
class Task:
    """The record of a background task, kept for a week.

    Attributes:
        kind: name of the kind of work.
        result: result of the work, JSON-ready.
        arguments: arguments of the request, JSON-ready.
        done, total: progress, in a unit that depends on ``kind``.
        error: reason of a failure, for people to read.
    """

    id: str
    kind: str
    result: Mapping[str, Any]
    created: dt.datetime
    state: TaskState = TaskState.DONE
    arguments: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0
    total: int = 0
    error: str = ""
    finished: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two persons (or unassigned faces) who are possibly the same, with their two most similar faces.

    Attributes:
        score: calibrated, 0 to 1.
        distance: cosine distance, 0 (same direction) to 2.
        distinct: whether a caller has marked them as different people.
    """

    first: EnrolledFace
    second: EnrolledFace
    score: float
    distance: float
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class BulkPerson:
    """One person of an upload.

    Attributes:
        person: the caller's id.
        pictures: number of images.
        payload: the person's fields and images, encoded by the module that created the upload; erased once the person
            is processed.
    """

    person: str
    pictures: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class BulkWork:
    """The next batch of an upload for a worker.

    Attributes:
        collection: the collection's present name; empty if it was deleted.
        options: options of the upload.
        actor: the caller who handed the upload in; see :mod:`serve_app.request_context`.
        persons: position in the upload -> person.
    """

    task_id: str
    tenant: str
    collection: str
    options: Mapping[str, Any]
    actor: str
    persons: Mapping[int, BulkPerson]
