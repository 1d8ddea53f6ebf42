"""Enrolling many persons over HTTP: what one person takes, what is remembered, and many at the same time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from serve_app.cli.folders import PersonFolder, batches
from serve_app.client import ApiError, Client, ServiceUnreachable

FATAL = frozenset({"api_key_missing", "api_key_invalid", "forbidden", "collection_not_found"})
"""Errors that every further request would meet as well."""

RETURN_WITHIN_S = 60.0
"""How long a service that went away in the middle may take to come back, as after a restart."""


class Status(StrEnum):
    """How it went with a person."""

    ENROLLED = "enrolled"  # every picture
    PARTIAL = "partial"  # without the pictures that the service refused
    FAILED = "failed"  # not at all
    SKIPPED = "skipped"  # enrolled from the same files before


@dataclass(frozen=True, slots=True)
class PictureError:
    """Why a picture, or with an empty file name the person, was not enrolled."""

    file: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one person; ``faces`` counts those that were added."""

    person: str
    status: Status
    faces: int = 0
    errors: tuple[PictureError, ...] = ()
    fingerprint: str = ""

    def as_json(self) -> dict[str, Any]:
        """One line of the report."""
        errors = [{"file": error.file, "code": error.code, "message": error.message} for error in self.errors]
        return {"person": self.person, "status": str(self.status), "faces": self.faces, "errors": errors}


class State:
    """Who was enrolled completely, and from which files: one JSON line a person, appended as it happens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._done: dict[str, str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._done[entry["person"]] = entry["files"]
                except (ValueError, TypeError, KeyError):
                    continue  # the last line of a run that was cut off: that person is enrolled again
        self._file = path.open("a", encoding="utf-8")
        if self._file.tell():
            self._file.write("\n")  # ends a torn line

    def holds(self, person: PersonFolder) -> bool:
        """Whether exactly these files are enrolled."""
        known = self._done.get(person.id)
        return known is not None and known == person.fingerprint()

    def add(self, outcome: Outcome) -> None:
        """Remember a person who needs no further work."""
        self._done[outcome.person] = outcome.fingerprint
        self._file.write(json.dumps({"person": outcome.person, "files": outcome.fingerprint}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Enroller:
    """Enrols persons into one collection.

    Attributes:
        options: further fields of each request: faces, liveness, image_storage.
        most, most_bytes: pictures of one request.
    """

    client: Client
    collection: str
    options: Mapping[str, Any] = field(default_factory=dict)
    most: int = 20
    most_bytes: int = 32 * 2**20

    def enroll(self, person: PersonFolder) -> Outcome:
        """Make the person's faces those of the folder; pictures that the service refuses are left out.

        Raises:
            ServiceUnreachable: it went away and did not come back.
            ApiError: one of ``FATAL``.
        """
        try:
            return self._enroll(person)
        except ServiceUnreachable:
            if not self.client.wait_until_ready(RETURN_WITHIN_S):
                raise
        try:
            # From the first picture on: whether the last request was carried out is not known.
            return self._enroll(person)
        except ServiceUnreachable as error:
            return _failed(person, "unreachable", str(error))

    def _enroll(self, person: PersonFolder) -> Outcome:
        if not person.files:
            return _failed(person, "no_pictures", "There are no pictures in this folder.")
        try:
            fingerprint = person.fingerprint()
        except OSError as error:
            return _failed(person, "unreadable", str(error))
        faces = 0
        errors: list[PictureError] = []
        try:
            for batch in batches(person.files, self.most, self.most_bytes):
                added, refused = self._batch(person, batch, "add" if faces else "replace")
                faces += added
                errors += refused
        except ApiError as error:
            if error.code in FATAL:
                raise
            errors.append(PictureError("", error.code, error.message))
            return Outcome(person.id, Status.PARTIAL if faces else Status.FAILED, faces, tuple(errors))
        status = Status.ENROLLED if not errors else Status.PARTIAL if faces else Status.FAILED
        return Outcome(person.id, status, faces, tuple(errors), fingerprint)

    def _batch(self, person: PersonFolder, files: Sequence[Path], mode: str) -> tuple[int, list[PictureError]]:
        """Send the pictures, one fewer after each refusal: the service takes all of a request or none."""
        refused: list[PictureError] = []
        images: list[tuple[Path, bytes]] = []
        for file in files:
            try:
                images.append((file, file.read_bytes()))
            except OSError as error:
                refused.append(PictureError(file.name, "unreadable", error.strerror or str(error)))
        while images:
            try:
                answer = self.client.put_person(
                    self.collection,
                    person.id,
                    [content for _, content in images],
                    name=person.name,
                    mode=mode,
                    **self.options,
                )
            except ApiError as error:
                position = _picture(error, len(images))
                if position is None:
                    raise
                file, _ = images.pop(position)
                refused.append(PictureError(file.name, error.code, error.message))
            else:
                return len(answer["added_faces"]), refused
        return 0, refused

    def enroll_all(
        self, persons: Sequence[PersonFolder], concurrency: int, stop: threading.Event | None = None
    ) -> Iterator[Outcome]:
        """Outcomes as they come, ``concurrency`` persons at a time; setting ``stop`` begins no further one.

        Raises:
            ServiceUnreachable, ApiError: as :meth:`enroll`; what was under way has been finished.
        """
        waiting = iter(persons)
        running: set[Future[Outcome]] = set()
        with ThreadPoolExecutor(concurrency, thread_name_prefix="enroll") as pool:
            while True:
                while len(running) < concurrency and not (stop and stop.is_set()):
                    person = next(waiting, None)
                    if person is None:
                        break
                    running.add(pool.submit(self.enroll, person))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=lambda item: item.exception() is not None):
                    yield future.result()


def _picture(error: ApiError, count: int) -> int | None:
    """Which of the pictures an error is about."""
    position = error.details.get("image")
    if isinstance(position, int) and 0 <= position < count:
        return position
    # A single picture may be refused before it is looked at, for its bytes.
    return 0 if count == 1 and error.status in {413, 415} else None


def _failed(person: PersonFolder, code: str, message: str) -> Outcome:
    return Outcome(person.id, Status.FAILED, errors=(PictureError("", code, message),))
