"""One person through a door: pictures in requests of bounded size, without those that are refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from serve_app.bulk.entries import Entry, Outcome, PictureError, PictureFile, Status
from serve_app.bulk.files import NotRead

Mode = Literal["replace", "add"]


class Refused(Exception):
    """A request was refused.

    Attributes:
        code, message: why.
        picture: the position of the picture that is to blame; None if it is the request.
        fatal: whether every further request would be refused as well.
    """

    def __init__(self, code: str, message: str, picture: int | None = None, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.picture, self.fatal = code, message, picture, fatal


class TargetUnreachable(Exception):
    """Whether a request was carried out is not known."""


class EnrolmentTarget(Protocol):
    """How persons get into one collection."""

    async def put(self, person: str, images: Sequence[bytes], fields: Mapping[str, Any], mode: Mode) -> int:
        """Enrol from these pictures, all or none; the number of faces added. Raises Refused, TargetUnreachable."""
        ...

    async def returns(self) -> bool:
        """Wait for a service that is gone; False if it stays away."""
        ...


@dataclass(frozen=True)
class Enroller:
    """Enrols persons.

    Attributes:
        read: a picture's bytes; raises NotRead.
        most, most_bytes: pictures of one request, and their bytes together.
    """

    target: EnrolmentTarget
    read: Callable[[PictureFile], Awaitable[bytes]]
    most: int = 20
    most_bytes: int = 32 * 2**20

    async def enroll(self, entry: Entry) -> Outcome:
        """Make the person's faces those of the entry; pictures that are refused are left out.

        Raises:
            TargetUnreachable: the service went away and did not come back.
            Refused: for a reason that holds for everybody.
        """
        try:
            return await self._enroll(entry)
        except TargetUnreachable:
            if not await self.target.returns():
                raise
        try:
            # From the first picture on: whether the last request was carried out is not known.
            return await self._enroll(entry)
        except TargetUnreachable as error:
            return failed(entry, "unreachable", str(error))

    async def _enroll(self, entry: Entry) -> Outcome:
        try:
            entry.person.encode()
        except UnicodeEncodeError:
            return failed(entry, "invalid_id", "The name of the folder is not UTF-8.")
        if not entry.files:
            return failed(entry, "no_pictures", "There are no pictures of this person.")
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
        """Send the pictures, one fewer after each refusal: the service takes all of a request or none."""
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
    """Consecutive files, at most so many and so many bytes together; larger ones, and of unknown size, alone."""
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
    """Which of so many pictures an error of the service is about."""
    position = details.get("image")
    if isinstance(position, int) and 0 <= position < count:
        return position
    # A single picture may be refused before it is looked at, for its bytes.
    return 0 if count == 1 and status in {413, 415} else None


def failed(entry: Entry, code: str, message: str) -> Outcome:
    """A person of whom nothing was enrolled."""
    return Outcome(entry, Status.FAILED, errors=(PictureError("", code, message),))
