"""Unknowns: kept faces that no search recognised, clustered by similarity until they are named."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from serve_app.domain.persons import Face


@dataclass(frozen=True, slots=True)
class Unknown:
    """A cluster of similar faces of one unrecognised person.

    Attributes:
        id: 32 hex digits.
        collection: name of the collection that keeps it.
        faces: the kept faces, newest first; each has its own expiry.
        sightings: number of searches that saw the face, including those that kept no further face.
        first_seen, last_seen: times of the first and the last of these searches.
    """

    id: str
    collection: str
    faces: tuple[Face, ...]
    sightings: int
    first_seen: dt.datetime
    last_seen: dt.datetime

    @property
    def expires(self) -> dt.datetime:
        """Time at which the last of the faces, and with it the cluster, is erased."""
        return max(face.expires for face in self.faces if face.expires is not None)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The cluster that an unrecognised face was assigned to, and whether the cluster is new."""

    id: str
    is_new: bool
