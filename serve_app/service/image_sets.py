"""Pictures in sets: up to a few pictures of one person as a probe, as a gallery, or as somebody's new faces.

The score of a set is that of its best picture. A mean template would be another matter: the calibration was measured
on single pictures, and so is its meaning here. A probe of n pictures has up to n times the false-match rate of one.

Instead of pictures a set may consist of crops: aligned faces of 112 x 112 pixels, such as detection answers.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from serve_app.domain import (
    Box,
    CollectionPolicy,
    DetectedFace,
    DetectOptions,
    Enrolment,
    Face,
    GalleryQuery,
    ImageStorage,
    Liveness,
    Match,
    NewFace,
    PersonFields,
    PersonUpdate,
    ThresholdRequest,
)
from serve_app.errors import ImageDimensions, ImageError, ImageTooLarge, InvalidRequest, LivenessRequired, NotACrop
from serve_app.score import check_threshold
from serve_app.service.enrolment import EnrolmentOperations
from serve_app.service.operations import NOTHING, Embedded, main_face, refuse_not_live
from serve_app.settings import Limits
from serve_app.vision.align import CROP_SIDE, REFERENCE
from serve_app.vision.image import encode_jpeg, read_image
from serve_app.vision.quality import assess

CROP_LIMITS = Limits(max_image_bytes=2**20, max_image_pixels=CROP_SIDE**2, min_image_side=1)
"""For reading crops; 112 x 112 pixels as BMP have 37 kB."""


class SetOperations(EnrolmentOperations):
    """What is done with sets of pictures."""

    # -- enrolment

    async def enroll_set(
        self,
        tenant: str,
        person_id: str,
        images: Sequence[bytes],
        collections: Sequence[str] = (),
        fields: PersonFields = PersonFields(),
        *,
        crops: bool = False,
    ) -> Enrolment:
        """Create a person from a set, in any number of collections; thumbnails are kept.

        Raises:
            PersonExists, CollectionNotFound; ImageError and FaceError with ``details["image"]``; NotACrop;
            LivenessRequired if a collection demands a check, which crops do not allow.
        """

        async def write(live_from: float | None) -> Enrolment:
            new = await self._faces_of_set(images, crops, live_from)
            return await self.matcher.put_person(tenant, person_id, collections, fields, new, must_be_new=True)

        try:
            return await write(None)
        except LivenessRequired as required:
            if crops:
                raise
            return await write(required.details["threshold"])

    async def update_person(
        self, tenant: str, person_id: str, update: PersonUpdate, images: Sequence[bytes] = ()
    ) -> Enrolment:
        """Change a person; the faces of the set become ``new_faces`` of the update.

        Raises:
            What ``Directory.update_person`` raises; ImageError and FaceError with ``details["image"]``.
        """

        async def write(live_from: float | None) -> Enrolment:
            new = await self._faces_of_set(images, False, live_from)
            return await self.matcher.update_person(tenant, person_id, replace(update, new_faces=tuple(new)))

        try:
            return await write(None)
        except LivenessRequired as required:
            if not images:  # the present faces lack the check, and a second attempt cannot mend that
                raise
            return await write(required.details["threshold"])

    async def _faces_of_set(self, images: Sequence[bytes], crops: bool, live_from: float | None) -> list[NewFace]:
        if not images:
            return []
        policy = CollectionPolicy(liveness_threshold=0.5 if live_from is None else live_from)
        if not crops:
            storage = ImageStorage.THUMBNAIL
            return await self._new_faces(images, "one", NOTHING, 0.0, policy, live_from is not None, storage)
        found = [_read_crop(image, index) for index, image in enumerate(images)]
        templates = await self._embed_new(found)
        return [
            NewFace(
                template=new.template,
                model=new.model,
                further=new.further,
                image_id=uuid.uuid4().hex,
                box=face.box,
                quality=face.quality.value,
                detection_score=face.detection_score,
                storage=ImageStorage.THUMBNAIL,
                thumbnail=encode_jpeg(face.crop),
            )
            for face, new in zip(found, templates, strict=True)
        ]

    # -- searching and comparing

    async def search_set(
        self,
        tenant: str,
        images: Sequence[bytes],
        collections: Sequence[str] | None,
        *,
        max_results: int,
        threshold: ThresholdRequest,
        crops: bool = False,
        liveness: bool = False,
    ) -> tuple[tuple[Match, ...], Liveness | None]:
        """Who the one person on these pictures is; persons only, best first.

        Args:
            collections: None searches everybody.
            liveness: also check it, and say of the picture that looks least live how live it is. Whether such a set
                may match is the caller's decision, unless a collection demands liveness: then it is refused.

        Raises:
            CollectionNotFound, NoFaceDetected, TooManyFaces, NotACrop; FaceNotLive by a collection's policy;
            LivenessRequired if a collection demands a check, which crops do not allow.
        """
        check_threshold(threshold)
        if not images:
            raise InvalidRequest("A set needs at least one picture, got none.")

        async def attempt(live_from: float | None) -> tuple[tuple[Match, ...], Liveness | None]:
            (model, probes), checked = await self._probes(images, crops, liveness or live_from is not None, live_from)
            if live_from is not None:
                for index, result in enumerate(checked):
                    refuse_not_live(result, image=index)
            query = GalleryQuery(
                probes, model, None if collections is None else tuple(collections), max_results, threshold
            )
            query = replace(query, persons_only=True, liveness_threshold=live_from)
            answer = await self.matcher.search(tenant, query)
            least = min(checked, key=lambda result: result.probability) if checked else None
            return _best_of(answer.matches)[:max_results], least

        try:
            return await attempt(None)
        except LivenessRequired as required:
            if crops:
                raise
            return await attempt(required.details["threshold"])

    async def verify_set(
        self, tenant: str, images: Sequence[bytes], person_id: str, *, min_score: float
    ) -> tuple[Face, float] | None:
        """The person's face that comes nearest to a picture of the set, and its score; None below ``min_score``.

        Raises:
            PersonNotFound, NoFaceDetected, TooManyFaces; FaceIdNotFound if the person has no faces.
        """
        check_threshold(ThresholdRequest(min_score))
        (model, probes), _ = await self._probes(images, False, False, None)
        found = await asyncio.gather(*(self.matcher.verify(tenant, person_id, probe[None], model) for probe in probes))
        face, cosine = max(found, key=lambda item: item[1])
        score = self._score(model, cosine)
        return (face, score) if score >= min_score else None

    async def compare_sets(
        self, probe: Sequence[bytes], gallery: Sequence[bytes], *, liveness: bool = False
    ) -> tuple[float, Liveness | None]:
        """The score of the best pair of two sets, and the liveness of the probe's least live picture if asked for.

        Raises:
            NoFaceDetected, TooManyFaces, ImageError: ``details["image"]`` counts within its set.
        """
        (found, checked), (others, _) = await asyncio.gather(
            self._faces_of(probe, False, liveness, None), self._faces_of(gallery, False, False, None)
        )
        model, templates = await self._embed([*found, *others])
        a, b = templates[: len(found)], templates[len(found) :]
        least = min(checked, key=lambda result: result.probability) if checked else None
        return self._score(model, float(np.clip((a @ b.T).max(), -1.0, 1.0))), least

    async def _probes(
        self, images: Sequence[bytes], crops: bool, liveness: bool, live_from: float | None
    ) -> tuple[Embedded, list[Liveness]]:
        found, checked = await self._faces_of(images, crops, liveness, live_from)
        return await self._embed(found), checked

    async def _faces_of(
        self, images: Sequence[bytes], crops: bool, liveness: bool, live_from: float | None
    ) -> tuple[list[DetectedFace], list[Liveness]]:
        if crops:
            return [_read_crop(image, index) for index, image in enumerate(images)], []
        options = DetectOptions(liveness=liveness)
        detections = await asyncio.gather(
            *(self._one_detection(image, index, options) for index, image in enumerate(images))
        )
        found = [main_face(detection, "one", image=index) for index, detection in enumerate(detections)]
        checked = await self._checked(found, liveness, live_from)
        return found, [face.liveness for face in checked if face.liveness is not None]


def _best_of(answers: Sequence[Sequence[Match]]) -> tuple[Match, ...]:
    best: dict[str, Match] = {}
    for match in (match for matches in answers for match in matches):
        if match.person is not None and (match.person.id not in best or best[match.person.id].score < match.score):
            best[match.person.id] = match
    return tuple(sorted(best.values(), key=lambda match: -match.score))


def _read_crop(image: bytes, index: int) -> DetectedFace:
    details = {"image": index}
    try:
        info, pixels = read_image(image, CROP_LIMITS)
    except (ImageTooLarge, ImageDimensions):
        raise NotACrop(f"Picture {index} is not a face crop of {CROP_SIDE} x {CROP_SIDE} pixels.", **details) from None
    except ImageError as error:
        raise type(error)(f"Picture {index}: {error.message}", **{**error.details, **details}) from None
    if (info.width, info.height) != (CROP_SIDE, CROP_SIDE):
        raise NotACrop(
            f"A face crop of {CROP_SIDE} x {CROP_SIDE} pixels was expected, picture {index} has "
            f"{info.width} x {info.height}.",
            **details,
        )
    landmarks = REFERENCE
    quality = assess(pixels, Box(0.0, 0.0, CROP_SIDE, CROP_SIDE), landmarks, 1.0, CROP_SIDE, CROP_SIDE)
    # The crop shows no surroundings, so nothing is known of the codes.
    return DetectedFace(
        box=Box(0.0, 0.0, CROP_SIDE, CROP_SIDE),
        landmarks=landmarks,
        detection_score=1.0,
        quality=replace(quality, codes=frozenset()),
        crop=pixels,
    )
