"""Report of a run of ``facegraph enroll``: counts, progress, report files and the summary at the end."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import IO, Any, Self

from serve_app.bulk.entries import LEFT_OUT, Outcome, PictureError, Status
from serve_app.bulk.worklist import WorkList
from serve_app.cli.output import note, print_json, stderr, table
from serve_app.cli.progress import Meter, progress

SHOWN_ERRORS = 20
SHOWN_JUNK = 5


class EnrolReport:
    """Collects counts and the first few errors, in memory that does not grow with the number of persons.

    Attributes:
        left_out: number of entries of the source that are not enrolled, besides junk.

    Args:
        work: the persons and images of the run, and what is left out.
        report: file for one line per person, and per entry that is left out.
        failures: file for one line per person that is not enrolled completely.
    """

    def __init__(self, work: WorkList, report: Path | None, failures: Path | None) -> None:
        self._work = work
        self._persons = work.persons
        self._pictures = work.pictures
        self.left_out = work.count_left_out()
        self._paths = (report, failures)
        self._files: list[IO[str] | None] = [None, None]
        self._counts: Counter[str] = Counter()
        self._faces = self._errors = 0
        self._shown: list[tuple[Outcome, PictureError]] = []
        self._stack = contextlib.ExitStack()
        self._meter: Meter | None = None

    def __enter__(self) -> Self:
        self._files = [
            self._stack.enter_context(path.open("w", encoding="utf-8")) if path else None for path in self._paths
        ]
        if report := self._files[0]:
            for entry in (*self._work.left_out(), *self._work.left_out(junk=True)):
                report.write(_line({LEFT_OUT: entry.location, "reason": entry.reason, "junk": entry.is_junk}))
        self._meter = self._stack.enter_context(progress(self._pictures))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, outcome: Outcome) -> None:
        """Add the outcome for one person."""
        self._counts[str(outcome.status)] += 1
        self._faces += outcome.faces
        self._errors += len(outcome.errors)
        room = SHOWN_ERRORS - len(self._shown)
        self._shown += [(outcome, error) for error in outcome.errors[:room]]
        report, failures = self._files
        for file in (report, failures if outcome.errors else None):
            if file:
                file.write(_line(outcome.as_json()))
                file.flush()
        if self._meter:
            move = self._meter.skip if outcome.status is Status.SKIPPED else self._meter.advance
            move(len(outcome.entry.files))

    @property
    def not_begun(self) -> int:
        """Number of persons without an outcome."""
        return self._persons - self._counts.total()

    @property
    def unfinished(self) -> int:
        """Number of persons that are not enrolled completely."""
        return self._counts[Status.FAILED] + self._counts[Status.PARTIAL]

    def show(self, as_json: bool) -> None:
        """Print the summary of the run, as text or as JSON."""
        rate = self._meter.rate if self._meter else 0.0
        if as_json:
            numbers = {"faces": self._faces, "errors": self._errors, "not_begun": self.not_begun}
            numbers |= {"left_out": self.left_out, "junk": self._work.count_left_out(junk=True)}
            rounded = {"pictures_per_s": round(rate, 2)}
            print_json({"persons": self._persons, "pictures": self._pictures, **self._counts, **numbers, **rounded})
            return
        if self._shown:
            shown = table("", "person", "image", "reason")
            for outcome, error in self._shown:
                shown.add_row(outcome.entry.person, error.name, error.message)
            stderr.print(shown)
            if self._errors > len(self._shown):
                note(f"... and {self._errors - len(self._shown)} more; --failures FILE writes all of them.")
        show_left_out(self._work)
        words = ", ".join(f"{number} {status}" for status, number in sorted(self._counts.items())) or "none"
        note(
            f"{self._persons} persons: {words}; {self._faces} faces added, {self._errors} errors, "
            f"{self.left_out} files left out, {rate:.1f} images/s."
        )


def show_left_out(work: WorkList) -> None:
    """Print the first entries of a source that are left out, with the reasons, and the numbers of all."""
    number, junk_number = work.count_left_out(), work.count_left_out(junk=True)
    if number:
        shown = table("", "left out", "reason")
        for entry in islice(work.left_out(), SHOWN_ERRORS):
            shown.add_row(entry.location, entry.reason)
        stderr.print(shown)
    if number > SHOWN_ERRORS:
        note(f"... and {number - SHOWN_ERRORS} more.")
    if junk_number:
        junk = [entry.location for entry in islice(work.left_out(junk=True), SHOWN_JUNK)]
        more = ", ..." if junk_number > len(junk) else ""
        note(f"{junk_number} files and folders of the system, or hidden, are ignored: {', '.join(junk)}{more}")


def _line(value: Mapping[str, Any]) -> str:
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:  # file names are not always UTF-8
        line = json.dumps(value)
    return line + "\n"
