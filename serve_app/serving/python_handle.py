"""The Python handle: the service's operations for programs inside the Ray cluster.

Example, in a Ray job: ``serve.get_app_handle("facegraph").search.remote(image_bytes, collection="staff").result()``.
Callers of the handle are inside the cluster and trusted: they name a tenant instead of sending a key.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Literal, TypeVar

from serve_app.api.schemas.persons import person_fields
from serve_app.contracts import Matcher, Method, methods, named
from serve_app.domain import (
    DEFAULT_TENANT,
    CheckedFace,
    Collection,
    Comparison,
    DetectedFace,
    Detection,
    Enrolment,
    ImageStorage,
    Liveness,
    NewCollection,
    PersonFields,
    QualityCode,
    SearchResult,
    Task,
    ThresholdRequest,
    Vectors,
)
from serve_app.observability import tracing
from serve_app.request_context import RequestContext, enter, entered
from serve_app.service import EnrolmentChoice, FaceChoice, FaceService
from serve_app.serving.ray_private import serve_request_id

Handle = TypeVar("Handle", bound=type["PythonHandle"])


def _handle_methods(handle: Handle) -> Handle:
    """Class decorator: adds the matcher's methods marked ``on_handle``, and gives each call a request context."""
    for method in methods(Matcher):
        if method.on_handle:
            setattr(handle, method.name, named(method, _of_gallery(method)))
    for name, function in inspect.getmembers(handle, inspect.iscoroutinefunction):
        if not name.startswith("_") and name != "ready":  # `ready` is a health check, not a request
            setattr(handle, name, _as_request(name, function))
    return handle


def _of_gallery(method: Method) -> Callable[..., Awaitable[Any]]:
    async def call(self: PythonHandle, *args: Any, tenant: str = DEFAULT_TENANT, **kwargs: Any) -> Any:
        return await getattr(self.service.matcher, method.name)(tenant, *args, **kwargs)

    return call


