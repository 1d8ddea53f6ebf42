"""Faces that a search did not know and kept, gathered by likeness until somebody names them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from serve_app.domain.persons import Face


@dataclass(frozen=True, slots=True)
class Unknown:
    """Somebody whom nobody has named: a cluster of faces that are alike.

    Attributes:
        id: 32 hex digits.
        collection: the name of the collection that keeps it.
        faces: those that are kept, newest first; each is erased at its own time.
        sightings: searches that saw the face, also those that kept nothing more.
    """

    id: str
    collection: str
    faces: tuple[Face, ...]
    sightings: int
    first_seen: dt.datetime
    last_seen: dt.datetime

    @property
    def expires(self) -> dt.datetime:
        """When the last of the faces is erased, and the cluster with it."""
        return max(face.expires for face in self.faces if face.expires is not None)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What became of a face that no search knew: the cluster that it belongs to, and whether it is a new one."""

    id: str
    is_new: bool
