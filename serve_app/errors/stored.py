"""What the request names is not there, or contradicts what is stored."""

from __future__ import annotations

from serve_app.errors.base import FacegraphError


class NotFound(FacegraphError):
    """Something named in the request does not exist (for this tenant)."""

    code, status = "not_found", 404


class CollectionNotFound(NotFound):
    """No collection of that name."""

    code = "collection_not_found"


class PersonNotFound(NotFound):
    """No person of that id (in that collection)."""

    code = "person_not_found"


class FaceIdNotFound(NotFound):
    """No enrolled face of that id."""

    code = "face_id_not_found"


class ImageNotStored(NotFound):
    """The face is enrolled, but its storage policy kept no such image."""

    code = "image_not_stored"


class TenantNotFound(NotFound):
    """No tenant of that name."""

    code = "tenant_not_found"


class KeyNotFound(NotFound):
    """No API key of that id."""

    code = "key_not_found"


class TaskNotFound(NotFound):
    """No task of that id, or it was so long ago that it is forgotten."""

    code = "task_not_found"


class UnknownNotFound(NotFound):
    """No unknown with this id in this collection, or it has expired."""

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
    """The collection still holds faces and the caller asked to be stopped by that."""

    code = "collection_not_empty"


class PersonExists(Conflict):
    """The person's id is taken and the caller asked for a new one."""

    code = "person_exists"


class DuplicateFace(Conflict):
    """The face already belongs to another person; ``details["person_id"]`` and ``details["score"]`` say whose."""

    code = "duplicate_face"


class FaceCountRefused(Conflict):
    """The person would have fewer or more faces than the caller allows; ``details`` has faces, min_faces, max_faces."""

    code = "face_count_refused"


class TaskRunning(Conflict):
    """The same is being done already; ``details["task_id"]`` says by which task."""

    code = "task_running"