def _as_request(name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def call(self: PythonHandle, *args: Any, **kwargs: Any) -> Any:
        if entered():  # called by another method of the handle
            return await function(self, *args, **kwargs)
        context = RequestContext(serve_request_id())
        enter(context)
        with tracing.request_span(f"handle {name}", {}, context.request_id):
            return await function(self, *args, **kwargs)

    return call


@_handle_methods
class PythonHandle:
    """Methods of the handle; the gallery's methods marked ``on_handle`` in ``serve_app/contracts`` are added."""

    service: FaceService

    async def search(
        self,
        image: bytes,
        collection: str | Sequence[str],
        *,
        tenant: str = DEFAULT_TENANT,
        max_results: int = 5,
        min_score: float | None = None,
        fpir: float | None = None,
        faces: FaceChoice = "largest",
        liveness: bool = False,
        trace: bool = True,
        keep_unknown: str | None = None,
    ) -> SearchResult:
        """Search for the faces of an image. See :meth:`serve_app.service.FaceService.search`."""
        return await self.service.search(
            tenant,
            image,
            names(collection),
            max_results=max_results,
            threshold=ThresholdRequest(min_score, fpir),
            faces=faces,
            liveness=liveness,
            trace=trace,
            keep_unknown=keep_unknown,
        )

    async def search_all_faces(self, image: bytes, collection: str | Sequence[str], **options: Any) -> SearchResult:
        """Search for all faces of an image. Options as for :meth:`search`."""
        return await self.search(image, collection, faces="all", **options)

    async def search_face(
        self,
        face_id: str,
        collection: str | Sequence[str],
        *,
        tenant: str = DEFAULT_TENANT,
        max_results: int = 5,
        min_score: float | None = None,
        fpir: float | None = None,
    ) -> SearchResult:
        """Search with an enrolled face as the probe. See :meth:`serve_app.service.FaceService.search_face`."""
        threshold = ThresholdRequest(min_score, fpir)
        return await self.service.search_face(
            tenant, face_id, names(collection), max_results=max_results, threshold=threshold
        )

    async def enroll(
        self,
        person_id: str,
        images: bytes | Sequence[bytes],
        collection: str,
        *,
        tenant: str = DEFAULT_TENANT,
        fields: PersonFields | Mapping[str, Any] | None = None,
        mode: Literal["replace", "add"] = "replace",
        faces: EnrolmentChoice = "one",
        liveness: bool | None = None,
        image_storage: ImageStorage | None = None,
        reject: Sequence[QualityCode] = (),
        reject_below: float = 0.0,
        check_duplicates: bool = False,
        duplicate_min_score: float | None = None,
    ) -> Enrolment:
        """Create or update a person from images. See :meth:`serve_app.service.FaceService.enroll`.

        A mapping as ``fields`` is validated like the fields of an HTTP request.
        """
        return await self.service.enroll(
            tenant,
            person_id,
            collection,
            [images] if isinstance(images, bytes) else images,
            person_fields(fields) if isinstance(fields, Mapping) else fields or PersonFields(),
            mode=mode,
            faces=faces,
            liveness=liveness,
            image_storage=image_storage,
            reject=reject,
            reject_below=reject_below,
            check_duplicates=check_duplicates,
            duplicate_min_score=duplicate_min_score,
        )

    async def detect(self, image: bytes, *, liveness: bool = False) -> tuple[Detection, tuple[CheckedFace, ...]]:
        """All faces of an image, largest first. See :meth:`serve_app.service.FaceService.detect`."""
        return await self.service.detect(image, liveness=liveness)

    async def compare(
        self, first: bytes, second: bytes, *, min_score: float | None = None, liveness: bool = False
    ) -> Comparison:
        """Compare the largest faces of two images. See :meth:`serve_app.service.FaceService.compare`."""
        return await self.service.compare(first, second, min_score=min_score, liveness=liveness)

    async def verify(
        self,
        image: bytes,
        person_id: str,
        *,
        tenant: str = DEFAULT_TENANT,
        min_score: float | None = None,
        liveness: bool = False,
    ) -> Comparison:
        """Compare the largest face of an image with a person. See :meth:`serve_app.service.FaceService.verify`."""
        return await self.service.verify(tenant, image, person_id, min_score=min_score, liveness=liveness)

    async def check_liveness(self, image: bytes, *, threshold: float | None = None) -> tuple[DetectedFace, Liveness]:
        """The main face of an image and its liveness. See :meth:`serve_app.service.FaceService.check_liveness`."""
        return await self.service.check_liveness(image, threshold=threshold)

    async def embed(self, image: bytes, *, faces: FaceChoice = "largest") -> tuple[Detection, Vectors]:
        """The faces of an image and their templates, float32 (n, dimension)."""
        detection, embedded = await self.service.embed(image, faces=faces)
        return detection, embedded.templates

    async def create_collection(self, name: str, *, tenant: str = DEFAULT_TENANT, **fields: Any) -> Collection:
        """Create a collection; ``fields`` are those of :class:`~serve_app.domain.NewCollection`."""
        return await self.service.matcher.create_collection(tenant, NewCollection(name, **fields))

    async def find_duplicates(
        self,
        collection: str,
        *,
        tenant: str = DEFAULT_TENANT,
        min_score: float | None = None,
        fpir: float | None = None,
    ) -> Task:
        """Start a task that finds persons who were enrolled twice; ``task`` returns its progress."""
        return await self.service.find_duplicates(tenant, collection, ThresholdRequest(min_score, fpir))

    async def ready(self) -> Mapping[str, Any]:
        """Facts about each running stage. Raises Unavailable when a stage cannot serve."""
        return await self.service.ready()


def names(collection: str | Sequence[str]) -> tuple[str, ...]:
    """One or several names as a tuple."""
    return (collection,) if isinstance(collection, str) else tuple(collection)
