"""Errors about stored objects: not found, or in conflict with what is stored."""

from __future__ import annotations

from serve_app.errors.base import FacegraphError


class NotFound(FacegraphError):
    """Something named in the request does not exist (for this tenant)."""

    code, status = "not_found", 404


class CollectionNotFound(NotFound):
    """There is no collection of that name."""

    code = "collection_not_found"


class PersonNotFound(NotFound):
    """There is no person with that id (in that collection)."""

    code = "person_not_found"


class FaceIdNotFound(NotFound):
    """There is no enrolled face with that id."""

    code = "face_id_not_found"


class ImageNotStored(NotFound):
    """The face is enrolled, but its storage policy kept no such image."""

    code = "image_not_stored"


class TenantNotFound(NotFound):
    """There is no tenant of that name."""

    code = "tenant_not_found"


class KeyNotFound(NotFound):
    """There is no API key with that id."""

    code = "key_not_found"


class TaskNotFound(NotFound):
    """There is no task with that id, or its record has expired."""

    code = "task_not_found"


class UnknownNotFound(NotFound):
    """There is no unknown with that id in that collection, or it has expired."""

    code = "unknown_not_found"


class Conflict(FacegraphError):
    """The request contradicts what is stored."""

    code, status = "conflict", 409


class TenantExists(Conflict):
    """The tenant's name is taken."""

    code = "tenant_exists"


class CollectionExists(Conflict):
    """The collection's name is taken."""

    code = "collection_exists"


class CollectionNotEmpty(Conflict):
    """The collection still has faces, and the caller asked to delete it only if it is empty."""

    code = "collection_not_empty"


class PersonExists(Conflict):
    """The person's id is taken, and the caller asked to create a new person."""

    code = "person_exists"


class DuplicateFace(Conflict):
    """The face already belongs to another person; ``details`` has person_id and score of the match."""

    code = "duplicate_face"


class FaceCountRefused(Conflict):
    """The person would have fewer or more faces than the caller allows; ``details`` has faces, min_faces, max_faces."""

    code = "face_count_refused"


class TaskRunning(Conflict):
    """A task for the same work is running already; ``details["task_id"]`` is its id."""

    code = "task_running"
