"""Operations on images that are not stored: detect, compare, verify, liveness, embed."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serve_app.api.api_context import Context
from serve_app.api.error_docs import FACE_ERRORS, PICTURE_ERRORS, error_docs
from serve_app.api.native.access import SearchKey
from serve_app.api.replies import reply
from serve_app.api.request_bodies import EXAMPLE_BASE64, EXAMPLE_FILE, body_docs, read_body
from serve_app.api.request_images import one_of, picture
from serve_app.api.schemas import pictures as schemas
from serve_app.api.schemas.faces import FaceOnPicture
from serve_app.errors import CollectionNotFound, FaceIdNotFound, FaceRejected, PersonNotFound, TooManyFaces
from serve_app.request_context import current

router = APIRouter(tags=["pictures"])


@router.post(
    "/v1/detect",
    summary="Detect the faces of an image",
    response_model=schemas.DetectAnswer,
    responses=error_docs(*PICTURE_ERRORS),
    openapi_extra=body_docs(
        schemas.DetectBody,
        {"image_base64": EXAMPLE_BASE64, "max_faces": 10},
        form={"image": EXAMPLE_FILE, "liveness": True},
    ),
)
async def detect(request: Request, context: Context, key: SearchKey) -> Response:
    """All faces, largest first, with landmarks and quality; an empty list for an image without faces.

    Needs the role `search`.
    """
    body = await read_body(request, context, schemas.DetectBody, max_files=1)
    image = await picture(context, body)
    detection, faces = await context.service.detect(image, liveness=body.liveness, max_faces=body.max_faces)
    found = [schemas.DetectedFaceView.of(face) for face in faces]
    return reply(
        schemas.DetectAnswer(
            request_id=current().request_id,
            image=detection.image,
            faces=found,
            faces_left_out=detection.left_out,
        )
    )


@router.post(
    "/v1/compare",
    summary="Compare the faces of two images",
    response_model=schemas.CompareAnswer,
    responses=error_docs(*FACE_ERRORS),
    openapi_extra=body_docs(
        schemas.CompareBody,
        {"image1_base64": EXAMPLE_BASE64, "image2_url": "https://example.org/ada.jpg", "min_score": 0.7},
        form={"image1": EXAMPLE_FILE, "image2": EXAMPLE_FILE},
    ),
)
async def compare(request: Request, context: Context, key: SearchKey) -> Response:
    """Compares the largest face of one image with the largest face of another. Needs the role `search`."""
    body = await read_body(request, context, schemas.CompareBody, max_files=2)
    first, second = await asyncio.gather(*(one_of(context, body.picture(number)) for number in (1, 2)))
    result = await context.service.compare(first, second, min_score=body.min_score, liveness=body.liveness)
    faces = [FaceOnPicture(**FaceOnPicture.fields_of(face)) for face in (result.first, result.second) if face]
    return reply(schemas.CompareAnswer.of(current().request_id, result, faces=faces))


@router.post(
    "/v1/verify",
    summary="Verify the identity of a person",
    response_model=schemas.VerifyAnswer,
    responses=error_docs(*FACE_ERRORS, PersonNotFound, CollectionNotFound, FaceIdNotFound),
    openapi_extra=body_docs(
        schemas.VerifyBody,
        {"image_base64": EXAMPLE_BASE64, "person_id": "ada-lovelace"},
        form={"image": EXAMPLE_FILE, "person_id": "ada-lovelace", "liveness": True},
    ),
)
async def verify(request: Request, context: Context, key: SearchKey) -> Response:
    """Compares the largest face of an image with all enrolled faces of one person. Needs the role `search`."""
    body = await read_body(request, context, schemas.VerifyBody, max_files=1)
    image = await picture(context, body)
    if body.collection is not None:
        await context.service.matcher.person(key.tenant_id, body.person_id, body.collection)
    result = await context.service.verify(
        key.tenant_id, image, body.person_id, min_score=body.min_score, liveness=body.liveness
    )
    face = FaceOnPicture(**FaceOnPicture.fields_of(result.first))
    fields = {"person_id": body.person_id, "face_id": result.face_id or "", "face": face}
    return reply(schemas.VerifyAnswer.of(current().request_id, result, **fields))


@router.post(
    "/v1/liveness",
    summary="Check the liveness of a person",
    response_model=schemas.LivenessAnswer,
    responses=error_docs(*FACE_ERRORS, TooManyFaces, FaceRejected),
    openapi_extra=body_docs(schemas.LivenessBody, {"image_base64": EXAMPLE_BASE64}, form={"image": EXAMPLE_FILE}),
)
async def liveness(request: Request, context: Context, key: SearchKey) -> Response:
    """Whether the face is that of a person in front of the camera, and not of a print or a screen.

    An image without exactly one usable face is an error that names the reason. Needs the role `search`.
    """
    body = await read_body(request, context, schemas.LivenessBody, max_files=1)
    image = await picture(context, body)
    face, result = await context.service.check_liveness(image, threshold=body.threshold)
    return reply(schemas.LivenessAnswer.about(current().request_id, face, result))


@router.post(
    "/v1/embed",
    summary="Templates of the faces of an image",
    response_model=schemas.EmbedAnswer,
    responses=error_docs(*PICTURE_ERRORS),
    openapi_extra=body_docs(
        schemas.EmbedBody, {"image_base64": EXAMPLE_BASE64}, form={"image": EXAMPLE_FILE, "faces": "all"}
    ),
)
async def embed(request: Request, context: Context, key: SearchKey) -> Response:
    """The vectors by which faces are compared, in the order of the faces. Needs the role `search`."""
    body = await read_body(request, context, schemas.EmbedBody, max_files=1)
    image = await picture(context, body)
    detection, (model, templates) = await context.service.embed(image, faces=body.faces)
    faces = [
        schemas.EmbeddedFaceView(**schemas.EmbeddedFaceView.fields_of(face), embedding=template)
        for face, template in zip(detection.faces, templates.tolist(), strict=True)
    ]
    return reply(
        schemas.EmbedAnswer(
            request_id=current().request_id,
            image=detection.image,
            model=model,
            dimension=int(templates.shape[1]),
            faces=faces,
            faces_left_out=detection.left_out,
        )
    )
