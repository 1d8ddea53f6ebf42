"""``POST /v1/search``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.error_docs import PICTURE_ERRORS, error_docs
from serve_app.api.native.access import SearchKey
from serve_app.api.replies import reply
from serve_app.api.request_bodies import EXAMPLE_BASE64, EXAMPLE_FILE, at_most, body_docs, exactly_one, read_body
from serve_app.api.request_images import picture
from serve_app.api.schemas.pictures import PictureBody
from serve_app.api.schemas.search import SearchAnswer, SearchBody
from serve_app.domain import ThresholdRequest
from serve_app.errors import CollectionNotFound, FaceIdNotFound, UnknownsNotKept
from serve_app.request_context import current

router = APIRouter(tags=["search"])


@router.post(
    "/v1/search",
    summary="Search collections for a face",
    response_model=SearchAnswer,
    responses=error_docs(*PICTURE_ERRORS, CollectionNotFound, FaceIdNotFound, UnknownsNotKept),
    openapi_extra=body_docs(
        SearchBody,
        {"image_base64": EXAMPLE_BASE64, "collections": ["staff", "visitors"], "max_results": 5, "fpir": 0.01},
        form={"image": EXAMPLE_FILE, "collections": "staff,visitors", "max_results": 5, "faces": "all"},
    ),
)
async def search(request: Request, context: Context, key: SearchKey) -> Response:
    """Searches one collection or several for the largest face of an image, for each face, or for an enrolled face.

    Without `min_score` and `fpir` the threshold keeps the share of searches by unknown people that return anyone (FPIR)
    at 1 %, for any size of the gallery. The response contains the threshold. Needs the role `search`.
    """
    body = await read_body(request, context, SearchBody, max_files=1)
    at_most("max_results", body.max_results, context.settings.limits.max_results)
    collections = tuple(dict.fromkeys(body.collections))
    threshold = ThresholdRequest(body.min_score, body.fpir)
    exactly_one({name: getattr(body, name) for name in (*PictureBody.model_fields, "face_id")})
    if body.face_id is not None:
        result = await context.service.search_face(
            key.tenant_id,
            body.face_id,
            collections,
            max_results=body.max_results,
            threshold=threshold,
            trace=body.trace,
        )
    else:
        result = await context.service.search(
            key.tenant_id,
            await picture(context, body),
            collections,
            max_results=body.max_results,
            threshold=threshold,
            faces=body.faces,
            liveness=body.liveness,
            trace=body.trace,
            keep_unknown=body.keep_unknown,
        )
    return reply(SearchAnswer.of(current().request_id, result))
