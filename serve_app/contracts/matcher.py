"""What the stages promise each other.

:class:`~serve_app.service.FaceService` is written against these. A stage in the same process implements them directly;
one in another process is reached through :class:`~serve_app.serving.remote.Remote`, which has the same methods. Every
method may raise the errors named here, plus ``Overloaded`` (its queue is full) and ``Unavailable`` (it cannot serve).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from serve_app.contracts.bulk_uploads import Bulk
from serve_app.contracts.directory import Directory
from serve_app.contracts.embedder_change import Embedders
from serve_app.contracts.privacy import Privacy
from serve_app.contracts.tasks import Tasks
from serve_app.contracts.unassigned_faces import UnassignedFaces
from serve_app.contracts.unknowns import Unknowns
from serve_app.domain import (
    Collection,
    Deletion,
    DetectedFace,
    Detection,
    DetectOptions,
    EnrolledFace,
    Enrolment,
    Face,
    GalleryAnswer,
    GalleryQuery,
    Liveness,
    NewCollection,
    NewFace,
    Page,
    Person,
    PersonFields,
    Pixels,
    Slice,
    Vectors,
)


class Stage(Protocol):
    """What every stage has."""

    async def ready(self) -> Mapping[str, Any]:
        """Facts about the running stage (model, provider, versions) as JSON-ready values.

        Raises:
            Unavailable: it cannot serve; the message says why.
        """
        ...


class Detector(Stage, Protocol):
    """Compressed picture in, faces out."""

    async def detect(self, image: bytes, options: DetectOptions) -> Detection:
        """Decode, detect, align, judge quality.

        Raises:
            ImageError: too large, not a supported format, damaged, too small.
        """
        ...


class LivenessScorer(Stage, Protocol):
    """Presentation attack detection."""

    async def score(self, faces: Sequence[DetectedFace], threshold: float | None = None) -> list[Liveness]:
        """One result per face, which must carry liveness crops; ``threshold`` None takes the configured one.

        Raises:
            LivenessUnavailable: no liveness model is installed.
        """
        ...


class Embedder(Stage, Protocol):
    """Aligned crops in, templates out."""

    async def embed(self, crops: Sequence[Pixels], model: str) -> Vectors:
        """float32 (n, dimension), unit rows, for n crops of uint8 (112, 112, 3) BGR; n may be 0.

        Raises:
            ConfigurationError: the catalogue has no such embedder, or its file cannot be had.
        """
        ...


class Matcher(Stage, UnassignedFaces, Directory, Unknowns, Tasks, Bulk, Privacy, Embedders, Protocol):
    """The gallery: searching, and everything that is stored.

    ``tenant`` is a tenant's id; whatever belongs to another tenant does not exist here. Every method that writes has
    made the write durable, and searchable, when it returns; when it raises, nothing was written.
    """

    # -- searching

    async def search(self, tenant: str, query: GalleryQuery) -> GalleryAnswer:
        """Who the probes are.

        Raises CollectionNotFound; LivenessRequired if a collection's policy demands a check that was not made.
        """
        ...

    async def verify(self, tenant: str, person_id: str, probe: Vectors, model: str) -> tuple[Face, float]:
        """The person's face nearest to the probe, shape (1, dimension), and its cosine.

        Raises PersonNotFound; FaceIdNotFound if the person has no face embedded by this model.
        """
        ...

    async def template(self, tenant: str, face_id: str) -> tuple[Face, Vectors]:
        """An enrolled face and its template, shape (1, dimension). Raises FaceIdNotFound."""
        ...

    # -- collections

    async def create_collection(self, tenant: str, new: NewCollection) -> Collection:
        """Raises CollectionExists."""
        ...

    async def collection(self, tenant: str, name: str) -> Collection:
        """Raises CollectionNotFound."""
        ...

    async def collections_by_id(self, tenant: str, ids: Sequence[str]) -> tuple[Collection, ...]:
        """In the order of the ids. Raises CollectionNotFound for the first that does not exist."""
        ...

    async def collections(
        self, tenant: str, q: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[Collection]:
        """By name; ``q`` keeps those whose name or title contains it, in any case. Raises InvalidRequest (cursor)."""
        ...

    async def update_collection(self, tenant: str, name: str, changes: Mapping[str, Any]) -> Collection:
        """Set fields of :class:`NewCollection` (``policy`` whole, ``name`` renames).

        Raises CollectionNotFound, CollectionExists.
        """
        ...

    async def delete_collection(
        self, tenant: str, name: str, only_if_empty: bool = False, keep_persons: bool = False
    ) -> Deletion:
        """Also erases faces, and unless ``keep_persons`` persons, that are in no other collection.

        Raises CollectionNotFound, CollectionNotEmpty.
        """
        ...

    # -- persons

    async def put_person(
        self,
        tenant: str,
        person_id: str,
        collections: Sequence[str],
        fields: PersonFields,
        faces: Sequence[NewFace] = (),
        mode: Literal["replace", "add"] = "replace",
        must_be_new: bool = False,
    ) -> Enrolment:
        """Create or update a person and add them to the collections (they stay in those where they are).

        Without collections a new person is in none: only a search of everybody finds them.

        Given faces become the person's faces (``replace``) or are added to them (``add``); without any, the present
        ones stay. Fields that are None stay as they are.

        Raises CollectionNotFound, PersonExists (only if ``must_be_new``), LivenessRequired and FaceNotLive (by the
        policy of any of the person's collections).
        """
        ...

    async def person(self, tenant: str, person_id: str, collection: str | None = None) -> Person:
        """Raises PersonNotFound, CollectionNotFound."""
        ...

    async def persons(
        self, tenant: str, collection: str | None = None, q: str = "", limit: int = 100, cursor: str | None = None
    ) -> Page[Person]:
        """By id; ``q`` keeps those whose id or name contains it, in any case.

        Raises CollectionNotFound, InvalidRequest (cursor).
        """
        ...

    async def delete_person(self, tenant: str, person_id: str, collection: str | None = None) -> Deletion:
        """Take the person out of the collection; erase them if that was the last one, or if None is given.

        Raises PersonNotFound, CollectionNotFound.
        """
        ...

    # -- faces

    async def face(self, tenant: str, face_id: str) -> Face:
        """Raises FaceIdNotFound."""
        ...

    async def faces(
        self, tenant: str, collection: str, q: str = "", limit: int = 100, offset: int = 0
    ) -> Slice[EnrolledFace]:
        """A collection's faces, oldest first; ``q`` keeps those whose person's id or name contains it, in any case.

        Raises CollectionNotFound.
        """
        ...

    async def delete_face(
        self,
        tenant: str,
        face_id: str,
        person_id: str | None = None,
        collection: str | None = None,
        with_person: bool = False,
    ) -> Deletion:
        """Erase one face; its person stays, unless ``with_person`` and this was the only face.

        Then the person goes with it, as :meth:`delete_person` says: out of ``collection``, or altogether.

        Raises FaceIdNotFound, also when it is not that person's or not in that collection; CollectionNotFound.
        """
        ...

    async def face_image(self, tenant: str, face_id: str, kind: Literal["thumbnail", "photograph"]) -> bytes:
        """The stored JPEG crop, or the photograph as sent. Raises FaceIdNotFound, ImageNotStored."""
        ...

    async def face_images(
        self, tenant: str, face_ids: Sequence[str], kind: Literal["thumbnail", "photograph"]
    ) -> tuple[bytes | None, ...]:
        """The stored images of up to 1,000 faces, in the order of the ids; None where there is none (any more)."""
        ...
