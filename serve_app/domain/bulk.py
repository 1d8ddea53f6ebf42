"""Bulk uploads: enrolments that are handed in together and carried out in the background."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
