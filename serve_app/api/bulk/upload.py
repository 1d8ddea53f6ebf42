"""Reading of uploads, zips and JSON lines. The whole upload is checked before any person of it is accepted.

A zip is read from an unnamed file, so that a crash leaves no images behind, and never more of it is unpacked than may
have been sent. Uploads are read on threads of their own, and no further once nobody waits for them.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import tempfile
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import Executor
from contextlib import closing
from typing import IO

from pydantic import BaseModel, ValidationError

from serve_app.api.bulk.payload import Content, Payload
from serve_app.api.errors import from_pydantic
from serve_app.api.request_images import decode_base64
from serve_app.api.schemas.tasks import BulkLine, BulkPersonTexts
from serve_app.bulk.entries import BadSource, LeftOut
from serve_app.bulk.files import Files, NotRead
from serve_app.bulk.manifest import Problems
from serve_app.bulk.sources import Source
from serve_app.bulk.worklist import WorkList
from serve_app.bulk.zips import DAMAGED, ReadZip, TooManyEntries, ZipBounds
from serve_app.cancellation import check_wanted, in_thread
from serve_app.domain import BulkPerson
from serve_app.errors import FacegraphError, InvalidRequest
from serve_app.settings import Limits

ZIP = "application/zip"
LINES = "application/x-ndjson"

ENTRIES_EACH = 4
"""Accepted entries of a zip, or lines, per image that an upload may bring: a folder, and what systems add to both."""

LEAST_ENTRIES = 1000
"""Accepted entries or lines of any upload."""

BATCH_BYTES = 8 * 2**20
"""Persons are handed to the gallery in batches of about this size."""

Read = Callable[[IO[bytes], Limits, list[LeftOut]], Generator[BulkPerson, None, None]]


class UploadReader:
    """Keeps an upload in a file without a name, and reads it in batches on the threads of ``pool``.

    Attributes:
        left_out: what is not enrolled; complete once there is a first batch.
    """

    def __init__(self, read: Read, limits: Limits, pool: Executor) -> None:
        self.left_out: list[LeftOut] = []
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed in _close
        self._people = read(self._file, limits, self.left_out)
        self._pool = pool
        self._lock = threading.Lock()

    async def receive(self, pieces: AsyncIterator[bytes]) -> None:
        """Write the upload into the file."""
        async for piece in pieces:
            await asyncio.to_thread(self._file.write, piece)
        await asyncio.to_thread(self._file.seek, 0)

    async def batch(self) -> list[BulkPerson]:
        """The next persons, none at the end. The first call checks the whole upload. Raises InvalidRequest."""
        return await in_thread(self._pool, self._batch)

    def close(self) -> None:
        """Close the file, without waiting: a batch that was given up can still be read until its next check."""
        with contextlib.suppress(RuntimeError):  # of a pool that was shut down; then the process ends
            self._pool.submit(self._close)

    def _batch(self) -> list[BulkPerson]:
        batch: list[BulkPerson] = []
        size = 0
        with self._lock:
            for person in self._people:
                batch.append(person)
                size += len(person.payload)
                if size >= BATCH_BYTES:
                    break
        return batch

    def _close(self) -> None:
        with self._lock, self._file:
            self._people.close()


def read_zip(file: IO[bytes], limits: Limits, left_out: list[LeftOut]) -> Generator[BulkPerson, None, None]:
    """The persons of a zip. The whole zip is checked, and ``left_out`` filled, before the first one is yielded.

    Raises InvalidRequest: not a zip, no persons, a bad manifest, or too many or too large images.
    """
    with closing(WorkList()) as work, closing(Files()) as files:
        _load(file, limits, work, files)
        _check_count(work.pictures, work.persons, limits)
        problems = Problems("the zip")
        size = 0
        for number, entry in enumerate(work, 1):
            check_wanted()
            size += sum(file.size or 0 for file in entry.files)
            try:
                BulkPersonTexts.model_validate({**entry.fields, "person": entry.person})
            except ValidationError as error:
                problems.add(number, f"{entry.person[:100]!r}: {_message(error, BulkPersonTexts)}")
            for picture in entry.files:
                if (picture.size or 0) > limits.max_image_bytes:
                    problems.add(number, f"{picture.name}: an image may have at most {limits.max_image_bytes} bytes")
        _settle(problems, "person")
        left_out += work.left_out()
        if size > limits.max_body_bytes:
            raise InvalidRequest(f"The zip's images have {size} bytes together; {limits.max_body_bytes} may be sent.")
        for entry in work:
            pictures = []
            for picture in entry.files:
                check_wanted()
                name = picture.location.removeprefix("zip://").removesuffix("::upload")
                try:
                    pictures.append(Content(name, files.read(picture.location, limits.max_image_bytes)))
                except NotRead as error:
                    raise InvalidRequest(f"The file {name} of the zip cannot be read: {error}") from None
            yield BulkPerson(entry.person, len(pictures), Payload(tuple(pictures), entry.fields).pack())


def _load(file: IO[bytes], limits: Limits, work: WorkList, files: Files) -> None:
    if not zipfile.is_zipfile(file):
        raise InvalidRequest("A zip was expected; the body is not a zip, or its end is missing.")
    most = limits.max_bulk_pictures
    bounds = ZipBounds(entries=_most_entries(limits), manifest_bytes=limits.max_body_bytes // 4)
    try:
        files.mount("upload", ReadZip(file, bounds))
        Source("zip://::upload", files, "the zip").load(work)
    except BadSource as error:
        raise InvalidRequest(str(error)) from None
    except TooManyEntries as error:
        text = f"The zip has more files than the {most} images that an upload may bring: {error}."
        raise InvalidRequest(text, limit=most) from None
    except (ValueError, OSError, *DAMAGED) as error:
        raise InvalidRequest(f"The zip cannot be read: {error}") from None


def read_lines(file: IO[bytes], limits: Limits, left_out: list[LeftOut]) -> Generator[BulkPerson, None, None]:
    """The persons of JSON lines. All lines are checked before the first person is yielded; none is left out.

    Raises InvalidRequest: lines cannot be used (the first of them are named), too many images, or no persons.
    """
    problems = Problems("the upload")
    seen: set[str] = set()
    count = 0
    for number, line in _lines(file, _most_entries(limits)):
        if problems.is_full:
            break
        try:
            person, payload = _line(line, limits)
        except FacegraphError as error:
            problems.add(number, error.message)
            continue
        if person in seen:
            problems.add(number, f"{person!r} is on an earlier line")
        seen.add(person)
        count += len(payload.pictures)
        _check_count(count, len(seen), limits)
    _settle(problems, "line", or_more=problems.is_full)
    if not seen:
        raise InvalidRequest("The upload contains no persons; a JSON object on each line was expected.")
    file.seek(0)
    for _, line in _lines(file, _most_entries(limits)):
        person, payload = _line(line, limits)
        yield BulkPerson(person, len(payload.pictures), payload.pack())


def _most_entries(limits: Limits) -> int:
    return max(ENTRIES_EACH * limits.max_bulk_pictures, LEAST_ENTRIES)


def _lines(file: IO[bytes], most: int) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(file, 1):
        check_wanted()
        if number > most:
            raise InvalidRequest(f"The upload has more than {most} lines.", limit=most)
        if line.strip().strip(codecs.BOM_UTF8):
            yield number, line


def _line(line: bytes, limits: Limits) -> tuple[str, Payload]:
    try:
        read = BulkLine.from_json(line)
    except ValidationError as error:
        raise InvalidRequest(_message(error, BulkLine)) from None
    except ValueError as error:
        raise InvalidRequest(str(error)) from None
    pictures = [
        Content(f"image_base64[{index}]", decode_base64(text, limits.max_image_bytes))
        for index, text in enumerate(read.image_base64)
    ]
    pictures += [Content(url, url=url) for url in dict.fromkeys(read.image_url)]
    if not pictures:
        raise InvalidRequest("image_base64 or image_url: at least one image was expected")
    fields = read.model_dump(mode="json", exclude={"person", "image_base64", "image_url"}, exclude_none=True)
    return read.person, Payload(tuple(pictures), fields)


def _check_count(pictures: int, persons: int, limits: Limits) -> None:
    most = limits.max_bulk_pictures
    if max(pictures, persons) > most:
        raise InvalidRequest(
            f"An upload may bring at most {most} images (limits.max_bulk_pictures); send several uploads.", limit=most
        )


def _settle(problems: Problems, unit: str, or_more: bool = False) -> None:
    try:
        problems.settle(or_more)
    except BadSource as error:
        raise InvalidRequest(str(error).replace("line ", f"{unit} ").replace(" lines in ", f" {unit}s in ")) from None


def _message(error: ValidationError, model: type[BaseModel]) -> str:
    return from_pydantic(error, model).message
