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
    CheckedFace,
    DetectedFace,
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
from serve_app.errors import ImageDimensions, ImageError, ImageTooLarge, InvalidRequest, NotACrop
from serve_app.score import check_threshold
from serve_app.service.enrolment import EnrolmentOperations
from serve_app.service.new_faces import new_face
from serve_app.service.refusals import refuse_not_live
from serve_app.settings import Limits
from serve_app.vision.align import CROP_SIDE, REFERENCE
from serve_app.vision.image import read_image
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

        async def write(new: Sequence[NewFace]) -> Enrolment:
            return await self.matcher.put_person(tenant, person_id, collections, fields, new, must_be_new=True)

        if crops:
            return await write(await self._faces_of_crops(images))
        return await self._write_faces(images, await self._detect_each(images, "one"), ImageStorage.THUMBNAIL, write)

    async def update_person(
        self, tenant: str, person_id: str, update: PersonUpdate, images: Sequence[bytes] = ()
    ) -> Enrolment:
        """Change a person; the faces of the set become ``new_faces`` of the update.

        Raises:
            What ``Directory.update_person`` raises; ImageError and FaceError with ``details["image"]``.
        """

        async def write(new: Sequence[NewFace]) -> Enrolment:
            return await self.matcher.update_person(tenant, person_id, replace(update, new_faces=tuple(new)))

        return await self._write_faces(images, await self._detect_each(images, "one"), ImageStorage.THUMBNAIL, write)

    async def _faces_of_crops(self, crops: Sequence[bytes]) -> list[NewFace]:
        found = [_read_crop(crop, index) for index, crop in enumerate(crops)]
        return [
            new_face(CheckedFace(face), templates, uuid.uuid4().hex, ImageStorage.THUMBNAIL, appearance=False)
            for face, templates in zip(found, await self._embed_new(found), strict=True)
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

        found = await self._faces_of(images, crops, liveness)
        model, probes = await self._embed([each.face for each in found])

        async def attempt(
            checked: Sequence[CheckedFace], demanded: float | None
        ) -> tuple[tuple[Match, ...], Liveness | None]:
            if demanded is not None:
                for index, each in enumerate(checked):
                    refuse_not_live(each.liveness, image=index)
            searched = None if collections is None else tuple(collections)
            query = GalleryQuery(
                probes,
                model,
                searched,
                max_results,
                threshold,
                liveness_threshold=demanded,
                persons_only=True,
            )
            answer = await self.matcher.search(tenant, query)
            return _best_of(answer.matches)[:max_results], _least_live(checked)

        if crops:
            return await attempt(found, None)
        return await self._meeting_demand([(image, [each]) for image, each in zip(images, found, strict=True)], attempt)

    async def verify_set(
        self, tenant: str, images: Sequence[bytes], person_id: str, *, min_score: float
    ) -> tuple[Face, float] | None:
        """The person's face that comes nearest to a picture of the set, and its score; None below ``min_score``.

        Raises:
            PersonNotFound, NoFaceDetected, TooManyFaces; FaceIdNotFound if the person has no faces.
        """
        check_threshold(ThresholdRequest(min_score))
        model, probes = await self._embed(await self._detect_each(images, "one"))
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
        found, others = await asyncio.gather(
            self._faces_of(probe, False, liveness), self._faces_of(gallery, False, False)
        )
        model, templates = await self._embed([each.face for each in (*found, *others)])
        a, b = templates[: len(found)], templates[len(found) :]
        return self._score(model, float(np.clip((a @ b.T).max(), -1.0, 1.0))), _least_live(found)

    async def _faces_of(self, images: Sequence[bytes], crops: bool, liveness: bool) -> Sequence[CheckedFace]:
        if crops:
            return [CheckedFace(_read_crop(image, index)) for index, image in enumerate(images)]
        return await self._checked(await self._detect_each(images, "one", liveness), liveness)


def _least_live(checked: Sequence[CheckedFace]) -> Liveness | None:
    results = [each.liveness for each in checked if each.liveness is not None]
    return min(results, key=lambda result: result.probability, default=None)


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
