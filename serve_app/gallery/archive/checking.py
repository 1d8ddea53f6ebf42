"""Reading of archives: every record is checked, alone and with those that it refers to, before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import pydantic_core
from pydantic import ValidationError

from serve_app.errors import ConfigurationError
from serve_app.gallery.archive.container import ArchiveDamaged, ArchiveReader
from serve_app.gallery.archive.contents import HEAD, Collection, Key, Manifest, Person, Record, Tenant, known_names
from serve_app.gallery.archive.exporting import FORMAT
from serve_app.gallery.sql.records.faces import TEMPLATE_TYPE

R = TypeVar("R", bound=Record)

SHOWN = 20
"""Faults that an error names; further ones are counted."""


MANIFEST = "manifest.json"
ORDER = (MANIFEST, *(f"{name}.jsonl" for name in HEAD))
PART = re.compile(r"people/[0-9]+\.jsonl")
"""Names of members: each refers to earlier ones only."""


class FaceImages(NamedTuple):
    """Images of one face; the fields are the kinds."""

    thumbnail: bytes | None = None
    photograph: bytes | None = None


class Part(NamedTuple):
    """Persons and unassigned faces of one tenant, and the images of their faces by face id."""

    persons: list[Person]
    images: dict[str, FaceImages]


Head = dict[str, list[Any]]
"""Name of a member -> its records, by :data:`~.contents.HEAD`."""


def check_archive(archive: ArchiveReader, sizes: Mapping[str, int] | None = None) -> None:
    """Check a whole archive, unless it was checked for the same sizes before.

    Args:
        sizes: model id -> dimension of its templates, where it is known. All templates by one model have one size.

    Raises:
        ArchiveDamaged: it is not an archive, is cut off or was changed, or has faults. These are named by member and
            line, without the values.
        ConfigurationError: a newer version wrote it.
    """
    wanted = dict(sizes or {})
    if archive.checked != wanted:
        contents = Contents(archive, wanted)
        for _ in contents.parts():
            pass
        contents.settle()
        archive.checked = wanted


@dataclass
class Contents:
    """What an archive contains, part by part.

    Attributes:
        archive: it is read from its start.
        sizes: as for :func:`check_archive`.
    """

    archive: ArchiveReader
    sizes: Mapping[str, int] | None = None
    _faults: list[str] = field(default_factory=list)
    _count: int = 0
    _tenants: set[str] = field(default_factory=set)
    _collections: dict[str, str] = field(default_factory=dict)  # id -> id of its tenant
    _sizes: dict[str, int] = field(default_factory=dict)

    def settle(self) -> None:
        """Raise ArchiveDamaged if there were faults."""
        if self._count:
            more = f"; and {self._count - SHOWN} more" if self._count > SHOWN else ""
            raise ArchiveDamaged(f"The archive has faults, and nothing of it is used. {'; '.join(self._faults)}{more}.")

    def parts(self) -> Iterator[Head | Part]:
        """First the head, then the parts. What has faults is left out; :meth:`settle` says which these are.

        Raises ArchiveDamaged, ConfigurationError.
        """
        self._sizes = dict(self.sizes or {})
        head: Head = {}
        part: Part | None = None
        last = ""
        for name, content in self.archive.members():
            folder, _, rest = name.partition("/")
            _check_place(name, last)
            if name == MANIFEST:
                self._check_manifest(content)
            elif folder == "images":
                self._add_image(name, rest, content, part)
                continue
            elif folder == "people":
                yield head if part is None else part
                part = self._part(name, content)
            else:
                stem = name.removesuffix(".jsonl")
                head[stem] = self._head(name, stem, content)
            last = name
        if not last:
            raise ArchiveDamaged("The archive is empty.")
        yield head if part is None else part

    def _check_manifest(self, content: bytes) -> None:
        found = _object(content)
        if found is not None and found.get("format") != FORMAT:
            version, number = found.get("facegraph"), found.get("format")
            known = isinstance(version, str) and re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", version)
            written = f"facegraph {version}" if known else "an unknown version"
            what = f"{number}" if isinstance(number, int) and abs(number) < 10**9 else "that it does not name"
            raise ConfigurationError(
                f"The archive was written by {written} in the format {what}; this version reads the format {FORMAT} "
                "(manifest.json, line 1)."
            )
        self._read(Manifest, MANIFEST, 1, content)

    def _head(self, name: str, stem: str, content: bytes) -> list[Any]:
        """The records of a member of the head."""
        records = []
        seen: set[Any] = set()
        for number, record in self._records(HEAD[stem], name, content):
            keys: list[Any] = [("id", record.id)]
            if isinstance(record, Tenant):
                self._tenants.add(record.id)
                keys.append(("name", record.name))
            elif isinstance(record, Collection):
                self._collections[record.id] = record.tenant_id
                keys.append(("name", record.tenant_id, record.name))
            elif isinstance(record, Key):
                keys.append(("digest", record.digest))
            repeated = [key[0] for key in keys if key in seen]
            seen.update(keys)
            if repeated:
                self._fault(name, number, f"the {repeated[0]} is on an earlier line as well")
            elif isinstance(record, Collection | Key) and record.tenant_id not in self._tenants:
                self._fault(name, number, "tenant_id: no earlier line has this tenant")
            else:
                records.append(record)
        return records

    def _part(self, name: str, content: bytes) -> Part:
        persons: list[Person] = []
        images: dict[str, FaceImages] = {}
        external: set[str] = set()
        ids: set[str] = set()
        for number, record in self._records(Person, name, content):
            new = [entry.face.id for entry in record.faces]
            if record.person is not None:
                new.append(record.person.id)
            if fault := self._misfit(record, persons):
                self._fault(name, number, fault)
            elif len({*ids, *new}) < len(ids) + len(new):
                self._fault(name, number, "id: this id is in this part twice")
            elif record.person is not None and record.person.external_id in external:
                self._fault(name, number, "person.external_id: this id is on an earlier line as well")
            else:
                persons.append(record)
                images.update((entry.face.id, FaceImages()) for entry in record.faces)
            ids.update(new)
            if record.person is not None:
                external.add(record.person.external_id)
        return Part(persons, images)

    def _misfit(self, record: Person, earlier: list[Person]) -> str:
        """What of a record does not fit to the rest of the archive; empty if all does."""
        if record.person is None and (not record.faces or record.collections or record.distinct):
            return "a record without a person has a face, and neither collections nor distinct"
        tenant = record.tenant_id
        if tenant not in self._tenants:
            return "tenant_id: no earlier line has this tenant"
        if earlier and earlier[0].tenant_id != tenant:
            return "tenant_id: the records of a part belong to one tenant"
        owner = None if record.person is None else record.person.id
        if any((entry.face.tenant_id, entry.face.person_id) != (tenant, owner) for entry in record.faces):
            return "face: its person_id or tenant_id is not that of its record"
        for ids in (record.collections, *(entry.collections for entry in record.faces)):
            if any(self._collections.get(id_) != tenant for id_ in ids):
                return "collections: no earlier line has this collection of this tenant"
            if len(set(ids)) < len(ids):
                return "collections: an id is there twice"
        for entry in record.faces:
            size = len(entry.face.template) // TEMPLATE_TYPE.itemsize
            wanted = self._sizes.setdefault(entry.face.model, size)
            if size != wanted:
                return f"face.template: a template of {wanted} numbers was expected of this model, got {size}"
        return ""

    def _add_image(self, name: str, rest: str, content: bytes, part: Part | None) -> None:
        face_id, _, kind = rest.partition(".")
        if kind not in FaceImages._fields:
            self._fault(name, 0, f"an image is a {' or a '.join(FaceImages._fields)}")
        elif part is None or face_id not in part.images:
            # If the face's line has faults, these are named already.
            if not self._count:
                self._fault(name, 0, "the part before it has no such face")
        elif getattr(part.images[face_id], kind) is not None:
            self._fault(name, 0, "this member is twice")
        else:
            part.images[face_id] = part.images[face_id]._replace(**{kind: content})

    def _records(self, model: type[R], name: str, content: bytes) -> Iterator[tuple[int, R]]:
        for number, line in enumerate(content.splitlines(), 1):
            record = self._read(model, name, number, line)
            if record is not None:
                yield number, record

    def _read(self, model: type[R], name: str, line: int, content: bytes) -> R | None:
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            known = known_names(model)
            for each in error.errors(include_url=False, include_context=False, include_input=False):
                self._fault(name, line, _explained(each["type"], each["loc"], each["msg"], known))
            return None

    def _fault(self, name: str, line: int, text: str) -> None:
        self._count += 1
        if self._count <= SHOWN:
            self._faults.append(f"{name}, line {line}: {text}" if line else f"{name}: {text}")


def _check_place(name: str, last: str) -> None:
    """Refuse a member that is unknown, repeated, or before one that it refers to; ``last`` is the one before it."""
    if name.startswith("images/"):
        return
    if name not in ORDER and not PART.fullmatch(name):
        raise ConfigurationError(f"The archive has a part that this version does not know: {name.split('.')[0]}.")
    if not last and name != MANIFEST:
        raise ArchiveDamaged(f"An archive begins with {MANIFEST}; this one begins with {name}.")
    if last and _place(name) <= _place(last):
        raise ArchiveDamaged(f"The archive has {name} twice, or at the wrong place: after {last}.")


def _place(name: str) -> tuple[int, int, str]:
    return (ORDER.index(name), 0, "") if name in ORDER else (len(ORDER), len(name), name)


def _explained(kind: str, where: tuple[int | str, ...], message: str, known: frozenset[str]) -> str:
    """A finding of pydantic as text without values. The keys of a mapping are values, too."""
    if kind == "json_invalid":
        return "a JSON object was expected"
    path = ".".join(str(part) for part in where if isinstance(part, int) or part in known)
    if kind == "extra_forbidden":
        extra = str(where[-1]) if re.fullmatch("[a-z_]{1,40}", str(where[-1])) else "a field"
        message = (
            f"{extra} is not known to this version; if a newer facegraph wrote the archive, import it with that one"
        )
    elif kind == "bytes_invalid_encoding":
        message = "base64 was expected"
    message = message.removeprefix("Value error, ")
    return f"{path}: {message}" if path else message


def _object(content: bytes) -> dict[str, Any] | None:
    """A JSON object; None if the content is none."""
    try:
        found = pydantic_core.from_json(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
