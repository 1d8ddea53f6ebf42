"""Parser of manifests: persons and their images, as CSV or JSON lines.

A CSV has a heading with ``person``, ``file``, any of the fields of a person, and ``metadata.KEY``, and one line per
image. A JSON line has ``person``, ``file`` or ``files``, and the fields. A person can have several lines, in any order.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

from pydantic_core import from_json

from serve_app.bulk.entries import FIELDS, LEFT_OUT, OF_REPORTS, BadSource, Entry, PictureFile
from serve_app.cancellation import check_wanted
from serve_app.domain import CLEARED
from serve_app.known_names import refuse_repeated_names, suggestion

DELIMITERS = ",;\t"
KINDS: Mapping[str, tuple[type, str]] = {
    "watch_list": (list, "a list"),
    "consent": (dict, "an object"),
    "metadata": (dict, "an object"),
}
"""Types of the fields that are not texts, with their names in messages."""

KNOWN = ("person", "file", "files")
TEXTS = tuple(name for name in FIELDS if name not in KINDS)
COLUMNS = ("person", "file", "watch_list", *TEXTS)
METADATA = "metadata."
SEPARATOR_LINE = re.compile(r"\"?sep=.\"?\s*", re.IGNORECASE)
"""A line before the heading, with which Excel says how the cells are separated."""

SHOWN = 20
"""Most unusable lines that are described."""

SHOWN_TEXT = 200
"""Most characters of a manifest that an error repeats."""

MOST_LINE = 2**20
"""Most characters of a line, or of a record of several lines."""

MOST_LOCATION = 2048
"""Most characters of an image's location."""


class Problems:
    """Collects lines that cannot be used; ``of`` names the manifest."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._described: list[str] = []
        self._number = 0

    def add(self, line: int, message: str) -> None:
        """Add a problem with a line."""
        self._number += 1
        if self._number <= SHOWN:
            self._described.append(f"line {line}: {message}")

    @property
    def is_full(self) -> bool:
        """Whether no further line would be described."""
        return self._number >= SHOWN

    def settle(self, or_more: bool = False) -> None:
        """Raise BadSource if there are problems; ``or_more``: not all lines were read."""
        if self._number:
            more = f"\n... and {self._number - SHOWN} more" if self._number > SHOWN else ""
            lines = "\n".join(self._described)
            number = f"{self._number} or more" if or_more else self._number
            raise BadSource(f"{number} unusable lines in {self._of}; no person was enrolled.\n{lines}{more}")


def read_manifest(
    file: IO[bytes], kind: str, problems: Problems, locate: Callable[[str], PictureFile], most: int | None = None
) -> Iterator[tuple[int, Entry]]:
    """Yield (line number, entry) for each usable line; several entries can be about one person.

    Args:
        kind: ``csv`` or ``jsonl``.
        problems: collects the unusable lines.
        locate: the file of a name in the manifest; raises ValueError.
        most: most lines; None for any number.

    Raises BadSource if the manifest is not UTF-8, its CSV heading is not valid, or it has too many or too long lines.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    lines = _Lines(text, most)
    rows = _csv_rows(lines, problems) if kind == "csv" else _json_rows(lines, problems)
    try:
        for line, row in rows:
            try:
                yield line, _entry(row, locate)
            except ValueError as error:
                problems.add(line, str(error))
    except UnicodeDecodeError as error:
        raise BadSource(f"The manifest is not UTF-8: {error.reason} at byte {error.start}.") from None
    finally:
        text.detach()


class _Lines:
    """The lines of a manifest, within bounds; work that nobody waits for any more ends between two of them."""

    def __init__(self, text: io.TextIOWrapper, most: int | None) -> None:
        self._text, self._most = text, most
        self._number = 0
        self._left = MOST_LINE

    def begin_record(self) -> None:
        """The lines so far are read; :data:`MOST_LINE` counts anew."""
        self._left = MOST_LINE

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        check_wanted()
        line = self._text.readline(self._left + 1)
        if not line:
            raise StopIteration
        self._number += 1
        self._left -= len(line)
        if self._left < 0:
            raise BadSource(
                f"Line {self._number} of the manifest, or its record, has more than {MOST_LINE} characters."
            )
        if self._most is not None and self._number > self._most:
            raise BadSource(f"The manifest has more than {self._most} lines.")
        return line


