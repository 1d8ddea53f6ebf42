"""Reading of uploads, zips and JSON lines. The whole upload is checked before any person of it is accepted.

A zip is read from an unnamed file, so that a crash leaves no images behind, and never more of it is unpacked than may
have been sent.
"""

from __future__ import annotations

import codecs
import struct
import zipfile
from collections.abc import Generator, Iterator
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
from serve_app.bulk.zips import ReadZip
from serve_app.domain import BulkPerson
from serve_app.errors import FacegraphError, InvalidRequest
from serve_app.known_names import refuse_repeated_names
from serve_app.settings import Limits

ZIP = "application/zip"
LINES = "application/x-ndjson"

DIRECTORY_END = b"PK\x05\x06"
DIRECTORY_END_BYTES = 22
MOST_COMMENT = 65_535
DIRECTORY_BYTES_EACH = 1000
"""Accepted size of a zip's directory per image that it may contain, including long names and comments."""


def read_zip(file: IO[bytes], limits: Limits, left_out: list[LeftOut]) -> Generator[BulkPerson, None, None]:
    """The persons of a zip. The whole zip is checked, and ``left_out`` filled, before the first one is yielded.

    Raises InvalidRequest: not a zip, no persons, a bad manifest, or too many or too large images.
    """
    _check_directory(file, limits.max_bulk_pictures)
    with closing(WorkList()) as work, closing(Files()) as files:
        try:
            files.mount("upload", ReadZip(file))
            Source("zip://::upload", files, "the zip").load(work)
        except BadSource as error:
            raise InvalidRequest(str(error)) from None
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
            raise InvalidRequest(f"The zip cannot be read: {error}") from None
        _check_count(work.pictures, work.persons, limits)
        problems = Problems("the zip")
        size = 0
        for number, entry in enumerate(work, 1):
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
                name = picture.location.removeprefix("zip://").removesuffix("::upload")
                try:
                    pictures.append(Content(name, files.read(picture.location, limits.max_image_bytes)))
                except NotRead as error:
                    raise InvalidRequest(f"The file {name} of the zip cannot be read: {error}") from None
            yield BulkPerson(entry.person, len(pictures), Payload(tuple(pictures), entry.fields).pack())


def read_lines(file: IO[bytes], limits: Limits, left_out: list[LeftOut]) -> Generator[BulkPerson, None, None]:
    """The persons of JSON lines. All lines are checked before the first person is yielded; none is left out.

    Raises InvalidRequest: lines cannot be used (the first of them are named), too many images, or no persons.
    """
    problems = Problems("the upload")
    seen: set[str] = set()
    count = 0
    for number, line in _lines(file):
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
    _settle(problems, "line")
    if not seen:
        raise InvalidRequest("The upload contains no persons; a JSON object on each line was expected.")
    file.seek(0)
    for _, line in _lines(file):
        person, payload = _line(line, limits)
        yield BulkPerson(person, len(payload.pictures), payload.pack())


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    lines = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line for number, line in enumerate(file, 1))
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _line(line: bytes, limits: Limits) -> tuple[str, Payload]:
    try:
        read = BulkLine.model_validate_json(line)
        refuse_repeated_names(line)
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


def _check_directory(file: IO[bytes], most: int) -> None:
    """Refuse a zip whose directory would fill the memory, before the directory is read."""
    size = file.seek(0, 2)
    file.seek(max(0, size - DIRECTORY_END_BYTES - MOST_COMMENT))
    tail = file.read()
    found = tail.rfind(DIRECTORY_END)
    file.seek(0)
    if found < 0 or len(tail) - found < DIRECTORY_END_BYTES:
        raise InvalidRequest("A zip was expected; the body is not a zip, or its end is missing.")
    (directory,) = struct.unpack_from("<I", tail, found + 12)
    if directory > most * DIRECTORY_BYTES_EACH:  # also refuses a zip64 (0xffffffff): no upload is that large
        raise InvalidRequest(f"The zip has more files than the {most} images that an upload may bring.", limit=most)


def _settle(problems: Problems, unit: str) -> None:
    try:
        problems.settle()
    except BadSource as error:
        raise InvalidRequest(str(error).replace("line ", f"{unit} ").replace(" lines in ", f" {unit}s in ")) from None


def _message(error: ValidationError, model: type[BaseModel]) -> str:
    return from_pydantic(error, model).message
