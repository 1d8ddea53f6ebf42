"""Operations on image sets: a few images of one person as a probe, as a gallery, or as new faces.

The score of a set is that of its best image. The set's mean template is not used, because the calibration was measured
on single images. A probe of n images has up to n times the false-match rate of one image.

Instead of images a set can consist of crops: aligned faces of 112 x 112 pixels, as returned by detection.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from serve_app.cancellation import in_thread
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
from serve_app.service.face_checks import refuse_not_live
from serve_app.service.new_faces import new_face
from serve_app.settings import Limits
from serve_app.vision.align import CROP_SIDE, REFERENCE
from serve_app.vision.image import read_image
from serve_app.vision.quality import assess

CROP_LIMITS = Limits(max_image_bytes=2**20, max_image_pixels=CROP_SIDE**2, min_image_side=1)
"""Limits for crops; 112 x 112 pixels take 37 kB as BMP."""


class SetOperations(EnrolmentOperations):
    """Operations on image sets."""

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

        Args:
            images: images, or crops if ``crops``.
            crops: whether ``images`` are crops.

        Raises:
            PersonExists, CollectionNotFound.
            ImageError, FaceError: with ``details["image"]``, the position in the set.
            NotACrop: an image of a crop set is not a crop.
            LivenessRequired: a collection demands a liveness check, which is not possible on crops.
        """

        async def write(new: Sequence[NewFace]) -> Enrolment:
            return await self.matcher.put_person(tenant, person_id, collections, fields, new, must_be_new=True)

        if crops:
            return await write(await self._faces_of_crops(images))
        return await self._write_faces(images, await self._detect_each(images, "one"), ImageStorage.THUMBNAIL, write)

    async def update_person(
        self, tenant: str, person_id: str, update: PersonUpdate, images: Sequence[bytes] = ()
    ) -> Enrolment:
        """Change a person; the faces of ``images`` become ``new_faces`` of the update.

        Raises:
            The errors of :meth:`serve_app.contracts.persons.Persons.update_person`; ImageError and FaceError with
            ``details["image"]``.
        """

        async def write(new: Sequence[NewFace]) -> Enrolment:
            return await self.matcher.update_person(tenant, person_id, replace(update, new_faces=tuple(new)))

        return await self._write_faces(images, await self._detect_each(images, "one"), ImageStorage.THUMBNAIL, write)

    async def _faces_of_crops(self, crops: Sequence[bytes]) -> list[NewFace]:
        found = await in_thread(None, _read_crops, crops)
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
        """Search for the person that all images show.

        Args:
            images: at least one image, or crops if ``crops``.
            collections: names; None searches all persons.
            max_results: most persons in the result.
            crops: whether ``images`` are crops.
            liveness: also check liveness. A set that is not live is refused only if a collection demands liveness;
                otherwise the caller decides.

        Returns:
            Matching persons (no unassigned faces), best first, and the lowest liveness of the set; None if it was not
            checked.

        Raises:
            CollectionNotFound, NoFaceDetected, TooManyFaces, NotACrop.
            FaceNotLive: a collection demands liveness and a face is not live.
            LivenessRequired: a collection demands a liveness check, which is not possible on crops.
        """
        check_threshold(threshold)
        if not images:
            raise InvalidRequest("A set needs at least one image, got none.")

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
                probes, model, searched, max_results, threshold, liveness_threshold=demanded, persons_only=True
            )
            answer = await self.matcher.search(tenant, query)
            return _best_of(answer.matches)[:max_results], _least_live(checked)

        if crops:
            return await attempt(found, None)
        return await self._meeting_demand([(image, [each]) for image, each in zip(images, found, strict=True)], attempt)

    async def verify_set(
        self, tenant: str, images: Sequence[bytes], person_id: str, *, min_score: float
    ) -> tuple[Face, float] | None:
        """The person's face that is most similar to an image of the set, with its score; None below ``min_score``.

        Raises PersonNotFound, NoFaceDetected, TooManyFaces; FaceIdNotFound if the person has no faces.
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
        """The score of the best pair of two sets, and the lowest liveness of the probe (None if not asked for).

        Raises NoFaceDetected, TooManyFaces, ImageError: ``details["image"]`` is the position within the set.
        """
        probe_faces, gallery_faces = await asyncio.gather(
            self._faces_of(probe, False, liveness), self._faces_of(gallery, False, False)
        )
        model, templates = await self._embed([each.face for each in (*probe_faces, *gallery_faces)])
        a, b = templates[: len(probe_faces)], templates[len(probe_faces) :]
        return self._score(model, float(np.clip((a @ b.T).max(), -1.0, 1.0))), _least_live(probe_faces)

    async def _faces_of(self, images: Sequence[bytes], crops: bool, liveness: bool) -> Sequence[CheckedFace]:
        if crops:
            return [CheckedFace(face) for face in await in_thread(None, _read_crops, images)]
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


def _read_crops(crops: Sequence[bytes]) -> list[DetectedFace]:
    return [_read_crop(crop, index) for index, crop in enumerate(crops)]


def _read_crop(image: bytes, index: int) -> DetectedFace:
    details = {"image": index}
    try:
        info, pixels = read_image(image, CROP_LIMITS)
    except (ImageTooLarge, ImageDimensions):
        raise NotACrop(f"Image {index} is not a face crop of {CROP_SIDE} x {CROP_SIDE} pixels.", **details) from None
    except ImageError as error:
        raise type(error)(f"Image {index}: {error.message}", **{**error.details, **details}) from None
    if (info.width, info.height) != (CROP_SIDE, CROP_SIDE):
        expected = f"Expected a face crop of {CROP_SIDE} x {CROP_SIDE} pixels as image {index}"
        raise NotACrop(f"{expected}, got {info.width} x {info.height}.", **details)
    box = Box(0.0, 0.0, CROP_SIDE, CROP_SIDE)
    quality = assess(pixels, box, REFERENCE, 1.0, CROP_SIDE, CROP_SIDE)
    # A crop shows no surroundings, so the quality codes cannot be determined.
    return DetectedFace(box, REFERENCE, 1.0, replace(quality, codes=frozenset()), pixels)
