"""``POST /face-search``, ``POST /multi-face-search``, ``POST /compare``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.auth import SearchKey
from serve_app.api.dialects.opencv_fr_server import requests, responses
from serve_app.api.dialects.opencv_fr_server.errors import LIVENESS_ERRORS, PICTURE_ERRORS, error_docs
from serve_app.api.dialects.opencv_fr_server.requests import EXAMPLE_BASE64
from serve_app.api.dialects.opencv_fr_server.responses import thumbnails, to_base64
from serve_app.api.replies import reply
from serve_app.api.request_bodies import at_most, body_docs, read_body
from serve_app.api.request_images import load
from serve_app.domain import ThresholdRequest
from serve_app.errors import CollectionNotFound, NoFaceDetected
from serve_app.service import refuse_not_live
from serve_app.vision.image import encode_jpeg

router = APIRouter()


@router.post(
    "/face-search",
    summary="1:N face search",
    response_model=responses.FrServerMatches,
    responses=error_docs(*LIVENESS_ERRORS, CollectionNotFound),
    openapi_extra=body_docs(
        requests.FrServerSearchBody,
        {
            "check_liveness": False,
            "collection_name": "MyCollection",
            "face_base_64": EXAMPLE_BASE64,
            "min_similarity_score": 0.7,
            "max_results": 1,
        },
    ),
)
async def face_search(request: Request, context: Context, key: SearchKey) -> Response:
    """The persons of the collection with the face of this image; can be an empty list. Needs the role `search`."""
    body = await read_body(request, context, requests.FrServerSearchBody)
    at_most("max_results", body.max_results, context.settings.limits.max_results)
    result = await context.service.search(
        key.tenant_id,
        await load(context, "face_base_64", body.face_base_64),
        (body.collection_name,),
        max_results=body.max_results,
        threshold=ThresholdRequest(body.min_similarity_score),
        faces="one" if body.check_liveness else "largest",
        liveness=body.check_liveness,
        reject=requests.faults(body.check_liveness),
    )
    if not result.faces:
        raise NoFaceDetected("No face was found in the image.")
    refuse_not_live(result.faces[0].liveness)
    matches = result.faces[0].matches
    stored = await thumbnails(context, key.tenant_id, [match.face.id for match in matches])
    return reply(
        responses.FrServerMatches([responses.FrServerMatch.of(*found) for found in zip(matches, stored, strict=True)])
    )


@router.post(
    "/multi-face-search",
    summary="N:N face search",
    response_model=responses.FrServerMultiSearchAnswer,
    responses=error_docs(*PICTURE_ERRORS, CollectionNotFound),
    openapi_extra=body_docs(
        requests.FrServerMultiSearchBody,
        {"collection_name": "MyCollection", "multi_face_img_base_64": EXAMPLE_BASE64, "min_similarity_score": 0.7},
    ),
)
async def multi_face_search(request: Request, context: Context, key: SearchKey) -> Response:
    """The persons of the collection with the faces of this image. Needs the role `search`."""
    body = await read_body(request, context, requests.FrServerMultiSearchBody)
    result = await context.service.search(
        key.tenant_id,
        await load(context, "multi_face_img_base_64", body.multi_face_img_base_64),
        (body.collection_name,),
        max_results=1,
        threshold=ThresholdRequest(body.min_similarity_score),
        faces="all",
    )
    if not result.faces:
        raise NoFaceDetected("No face was found in the image.")
    matches = sorted((face.matches[0] for face in result.faces if face.matches), key=lambda match: -match.score)
    unknown = [face.face for face in result.faces if face.face is not None and not face.matches]
    stored = await thumbnails(context, key.tenant_id, [match.face.id for match in matches])
    answer = responses.FrServerMultiSearchAnswer(
        person_search_results=[responses.FrServerMatch.of(*found) for found in zip(matches, stored, strict=True)],
        unrecognized_face_thumbnails_base_64=[to_base64(encode_jpeg(face.crop)) for face in unknown],
    )
    return reply(answer)


@router.post(
    "/compare",
    summary="1:1 face comparison",
    response_model=responses.FrServerCompareAnswer,
    responses=error_docs(*LIVENESS_ERRORS),
    openapi_extra=body_docs(
        requests.FrServerCompareBody,
        {
            "check_liveness": False,
            "face_base_64": EXAMPLE_BASE64,
            "ref_face_base_64": EXAMPLE_BASE64,
            "min_similarity_score": 0.7,
        },
    ),
)
async def compare(request: Request, context: Context, key: SearchKey) -> Response:
    """Whether two images show the same person. Needs the role `search`."""
    body = await read_body(request, context, requests.FrServerCompareBody)
    comparison = await context.service.compare(
        await load(context, "face_base_64", body.face_base_64),
        await load(context, "ref_face_base_64", body.ref_face_base_64),
        min_score=body.min_similarity_score,
        liveness=body.check_liveness,
        faces="one" if body.check_liveness else "largest",
        reject=requests.faults(body.check_liveness),
    )
    refuse_not_live(comparison.liveness)
    return reply(responses.FrServerCompareAnswer(is_match=comparison.is_match))
