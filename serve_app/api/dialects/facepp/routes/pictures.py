"""``detect``, ``compare`` and ``search``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.dialects.facepp import errors, requests, responses
from serve_app.api.dialects.facepp.identifiers import faceset
from serve_app.api.dialects.facepp.parameters import MAX_IMAGE_BYTES, params_docs, read
from serve_app.api.dialects.facepp.requests import EXAMPLE_TOKEN
from serve_app.api.dialects.facepp.responses import reply
from serve_app.api.request_images import load
from serve_app.domain import ApiKey, RegisteredFaces, Role, ThresholdRequest
from serve_app.errors import InvalidRequest

router = APIRouter()

MIN_SIDE, MAX_SIDE = 48, 4096
"""Minimum and maximum pixels of an image's sides."""


@router.post(
    "/detect",
    summary="Face++: detect faces",
    response_model=responses.FaceppDetectAnswer,
    responses=errors.failures(*errors.PICTURE_FAILURES),
    openapi_extra=params_docs(
        requests.FaceppDetectParams, {"image_url": requests.EXAMPLE_URL, "return_attributes": "headpose,blur"}
    ),
)
async def facepp_detect(request: Request, context: Context) -> Response:
    """Each face gets a token, which is valid for the time of the setting `matcher.unattached_face_ttl_h`, and without
    limit in a FaceSet. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppDetectParams, Role.SEARCH, pictures=1)
    wanted = params.attributes
    found = await _register(context, key.tenant_id, params)
    faces = [responses.FaceppFace.of(face, params.landmark, wanted) for face in found.faces]
    if params.face_rectangle is not None:
        faces = _at(faces, params.face_rectangle)
    return reply(
        request,
        responses.FaceppDetectAnswer,
        image_id=responses.image_id_of(found.image_id),
        face_num=len(faces),
        faces=faces,
    )


@router.post(
    "/compare",
    summary="Face++: compare two faces",
    response_model=responses.FaceppCompareAnswer,
    responses=errors.failures(
        "MISSING_ARGUMENTS: face_token1, image_url1, image_file1, image_base64_1",
        "INVALID_FACE_TOKEN: 0123",
        "IMAGE_ERROR_UNSUPPORTED_FORMAT:image_file1",
        "INVALID_IMAGE_SIZE:image_file1",
        "IMAGE_FILE_TOO_LARGE:image_file2",
        "INVALID_IMAGE_URL: image_url1",
        "IMAGE_DOWNLOAD_TIMEOUT: image_url1",
    ),
    openapi_extra=params_docs(
        requests.FaceppCompareParams, {"face_token1": EXAMPLE_TOKEN, "image_url2": requests.EXAMPLE_URL}
    ),
)
async def facepp_compare(request: Request, context: Context) -> Response:
    """Compares the largest face of each image. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppCompareParams, Role.SEARCH, pictures=2)
    fields: dict[str, Any] = {}
    tokens: list[str] = []
    for side in ("1", "2"):
        token = getattr(params, f"face_token{side}")
        if token is None:
            found = await _register(context, key.tenant_id, params, side)
            fields[f"image_id{side}"] = responses.image_id_of(found.image_id)
            fields[f"faces{side}"] = [responses.FaceppFace.of(face) for face in found.faces]
            token = found.faces[0].id if found.faces else None
        else:
            await context.service.matcher.face(key.tenant_id, token)
        if token is not None:
            tokens.append(token)
    if len(tokens) == 2:
        fields["confidence"] = responses.confidence(await _similarity(context, key, *tokens))
        fields["thresholds"] = responses.THRESHOLDS
    return reply(request, responses.FaceppCompareAnswer, **fields)


