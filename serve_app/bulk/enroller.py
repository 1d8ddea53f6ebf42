"""Enrols one person: splits the images into bounded requests and leaves refused images out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serve_app.bulk.entries import Entry, Outcome, PictureError, PictureFile, Status
from serve_app.bulk.files import NotRead

Mode = Literal["replace", "add"]

RETURN_WITHIN_S = 60.0
"""Seconds to wait until a lost service answers again, for example after a restart."""


class Refused(Exception):
    """A request was refused.

    Attributes:
        code, message: the reason, for programs and for people.
        picture: position of the image that caused the refusal; None if the request itself did.
        fatal: whether every further request would be refused as well.
    """

    def __init__(self, code: str, message: str, picture: int | None = None, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.picture, self.fatal = code, message, picture, fatal


class TargetUnreachable(Exception):
    """The service was lost during a request; it is not known whether the request was carried out."""


class EnrolmentTarget(Protocol):
    """A collection of a service, into which persons are enrolled."""

    async def put(self, person: str, images: Sequence[bytes], fields: Mapping[str, Any], mode: Mode) -> int:
        """Enrol all of these images or none; returns the number of faces added. Raises Refused, TargetUnreachable."""

    async def returns(self) -> bool:
        """Wait until a lost service answers again; False if it does not in time."""


@dataclass(frozen=True)
class Enroller:
    """Enrols persons into a target.

    Attributes:
        target: where persons are enrolled.
        read: reads an image's bytes; raises NotRead.
        most: most images in one request.
        most_bytes: most bytes of images in one request.
    """

    target: EnrolmentTarget
    read: Callable[[PictureFile], Awaitable[bytes]]
    most: int = 20
    most_bytes: int = 32 * 2**20

    async def enroll(self, entry: Entry) -> Outcome:
        """Replace the person's faces by those of the entry; refused images are left out.

        Raises TargetUnreachable if the service was lost and did not answer again in time; Refused: for a reason that
        holds for all persons.
        """
        try:
            return await self._enroll(entry)
        except TargetUnreachable:
            if not await self.target.returns():
                raise
        try:
            # Begin again with the first image: it is not known whether the last request was carried out.
            return await self._enroll(entry)
        except TargetUnreachable as error:
            return failed(entry, "unreachable", str(error))

    async def _enroll(self, entry: Entry) -> Outcome:
        try:
            entry.person.encode()
        except UnicodeEncodeError:
            return failed(entry, "invalid_id", "The name of the folder is not UTF-8.")
        if not entry.files:
            return failed(entry, "no_pictures", "There are no images of this person.")
        faces = 0
        errors: list[PictureError] = []
        try:
            for batch in batches(entry.files, self.most, self.most_bytes):
                faces += await self._batch(entry, batch, "add" if faces else "replace", errors)
        except Refused as error:
            if error.fatal:
                raise
            errors.append(PictureError("", error.code, error.message))
        status = Status.PARTIAL if faces else Status.FAILED
        return Outcome(entry, status if errors else Status.ENROLLED, faces, tuple(errors))

    async def _batch(self, entry: Entry, files: Sequence[PictureFile], mode: Mode, refused: list[PictureError]) -> int:
        """Send images in one request, repeated without the refused image after each refusal (it is all or nothing)."""
        images: list[tuple[PictureFile, bytes]] = []
        for file in files:
            try:
                images.append((file, await self.read(file)))
            except NotRead as error:
                refused.append(PictureError(file.location, error.code, str(error)))
        while images:
            try:
                return await self.target.put(entry.person, [content for _, content in images], entry.fields, mode)
            except Refused as error:
                if error.picture is None:
                    raise
                file, _ = images.pop(error.picture)
                refused.append(PictureError(file.location, error.code, error.message))
        return 0


def batches(files: Sequence[PictureFile], most: int, most_bytes: int) -> Iterator[list[PictureFile]]:
    """Split files into batches of at most ``most`` files and ``most_bytes`` bytes.

    A larger file, and a file of unknown size, is a batch by itself.
    """
    batch: list[PictureFile] = []
    used = 0
    for file in files:
        size = most_bytes if file.size is None else file.size
        if batch and (len(batch) >= most or used + size > most_bytes):
            yield batch
            batch, used = [], 0
        batch.append(file)
        used += size
    if batch:
        yield batch


def blamed(details: Mapping[str, Any], status: int, count: int) -> int | None:
    """Position of the image that an error of the service is about, in a request of ``count`` images; None if none."""
    position = details.get("image")
    if isinstance(position, int) and 0 <= position < count:
        return position
    # A single image can be refused for its size or format before the service numbers the images.
    return 0 if count == 1 and status in {413, 415} else None


def failed(entry: Entry, code: str, message: str) -> Outcome:
    """The outcome for a person of whom nothing was enrolled."""
    return Outcome(entry, Status.FAILED, errors=(PictureError("", code, message),))
