"""The matcher's contract: the gallery, searched and changed."""

from __future__ import annotations

from typing import Protocol

from serve_app.contracts.bulk_uploads import BulkUploads
from serve_app.contracts.collections import Collections
from serve_app.contracts.embedder_change import EmbedderChanges
from serve_app.contracts.faces import Faces
from serve_app.contracts.persons import Persons
from serve_app.contracts.privacy import Privacy
from serve_app.contracts.search import Search
from serve_app.contracts.stages import Stage
from serve_app.contracts.tasks import Tasks
from serve_app.contracts.unassigned_faces import UnassignedFaces
from serve_app.contracts.unknowns import Unknowns


class Matcher(
    Stage,
    Search,
    Collections,
    Persons,
    Faces,
    UnassignedFaces,
    Unknowns,
    Tasks,
    BulkUploads,
    Privacy,
    EmbedderChanges,
    Protocol,
):
    """The gallery: enrolled persons, faces and collections, tasks, the audit log.

    ``tenant`` is a tenant's id; what belongs to another tenant does not exist here. When a method that writes returns,
    the change is durable and searchable; when it raises, nothing was written.
    """
