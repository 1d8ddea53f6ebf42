"""Work that goes on in the background, and what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from serve_app.domain.persons import EnrolledFace


class TaskState(StrEnum):
    """How far a task is; the last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (TaskState.WAITING, TaskState.RUNNING)


@dataclass(frozen=True, slots=True)
class Task:
    """The record of work that was asked for, kept for a week.

    Attributes:
        kind: what it does.
        arguments: what it was asked, JSON-ready.
        result: what came of it, JSON-ready.
        done, total: how much of it is done, in a unit of its own.
        error: why it failed, for people.
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
    """Two persons (or faces without a person) who may be one, by their two faces that are most alike.

    Attributes:
        score: calibrated, 0 to 1.
        distance: cosine distance, 0 (same direction) to 2.
        distinct: whether somebody has said that they are different people.
    """

    first: EnrolledFace
    second: EnrolledFace
    score: float
    distance: float
    distinct: bool = False
