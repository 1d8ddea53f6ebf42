"""The Python handle: the service's operations for programs inside the Ray cluster.

From a Ray job: ``serve.get_app_handle("facegraph").search.remote(image_bytes, collection="staff").result()``.
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
    """Class decorator: add the matcher's methods that are marked ``on_handle``; make each call a request."""
    for method in methods(Matcher):
        if method.on_handle:
            setattr(handle, method.name, named(method, _of_gallery(method)))
    for name, function in inspect.getmembers(handle, inspect.iscoroutinefunction):
        if not name.startswith("_") and name != "ready":  # which asks after the stages instead of using them
            setattr(handle, name, _as_request(name, function))
    return handle


def _of_gallery(method: Method) -> Callable[..., Awaitable[Any]]:
    async def call(self: PythonHandle, *args: Any, tenant: str = DEFAULT_TENANT, **kwargs: Any) -> Any:
        return await getattr(self.service.matcher, method.name)(tenant, *args, **kwargs)

    return call


def _as_request(name: str, function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def call(self: PythonHandle, *args: Any, **kwargs: Any) -> Any:
        if entered():  # one method may call another
            return await function(self, *args, **kwargs)
        context = RequestContext(serve_request_id())
        enter(context)
        with tracing.request_span(f"handle {name}", {}, context.request_id):
            return await function(self, *args, **kwargs)

    return call


@_handle_methods
class PythonHandle:
    """Methods of the handle. Those of the gallery that are not written out here are in ``serve_app/contracts``.

    Attributes:
        service: the operations.
    """

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
        """Who is on a picture. See :meth:`serve_app.service.FaceService.search`."""
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
        """Who is on a picture, for each face of it. Options as for :meth:`search`."""
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
        """Who looks like an enrolled face."""
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
        """Create or update a person from pictures. See :meth:`serve_app.service.FaceService.enroll`.

        A mapping as ``fields`` is checked as the fields of an HTTP request are.
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
        """All faces of a picture, largest first."""
        return await self.service.detect(image, liveness=liveness)

    async def compare(
        self, first: bytes, second: bytes, *, min_score: float | None = None, liveness: bool = False
    ) -> Comparison:
        """The largest faces of two pictures against each other."""
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
        """The largest face of a picture against one enrolled person."""
        return await self.service.verify(tenant, image, person_id, min_score=min_score, liveness=liveness)

    async def check_liveness(self, image: bytes, *, threshold: float | None = None) -> tuple[DetectedFace, Liveness]:
        """Whether the one face of a picture is a live person's."""
        return await self.service.check_liveness(image, threshold=threshold)

    async def embed(self, image: bytes, *, faces: FaceChoice = "largest") -> tuple[Detection, Vectors]:
        """Templates of a picture's faces."""
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
        """Start to look for persons who were enrolled twice; ask ``task`` how far it is."""
        return await self.service.find_duplicates(tenant, collection, ThresholdRequest(min_score, fpir))

    async def ready(self) -> Mapping[str, Any]:
        """What each stage says of itself; raises Unavailable when one cannot serve."""
        return await self.service.ready()


def names(collection: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return (collection,) if isinstance(collection, str) else tuple(collection)
