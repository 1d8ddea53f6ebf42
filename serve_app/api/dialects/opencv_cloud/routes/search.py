"""``/search``, ``/search/crops``, ``/search-live-face``, ``/detect`` and ``/verify``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.auth import SearchKey
from serve_app.api.dialects.opencv_cloud import requests
from serve_app.api.dialects.opencv_cloud.errors import PICTURE, error_docs
from serve_app.api.dialects.opencv_cloud.identifiers import searched
from serve_app.api.dialects.opencv_cloud.person_views import matches_of
from serve_app.api.dialects.opencv_cloud.requests import EXAMPLE_ID, EXAMPLE_PICTURE, pictures, read
from serve_app.api.dialects.opencv_cloud.responses import CloudFace, CloudLiveMatches, CloudMatch, CloudVerified
from serve_app.api.replies import reply, reply_list
from serve_app.api.request_bodies import body_docs
from serve_app.api.request_images import load
from serve_app.domain import DetectOptions, Match, ThresholdRequest
from serve_app.errors import NotACrop, NotFound, PersonNotFound

router = APIRouter()

MAX_RESULTS = 10
SEARCH = {"images": [EXAMPLE_PICTURE], "collection_id": EXAMPLE_ID, "max_results": 5, "min_score": 0.81}


def _threshold(min_score: float | None) -> ThresholdRequest:
    return ThresholdRequest(requests.MATCH_SCORE if min_score is None else min_score)


async def _search(request: Request, context: ApiContext, tenant: str, *, crops: bool) -> Response:
    body = await read(request, requests.CloudSearch)
    matches, _ = await context.service.search_set(
        tenant,
        await pictures(context, body.images),
        await searched(context, tenant, body.collection_id),
        max_results=body.max_results or MAX_RESULTS,
        threshold=_threshold(body.min_score),
        crops=crops,
    )
    return reply_list(await matches_of(context, tenant, matches))


@router.post(
    "/search",
    summary="Search for a person",
    response_model=list[CloudMatch],
    responses=error_docs(*PICTURE, NotFound),
    openapi_extra=body_docs(requests.CloudSearch, SEARCH),
)
async def search(request: Request, context: Context, key: SearchKey) -> Response:
    """Searches with 1 to 3 images of one person, of which the best counts; can find none. Needs the role `search`."""
    return await _search(request, context, key.tenant_id, crops=False)


@router.post(
    "/search/crops",
    summary="Search for face crops",
    response_model=list[CloudMatch],
    responses=error_docs(*PICTURE, NotFound, NotACrop),
    openapi_extra=body_docs(requests.CloudSearch, SEARCH),
)
async def search_crops(request: Request, context: Context, key: SearchKey) -> Response:
    """As `/search`, with thumbnails of `/detect` as images. Needs the role `search`."""
    return await _search(request, context, key.tenant_id, crops=True)


@router.post(
    "/search-live-face",
    summary="Search for the person in front of the camera",
    response_model=CloudLiveMatches,
    responses=error_docs(*PICTURE, NotFound),
    openapi_extra=body_docs(requests.CloudLiveSearch, {"image": EXAMPLE_PICTURE, "min_score": 0.81}),
)
async def search_live_face(request: Request, context: Context, key: SearchKey) -> Response:
    """The matches and the liveness of the face, which the caller has to judge. No match is a 404. Needs `search`."""
    body = await read(request, requests.CloudLiveSearch)
    matches, liveness = await context.service.search_set(
        key.tenant_id,
        [await load(context, "image_base64", body.image)],
        await searched(context, key.tenant_id, body.collection_id),
        max_results=body.max_results or MAX_RESULTS,
        threshold=_threshold(body.min_score),
        liveness=True,
    )
    if not matches:
        raise PersonNotFound("No person was found for this face.")
    persons = await matches_of(context, key.tenant_id, matches)
    return reply(CloudLiveMatches(liveness_score=liveness.probability if liveness else 0.0, persons=persons))


@router.post(
    "/detect",
    summary="Detect faces and search for them",
    response_model=list[CloudFace],
    responses=error_docs(*PICTURE, NotFound),
    openapi_extra=body_docs(requests.CloudDetect, {"image": EXAMPLE_PICTURE, "search": {"min_score": 0.81}}),
)
async def detect(request: Request, context: Context, key: SearchKey) -> Response:
    """All faces, largest first; with `search` also their matches. Needs the role `search`."""
    body = await read(request, requests.CloudDetect)
    image = await load(context, "image_base64", body.image)
    if body.search is None:
        options = DetectOptions(max_faces=context.service.max_faces, every=True)
        detection = await context.service.detector.detect(image, options)
        return reply_list([CloudFace.of(face, detection.image, []) for face in detection.faces])
    return reply_list(await _detect_and_search(context, key.tenant_id, image, body.search))


async def _detect_and_search(
    context: ApiContext, tenant: str, image: bytes, options: requests.CloudSearchOptions
) -> list[CloudFace]:
    result = await context.service.search(
        tenant,
        image,
        await searched(context, tenant, options.collection_id),
        max_results=options.max_results or MAX_RESULTS,
        threshold=_threshold(options.min_score),
        faces="all",
        persons_only=True,
    )
    every = await matches_of(context, tenant, [match for face in result.faces for match in face.matches])
    views = iter(every)
    return [
        CloudFace.of(found.face, result.image, [next(views) for _ in found.matches])
        for found in result.faces
        if found.face is not None and result.image is not None
    ]


@router.post(
    "/verify",
    summary="Verify a person",
    response_model=CloudVerified,
    responses=error_docs(*PICTURE, NotFound),
    openapi_extra=body_docs(requests.CloudVerify, {"id": "p-17", "images": [EXAMPLE_PICTURE]}),
)
async def verify(request: Request, context: Context, key: SearchKey) -> Response:
    """Whether the images show this person; `match` is null if they do not. Needs the role `search`."""
    body = await read(request, requests.CloudVerify)
    service, images = context.service, await pictures(context, body.images)
    least = requests.MATCH_SCORE if body.min_score is None else body.min_score
    found = await service.verify_set(key.tenant_id, images, body.id, min_score=least)
    if found is None:
        return reply(CloudVerified(match=None))
    face, score = found
    person = await service.matcher.person(key.tenant_id, body.id)
    match = Match("", person, face, score, 0.0)
    return reply(CloudVerified(match=(await matches_of(context, key.tenant_id, [match]))[0]))
