"""Enrolments that were handed in together and are carried out in the background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BulkPerson:
    """One person of an upload.

    Attributes:
        pictures: how many.
        payload: fields and pictures, in a form of the uploader's own; erased when the person has been dealt with.
    """

    person: str
    pictures: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class BulkWork:
    """What a worker is to do next.

    Attributes:
        collection: its name now; empty if it was deleted.
        options: as they came with the upload.
        actor: who handed it in; see :mod:`serve_app.request_context`.
        persons: by position.
    """

    task_id: str
    tenant: str
    collection: str
    options: Mapping[str, Any]
    actor: str
    persons: Mapping[int, BulkPerson]
