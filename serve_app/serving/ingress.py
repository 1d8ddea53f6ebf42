"""The ingress: the HTTP application and the Python handle, over the same service.

From a Ray job: ``serve.get_app_handle("facegraph").search.remote(image_bytes, collection="staff").result()``.
Callers on the handle are inside the cluster and trusted: they name a tenant instead of showing a key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import FastAPI

from serve_app.api.api_context import ApiContext, ReplicaStates
from serve_app.api.app import create_app
from serve_app.api.bulk.worker import BulkWorker
from serve_app.api.dialects import chosen
from serve_app.api.schemas.persons import person_fields
from serve_app.api.service_info import static_info
from serve_app.contracts.matcher import Detector, Embedder, LivenessScorer, Matcher
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
from serve_app.gallery import open_keys
from serve_app.observability.metrics import Metrics
from serve_app.observability.recent_statistics import MeasuredStage
from serve_app.service import EnrolmentChoice, FaceChoice, FaceService
from serve_app.service.reembedding import Reembedder
from serve_app.serving.in_process import assemble
from serve_app.settings import Settings
from serve_app.stages.detector import DetectorStage
from serve_app.stages.embedder import EmbedderStage
from serve_app.stages.liveness import LivenessStage
from serve_app.stages.matcher import MatcherStage


def _gallery(name: str) -> Callable[..., Awaitable[Any]]:
    async def call(self: Ingress, *args: Any, tenant: str = DEFAULT_TENANT, **kwargs: Any) -> Any:
        return await getattr(self.service.matcher, name)(tenant, *args, **kwargs)

    call.__name__ = name
    call.__doc__ = f"See :meth:`serve_app.contracts.matcher.Matcher.{name}`; ``tenant`` is a keyword here."
    return call


class Ingress:
    """The service's two doors.

    Args:
        matcher: stage elsewhere; None runs it inside this process. So do the following three.
        detector: as above.
        liveness: as above.
        embedder: as above.
        replicas: tells how many replicas each deployment has; None where there are none.

    Raises:
        ConfigurationError: a setting, a model file or a store is not as it must be.
        StoreUnavailable: a store does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        matcher: Matcher | None = None,
        detector: Detector | None = None,
        liveness: LivenessScorer | None = None,
        embedder: Embedder | None = None,
        metrics: Callable[[str], Metrics] = Metrics,
        replicas: ReplicaStates | None = None,
    ) -> None:
        self._stages = {
            "detector": detector or DetectorStage(settings, metrics),
            "liveness": liveness or LivenessStage(settings, metrics),
            "embedder": embedder or EmbedderStage(settings, metrics),
            "matcher": matcher or MatcherStage(settings, metrics),
        }
        measured: dict[str, Any] = {name: MeasuredStage(stage) for name, stage in self._stages.items()}
        self.service: FaceService = assemble(settings, **measured)
        self._reembedder = Reembedder(self.service.embedder, self.service.matcher)
        self._keys = open_keys(settings)
        self.context = ApiContext(
            service=self.service,
            keys=self._keys,
            settings=settings,
            info=static_info(settings),
            statistics={name: stage.statistics for name, stage in measured.items()},
            replicas=replicas,
        )
        self._bulk = BulkWorker(self.context)

    def build_http_app(self) -> FastAPI:
        """The HTTP application over this ingress."""
        return create_app(lambda: self.context, chosen(self.context.settings.dialects), self._beside)

    @asynccontextmanager
    async def _beside(self, app: FastAPI) -> AsyncIterator[None]:
        """What runs while the application does."""
        self._reembedder.start()
        self._bulk.start()
        try:
            yield
        finally:
            await self._bulk.close()
            await self._reembedder.close()

    async def close(self) -> None:
        """Finish what runs in stages of this process, release the database."""
        await self._bulk.close()
        await self._reembedder.close()
        for stage in self._stages.values():
            if isinstance(stage, DetectorStage | LivenessStage | EmbedderStage | MatcherStage):
                await stage.close()
        self._keys.close()

    # -- the Python handle: pictures

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

    # -- the Python handle: the gallery

    async def create_collection(self, name: str, *, tenant: str = DEFAULT_TENANT, **fields: Any) -> Collection:
        """Create a collection; ``fields`` are those of :class:`~serve_app.domain.NewCollection`."""
        return await self.service.matcher.create_collection(tenant, NewCollection(name, **fields))

    collection = _gallery("collection")
    collections = _gallery("collections")
    update_collection = _gallery("update_collection")
    delete_collection = _gallery("delete_collection")
    person = _gallery("person")
    persons = _gallery("persons")
    merge_persons = _gallery("merge_persons")
    delete_person = _gallery("delete_person")
    face = _gallery("face")
    faces = _gallery("faces")
    delete_face = _gallery("delete_face")
    audit = _gallery("audit")
    check_audit = _gallery("check_audit")
    check_receipt = _gallery("check_receipt")
    face_image = _gallery("face_image")
    face_images = _gallery("face_images")
    add_faces = _gallery("add_faces")
    attach_faces = _gallery("attach_faces")
    detach_faces = _gallery("detach_faces")
    face_collections = _gallery("face_collections")

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

    unknowns = _gallery("unknowns")
    unknown = _gallery("unknown")
    name_unknown = _gallery("name_unknown")
    merge_unknowns = _gallery("merge_unknowns")
    discard_unknown = _gallery("discard_unknown")
    task = _gallery("task")
    tasks = _gallery("tasks")
    cancel_task = _gallery("cancel_task")
    duplicates = _gallery("duplicates")
    tell_apart = _gallery("tell_apart")
    bulk_report = _gallery("bulk_report")

    async def ready(self) -> Mapping[str, Any]:
        """What each stage says of itself; raises Unavailable when one cannot serve."""
        return await self.service.ready()


def names(collection: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several as a tuple."""
    return (collection,) if isinstance(collection, str) else tuple(collection)
