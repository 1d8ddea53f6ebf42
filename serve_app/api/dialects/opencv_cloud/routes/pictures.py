"""``/compare``, ``/compare-live-face``, ``/liveness`` and ``/head-count``: operations without the gallery."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.auth import SearchKey
from serve_app.api.dialects.opencv_cloud import requests
from serve_app.api.dialects.opencv_cloud.errors import PICTURE, error_docs
from serve_app.api.dialects.opencv_cloud.requests import EXAMPLE_PICTURE, pictures, read
from serve_app.api.dialects.opencv_cloud.responses import CloudCount, CloudLivenessScore, CloudLiveScore, CloudScore
from serve_app.api.replies import reply
from serve_app.api.request_bodies import body_docs
from serve_app.api.request_images import load
from serve_app.domain import DetectOptions

router = APIRouter()

CONFIDENCE = 75


@router.post(
    "/compare",
    summary="Similarity of two sets of images",
    response_model=CloudScore,
    responses=error_docs(*PICTURE),
    openapi_extra=body_docs(requests.CloudCompare, {"probe": [EXAMPLE_PICTURE], "gallery": [EXAMPLE_PICTURE]}),
)
async def compare(request: Request, context: Context, key: SearchKey) -> Response:
    """The score of the best pair. Needs the role `search`."""
    body = await read(request, requests.CloudCompare)
    probe, gallery = await pictures(context, body.probe), await pictures(context, body.gallery)
    score, _ = await context.service.compare_sets(probe, gallery)
    return reply(CloudScore(score=score))


@router.post(
    "/compare-live-face",
    summary="Similarity and liveness",
    response_model=CloudLiveScore,
    responses=error_docs(*PICTURE),
    openapi_extra=body_docs(requests.CloudCompareLive, {"probe": EXAMPLE_PICTURE, "gallery": [EXAMPLE_PICTURE]}),
)
async def compare_live_face(request: Request, context: Context, key: SearchKey) -> Response:
    """The score of the best pair, or 0 if the probe is less live than `liveness_min_score`. Needs the role `search`."""
    body = await read(request, requests.CloudCompareLive)
    probe, gallery = await load(context, "image_base64", body.probe), await pictures(context, body.gallery)
    score, liveness = await context.service.compare_sets([probe], gallery, liveness=True)
    live = liveness.probability if liveness is not None else 0.0
    least = requests.LIVE_SCORE if body.liveness_min_score is None else body.liveness_min_score
    return reply(CloudLiveScore(score=score if live >= least else 0.0, liveness_score=f"{live:.4f}"))


@router.post(
    "/liveness",
    summary="Liveness of a face",
    response_model=CloudLivenessScore,
    responses=error_docs(*PICTURE),
    openapi_extra=body_docs(requests.CloudLiveness, {"image": EXAMPLE_PICTURE, "os": "DESKTOP"}),
)
async def liveness(request: Request, context: Context, key: SearchKey) -> Response:
    """The liveness of the main face. Faces that are too small or cut off are refused. Needs the role `search`."""
    body = await read(request, requests.CloudLiveness)
    _, checked = await context.service.check_liveness(await load(context, "image_base64", body.image))
    return reply(CloudLivenessScore(liveness_score=checked.probability))


@router.post(
    "/head-count",
    summary="Number of faces",
    response_model=CloudCount,
    responses=error_docs(*PICTURE),
    openapi_extra=body_docs(requests.CloudHeadCount, {"image": EXAMPLE_PICTURE, "confidence": 75}),
)
async def head_count(request: Request, context: Context, key: SearchKey) -> Response:
    """The number of faces whose detection score reaches the confidence. Needs the role `search`."""
    body = await read(request, requests.CloudHeadCount)
    service, least = context.service, (body.confidence or CONFIDENCE) / 100
    options = DetectOptions(max_faces=service.max_faces, every=True)
    detection = await service.detector.detect(await load(context, "image_base64", body.image), options)
    return reply(CloudCount(count=sum(face.detection_score >= least for face in detection.faces)))