def _json_rows(lines: _Lines, problems: Problems) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines, 1):
        lines.begin_record()
        if not line.strip():
            continue
        try:
            row = from_json(line)
            refuse_repeated_names(line)
        except ValueError as error:
            problems.add(number, f"not JSON: {error}")
            continue
        if isinstance(row, dict):
            if LEFT_OUT not in row:  # a line of a report, about no person
                yield number, row
        else:
            problems.add(number, f"expected an object, got {type(row).__name__}")


def _csv_rows(lines: _Lines, problems: Problems) -> Iterator[tuple[int, Mapping[str, Any]]]:
    heading = next(lines, "")
    before = 1
    if SEPARATOR_LINE.fullmatch(heading):
        heading, before = next(lines, ""), 2
    delimiter = max(DELIMITERS, key=heading.count)
    columns = [name.strip() for name in next(csv.reader([heading], delimiter=delimiter), [])]
    unknown = [name for name in columns if not _is_column(name)]
    if "person" not in columns or unknown or len(set(columns)) < len(columns):
        raise BadSource(
            f"The first line of a CSV manifest names the columns: expected are person, file, {', '.join(TEXTS)}, "
            f"watch_list, metadata.KEY, each at most once; got: {', '.join(columns)[:SHOWN_TEXT] or 'nothing'}"
            f"{suggestion(unknown[0][:SHOWN_TEXT], COLUMNS) if unknown else ''}."
        )
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            lines.begin_record()
            line = reader.line_num + before
            values = [cell.strip() for cell in cells]
            if len(values) > len(columns):
                problems.add(line, f"expected {len(columns)} columns, got {len(values)}")
            elif any(values):
                yield line, _unflattened({name: value for name, value in zip(columns, values, strict=False) if value})
    except csv.Error as error:
        problems.add(reader.line_num + before, f"not CSV: {error}")


def _is_column(name: str) -> bool:
    return name in COLUMNS or (name.startswith(METADATA) and len(name) > len(METADATA))


def _unflattened(row: Mapping[str, str]) -> dict[str, Any]:
    """Convert the cells of a CSV line to the fields of a JSON line."""
    result: dict[str, Any] = {name: value for name, value in row.items() if not name.startswith(METADATA)}
    metadata = {name.removeprefix(METADATA): value for name, value in row.items() if name.startswith(METADATA)}
    if metadata:
        result["metadata"] = metadata
    if "watch_list" in result:
        result["watch_list"] = [item.strip() for item in result["watch_list"].split(";") if item.strip()]
    return result


def _entry(row: Mapping[str, Any], locate: Callable[[str], PictureFile]) -> Entry:
    person = row.get("person")
    if not isinstance(person, str) or not person:
        raise ValueError("person: expected the person's id, a text")
    unknown = [name for name in row if name not in (*KNOWN, *FIELDS, *OF_REPORTS)]
    if unknown:
        near = suggestion(unknown[0][:SHOWN_TEXT], (*KNOWN, *FIELDS))
        got = ", ".join(unknown[:SHOWN])[:SHOWN_TEXT]
        raise ValueError(f"expected person, file or files, {', '.join(FIELDS)}; got also: {got}{near}")
    if "file" in row and "files" in row:
        raise ValueError("file and files exclude each other")
    if "file" not in row and "files" not in row:
        raise ValueError("file: expected the location of an image")
    files = [row["file"]] if "file" in row else row["files"]
    if not isinstance(files, list) or not all(isinstance(file, str) and file for file in files):
        raise ValueError("file, files: expected a text or a list of texts")
    if any(len(file) > MOST_LOCATION for file in files):
        raise ValueError(f"file, files: expected locations of at most {MOST_LOCATION} characters")
    fields = {name: CLEARED[name] if row[name] is None else row[name] for name in FIELDS if name in row}
    for name, value in fields.items():
        kind, expected = KINDS.get(name, (str, "a text"))
        if not isinstance(value, kind):
            raise ValueError(f"{name}: expected {expected}, got {json.dumps(value)[:100]}")
    return Entry(person, tuple(locate(file) for file in files), fields)