@router.post(
    "/search",
    summary="Face++: search a FaceSet",
    response_model=responses.FaceppSearchAnswer,
    responses=errors.failures(
        *errors.PICTURE_FAILURES[1:],
        *errors.FACESET_FAILURES,
        "MISSING_ARGUMENTS: face_token, image_url, image_file, image_base64",
        "INVALID_FACE_TOKEN: 0123",
        "EMPTY_FACESET",
    ),
    openapi_extra=params_docs(
        requests.FaceppSearchParams, {"image_url": requests.EXAMPLE_URL, "outer_id": "staff", "return_result_count": 3}
    ),
)
async def facepp_search(request: Request, context: Context) -> Response:
    """The faces of a FaceSet that are nearest to one face, at any confidence. Needs the role `search`."""
    key, params = await read(request, context, requests.FaceppSearchParams, Role.SEARCH, pictures=1)
    searched = await faceset(context, key.tenant_id, params)
    if not searched.face_count:
        raise errors.Refused("EMPTY_FACESET")
    fields: dict[str, Any] = {}
    token = params.face_token
    if token is None:
        found = await _register(context, key.tenant_id, params, liveness=searched.policy.liveness)
        fields = {
            "image_id": responses.image_id_of(found.image_id),
            "faces": [responses.FaceppFace.of(face) for face in found.faces],
        }
        token = found.faces[0].id if found.faces else None
    if token is not None:
        result = await context.service.search_face(
            key.tenant_id,
            token,
            (searched.name,),
            max_results=params.return_result_count,
            threshold=ThresholdRequest(min_score=0.0),
        )
        fields["results"] = [responses.FaceppResult.of(match) for match in result.faces[0].matches]
        fields["thresholds"] = responses.THRESHOLDS
    return reply(request, responses.FaceppSearchAnswer, **fields)


async def _similarity(context: ApiContext, key: ApiKey, first: str, second: str) -> float:
    try:
        return await context.service.similarity(key.tenant_id, first, second)
    except InvalidRequest:  # embedded by a model that is no longer in use
        raise errors.bad("face_token1") from None


def _at(faces: list[responses.FaceppFace], rectangle: str) -> list[responses.FaceppFace]:
    """The face that overlaps most with the rectangle; none if no face overlaps."""
    top, left, width, height = map(int, rectangle.split(","))
    shares = [_common(face.face_rectangle, top, left, width, height) for face in faces]
    best = max(range(len(faces)), key=lambda index: shares[index], default=None)
    return [faces[best]] if best is not None and shares[best] > 0 else []


def _common(box: responses.FaceppRectangle, top: int, left: int, width: int, height: int) -> float:
    """Intersection over union of two rectangles."""
    across = min(box.left + box.width, left + width) - max(box.left, left)
    down = min(box.top + box.height, top + height) - max(box.top, top)
    both = max(0, across) * max(0, down)
    return both / max(1, box.width * box.height + width * height - both)


async def _register(
    context: ApiContext, tenant: str, params: requests.FaceppBody, suffix: str = "", liveness: bool = False
) -> RegisteredFaces:
    """Store the faces of the image in the parameters; each face gets a token. Raises Refused.

    ``suffix`` is ``1`` or ``2`` if a request has two images.
    """
    as_text = f"_{suffix}" if suffix else ""
    names = {"file": f"image_file{suffix}", "base64": f"image_base64{as_text}", "url": f"image_url{suffix}"}
    sent = {kind: getattr(params, name) for kind, name in names.items()}
    kind = next((kind for kind, value in sent.items() if value is not None), None)
    if kind is None:
        tokens = (f"face_token{suffix}",) if hasattr(params, f"face_token{suffix}") else ()
        raise errors.missing(*tokens, names["url"], names["file"], names["base64"])
    with errors.image_errors(names[kind], named=bool(suffix)):
        image = await load(context, f"image_{kind}", sent[kind], MAX_IMAGE_BYTES)
        return await context.service.register_faces(
            tenant,
            image,
            storage=context.default_policy.image_storage,
            liveness=liveness,
            min_side=MIN_SIDE,
            max_side=MAX_SIDE,
        )
