"""Archives with faults are refused in one sentence that names member and line, before anything is written.

One value of a good archive is altered at a time: every field of every kind of record, so that a new field is covered.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from serve_app.domain import (
    DEFAULT_TENANT,
    Appearance,
    Consent,
    ImageStorage,
    NewCollection,
    PersonFields,
    Role,
)
from serve_app.errors import FacegraphError
from serve_app.gallery import Gallery, KeyStore, TenantStore
from serve_app.gallery.archive import ArchiveReader, ArchiveWriter, check_archive, contents, export_archive
from serve_app.gallery.archive.container import ArchiveDamaged
from serve_app.gallery.sql import schema
from tests.gallery.samples import MODEL, face, query, template
from tests.gallery.stores import check_consistent, in_memory

TENANT = DEFAULT_TENANT
PEOPLE = "people/000000.jsonl"
UNTOLD = "kept-from-every-error"
"""A value that no error may have."""

Members = dict[str, Any]
"""Name -> the records of a member, or the bytes of an image."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Members:
    """The members of an archive with every kind of record and a value in every field."""
    with in_memory(tmp_path_factory.mktemp("source")) as gallery:
        TenantStore(gallery._database).create("acme")
        KeyStore(gallery._database).create(TENANT, "door", Role.SEARCH, rate_limit=5)
        gallery.create_collection(TENANT, NewCollection("staff", title="Staff", tags=("a",), user_data="x"))
        fields = PersonFields(
            name=UNTOLD, gender="f", watch_list=("vip",), metadata={"floor": "3"}, consent=Consent("contract")
        )
        seen = Appearance(((1.0, 2.0),) * 5, 0.5, 1.0, -1.0)
        gallery.put_person(TENANT, "ada", ["staff"], fields, [face(1, liveness=0.9, appearance=seen), face(2)])
        gallery.put_person(TENANT, "bob", ["staff"], PersonFields(), [face(3)])
        gallery.put_person(TENANT, "gone", ["staff"], PersonFields(), [face(4)])
        gallery.delete_person(TENANT, "gone")
        gallery.tell_apart(TENANT, "ada", "bob")
        gallery.add_faces(TENANT, [face(5)])
        stream = io.BytesIO()
        with ArchiveWriter(stream) as archive:
            export_archive(gallery._database, gallery._blobs, archive)
    return unpacked(stream.getvalue())


def unpacked(content: bytes) -> Members:
    members: Members = {}
    for name, member in ArchiveReader(io.BytesIO(content)).members():
        if name.startswith("images/"):
            members[name] = member
        else:
            lines = [member] if name == "manifest.json" else member.splitlines()
            members[name] = [json.loads(line) for line in lines]
    return members


def packed(members: Members) -> ArchiveReader:
    stream = io.BytesIO()
    with ArchiveWriter(stream) as archive:
        for name, records in members.items():
            if isinstance(records, list):
                lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in records]
                records = b"\n".join(lines) + b"\n"
            archive.add(name, records)
    stream.seek(0)
    return ArchiveReader(stream)


def copied(members: Members) -> Members:
    return {
        name: records if isinstance(records, bytes) else json.loads(json.dumps(records))
        for name, records in members.items()
    }


Path_ = tuple[int | str, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Paths of all values, those of lists and objects included."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, key))


def replaced(members: Members, path: Path_, value: Any) -> Members:
    altered = copied(members)
    at = altered
    for key in path[:-1]:
        at = at[key]
    if value is MISSING:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return altered


MISSING = object()
WRONG = [
    MISSING,
    None,
    -1,
    5,
    1e308,
    float("nan"),
    10**30,
    True,
    "",
    UNTOLD,
    UNTOLD + "\0",
    UNTOLD + "\x1b[31m",
    UNTOLD * 10_000,
    "../../etc/passwd",
    "2026-01-01T00:00:00",
    "0001-01-01T00:00:00+10:00",
    "Z" * 32,
    base64.b64encode(np.full(128, 100, "<f4").tobytes()).decode(),
    base64.b64encode(template(1, dimension=64).tobytes()).decode(),
    [],
    [UNTOLD],
    {},
    {UNTOLD: UNTOLD},
    {UNTOLD: {UNTOLD: [5]}},
]

EVERY_FIELD = {
    "manifest.json": contents.Manifest,
    **{f"{name}.jsonl": model for name, model in contents.HEAD.items()},
}


REFERRED = {"id", "faces"}
"""Fields whose value later lines and members refer to, so that these are named if it changes."""


def state(gallery: Gallery) -> list[Any]:
    with gallery._database.read() as connection:
        return [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            for table in schema.metadata.sorted_tables
        ]


def refused(members: Members) -> str:
    """The message of the refusal; empty if the archive is taken."""
    message = ""
    try:
        check_archive(packed(members), {MODEL: 128})
    except FacegraphError as error:
        message = error.message
    assert UNTOLD not in message
    assert "\n" not in message
    assert len(message) < 5000
    return message


def check_readable(members: Members, folder: Path) -> None:
    """Import an archive that is taken, and read everything that it brought."""
    with in_memory(folder) as gallery:
        gallery.restore(packed(members), with_keys=True)
        for person in gallery.persons(TENANT).items:
            gallery.person(TENANT, person.id)
        for collection in gallery.collections(TENANT).items:
            gallery.faces(TENANT, collection.name)
        KeyStore(gallery._database).list(TENANT)
        TenantStore(gallery._database).list()
        gallery.search(TENANT, query(1, collections=None))
        gallery.recover()
        check_consistent(gallery)


def test_the_good_archive_has_a_value_in_every_field(good: Members, tmp_path: Path) -> None:
    assert refused(good) == ""
    check_readable(good, tmp_path)
    of_rows = {
        "erased": schema.erased,
        "tenants": schema.tenants,
        "keys": schema.api_keys,
        "collections": schema.collections,
    }
    for name, model in contents.HEAD.items():
        assert set(model.model_fields) == set(of_rows[name].c.keys()) == set(good[f"{name}.jsonl"][0])
    for model, table in ((contents.PersonRow, schema.persons), (contents.FaceRow, schema.faces)):
        assert set(model.model_fields) == set(table.c.keys())
    assert {name for record in good[PEOPLE] for name in record} == set(contents.Person.model_fields)


def test_an_altered_value_is_refused_or_harmless(good: Members, tmp_path: Path) -> None:
    records = {name: value for name, value in good.items() if isinstance(value, list)}
    each = {(path[0], *(0 if isinstance(key, int) else key for key in path[1:])): path for path in leaves(records)}
    paths = [path for path in each.values() if len(path) > 1]
    taken = []
    for path in paths:
        name, line = str(path[0]), int(path[1]) + 1
        for value in WRONG:
            altered = replaced(good, path, value)
            message = refused(altered)
            if not message:
                taken.append(altered)
            elif f"{name}, line {line}" not in message:
                assert path[-1] in REFERRED or len(path) == 2 or isinstance(path[-1], int), (path, message)
                assert re.search(r"(, line [0-9]+|images/[0-9a-f]{32}\.thumbnail): ", message), message
    assert len(paths) > 80
    for number, altered in enumerate(taken[:: max(1, len(taken) // 25)]):
        check_readable(altered, tmp_path / str(number))


def put(name: str, line: int, *path: int | str, value: Any) -> Callable[[Members], Members]:
    return lambda members: replaced(members, (name, line, *path), value)


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: {key: value for key, value in members.items() if key != name}


def repeated(name: str, line: int) -> Callable[[Members], Members]:
    return lambda members: {**members, name: [*members[name], members[name][line]]}


def first(members: Members, name: str) -> Members:
    return {name: members[name], **members}


FACE = ("faces", 0, "face")
UNIT = base64.b64encode(template(1).tobytes()).decode()
NAN = base64.b64encode(np.full(128, np.nan, "<f4").tobytes()).decode()
LARGE = base64.b64encode(np.full(128, 100, "<f4").tobytes()).decode()
SMALL = base64.b64encode(template(1, dimension=64).tobytes()).decode()
DEEP = b'{"person": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

CASES: list[tuple[str, Callable[[Members], Members], str]] = [
    ("no manifest", without("manifest.json"), "begins with manifest.json"),
    ("a list as manifest", lambda m: {**m, "manifest.json": b"[1]"}, "manifest.json, line 1"),
    ("a manifest that is not JSON", lambda m: {**m, "manifest.json": b"x"}, "manifest.json, line 1"),
    ("a manifest of nested lists", lambda m: {**m, "manifest.json": DEEP}, "manifest.json, line 1"),
    ("a format of another type", put("manifest.json", 0, "format", value=UNTOLD), "reads the format 1"),
    (
        "manifest at the end",
        lambda m: {**without("manifest.json")(m), "manifest.json": m["manifest.json"]},
        "begins with",
    ),
    ("no tenants", without("tenants.jsonl"), "collections.jsonl, line 1: tenant_id"),
    ("no collections", without("collections.jsonl"), f"{PEOPLE}, line 1: collections"),
    ("persons first", lambda m: first({**m}, PEOPLE), "begins with manifest.json"),
    ("nested lists", put(PEOPLE, 1, value=DEEP), f"{PEOPLE}, line 2: a JSON object was expected"),
    ("a line that is a list", put(PEOPLE, 1, value=[1]), f"{PEOPLE}, line 2: Input should be an object"),
    ("an empty line", put(PEOPLE, 1, value=b""), f"{PEOPLE}, line 2"),
    ("not UTF-8", put(PEOPLE, 1, value=b'{"person": "\xff"}'), f"{PEOPLE}, line 2"),
    ("half a surrogate pair", put(PEOPLE, 1, value=b'{"person": "\\ud800"}'), f"{PEOPLE}, line 2"),
    ("a person without id", put(PEOPLE, 0, "person", "id", value=MISSING), "person.id: Field required"),
    ("a face without id", put(PEOPLE, 0, *FACE, "id", value=MISSING), "faces.0.face.id: Field required"),
    ("a key without id", put("keys.jsonl", 0, "id", value=MISSING), "keys.jsonl, line 1: id"),
    ("a path in an id", put(PEOPLE, 0, *FACE, "id", value="../../../etc/passwd"), "line 1: faces.0.face.id"),
    ("a quote in an id", put("erased.jsonl", 0, "id", value='"] or 1 == 1'), "erased.jsonl, line 1: id"),
    ("a role that is none", put("keys.jsonl", 0, "role", value="god"), "keys.jsonl, line 1: role"),
    ("a face without storage", put(PEOPLE, 0, *FACE, "storage", value=MISSING), "faces.0.face.storage"),
    ("an empty storage", put(PEOPLE, 0, *FACE, "storage", value=""), "faces.0.face.storage"),
    (
        "a collection without storage",
        put("collections.jsonl", 0, "image_storage", value=MISSING),
        "line 1: image_storage",
    ),
    ("a time without zone", put(PEOPLE, 0, "person", "created", value="2026-01-01T00:00:00"), "person.created"),
    ("a time as a number", put(PEOPLE, 0, "person", "created", value=1), "person.created"),
    ("NUL in an external id", put(PEOPLE, 0, "person", "external_id", value=UNTOLD + "\0"), "person.external_id"),
    ("escapes in an external id", put(PEOPLE, 0, "person", "external_id", value="\x1b[31m"), "person.external_id"),
    ("escapes in a name", put(PEOPLE, 0, "person", "name", value=UNTOLD + "\x1b[31m"), "person.name"),
    ("a long name", put(PEOPLE, 0, "person", "name", value=UNTOLD * 100), "person.name"),
    ("nested metadata", put(PEOPLE, 0, "person", "metadata", value={UNTOLD: {UNTOLD: 1}}), "person.metadata"),
    ("a template of norm 1131", put(PEOPLE, 0, *FACE, "template", value=LARGE), "a template of norm 1"),
    ("a template that is not finite", put(PEOPLE, 0, *FACE, "template", value=NAN), "a template of norm 1"),
    ("a template of another size", put(PEOPLE, 0, *FACE, "template", value=SMALL), "128 numbers was expected"),
    ("a template that is not base64", put(PEOPLE, 0, *FACE, "template", value="!"), "base64 was expected"),
    ("a template cut off", put(PEOPLE, 0, *FACE, "template", value=UNIT[:7]), "faces.0.face.template"),
    ("NaN as quality", put(PEOPLE, 0, *FACE, "quality", value=float("nan")), "faces.0.face.quality"),
    ("a person of another tenant", put(PEOPLE, 0, "person", "tenant_id", value="e" * 32), "tenant_id: no earlier line"),
    ("a face of somebody else", put(PEOPLE, 0, *FACE, "person_id", value="e" * 32), "line 1: face: its person_id"),
    ("a collection of nobody", put(PEOPLE, 0, "collections", value=["e" * 32]), "line 1: collections"),
    ("a person twice", repeated(PEOPLE, 0), "id: this id is in this part twice"),
    ("a tenant twice", repeated("tenants.jsonl", 0), "the id is on an earlier line as well"),
    ("a key twice", repeated("keys.jsonl", 0), "keys.jsonl, line 2"),
    ("a record without anything", put(PEOPLE, 0, value={"faces": []}), f"{PEOPLE}, line 1"),
    ("a field of a newer version", put(PEOPLE, 0, *FACE, "aura", value=UNTOLD), "aura is not known to this version"),
    ("an image of nobody", lambda m: {**m, f"images/{'e' * 32}.thumbnail": b"x"}, "has no such face"),
    ("an image of another kind", lambda m: {**m, f"images/{'e' * 32}.hologram": b"x"}, "a thumbnail or a photograph"),
    ("an archive of nothing", lambda m: {}, "The archive is empty"),
]


@pytest.mark.parametrize(("alter", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_malformed_archive_is_refused_before_anything_is_written(
    good: Members, tmp_path: Path, alter: Callable[[Members], Members], words: str
) -> None:
    altered = alter(good)
    with in_memory(tmp_path) as gallery:
        before = state(gallery)
        with pytest.raises(FacegraphError) as raised:
            gallery.restore(packed(altered), with_keys=True, sizes={MODEL: 128})
        assert words in raised.value.message
        assert UNTOLD not in raised.value.message
        assert state(gallery) == before


def test_twenty_faults_are_named_and_the_others_counted(good: Members) -> None:
    altered = {**good, "erased.jsonl": [{"id": UNTOLD}] * 30}
    message = refused(altered)
    assert message.count("erased.jsonl, line ") == 20
    assert message.endswith("and 100 more.")


def test_a_fault_in_the_last_part_stops_the_first(good: Members, tmp_path: Path) -> None:
    altered = {**good, "people/000001.jsonl": [{"faces": [{"face": {}}]}]}
    with in_memory(tmp_path) as gallery:
        before = state(gallery)
        with pytest.raises(ArchiveDamaged, match=r"people/000001.jsonl, line 1"):
            gallery.restore(packed(altered))
        assert state(gallery) == before


def test_ids_that_belong_to_something_else_here_are_refused_and_nothing_is_written(
    good: Members, tmp_path: Path
) -> None:
    with in_memory(tmp_path) as gallery:
        other = TenantStore(gallery._database).create("other").id
        key, _ = KeyStore(gallery._database).create(TENANT, "ours", Role.SEARCH)
        gallery.create_collection(other, NewCollection("theirs"))
        theirs = gallery.collection(other, "theirs").id
        before = state(gallery)
        staff = next(number for number, row in enumerate(good["collections.jsonl"]) if row["name"] == "staff")
        for words, altered in {
            "tenant": replaced(good, ("tenants.jsonl", 0, "name"), "not-default"),
            "API key": replaced(good, ("keys.jsonl", 0, "id"), key.id),
            "collection": json.loads(
                json.dumps({k: v for k, v in good.items() if isinstance(v, list)}).replace(
                    good["collections.jsonl"][staff]["id"], theirs
                )
            ),
        }.items():
            with pytest.raises(FacegraphError, match=f"has a {words} with the id"):
                gallery.restore(packed(altered), with_keys=True)
            assert state(gallery) == before


def test_templates_have_the_size_of_those_that_are_here(good: Members, tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(TENANT, NewCollection("small"))
        gallery.put_person(TENANT, "small", ["small"], PersonFields(), [face(template(1, dimension=64))])
        with pytest.raises(ArchiveDamaged, match=r"line 1: face\.template: a template of 64 numbers was expected"):
            gallery.restore(packed(good))


def test_a_collection_that_was_renamed_since_the_export_keeps_its_new_name(good: Members, tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.restore(packed(good))
        gallery.update_collection(TENANT, "staff", {"name": "everybody"})
        gallery.delete_person(TENANT, "bob")
        gallery.restore(packed(good))
        assert [each.name for each in gallery.collections(TENANT).items] == ["everybody"]


def test_an_archive_of_the_first_version_has_fewer_columns(good: Members, tmp_path: Path) -> None:
    old = copied(good)
    for row in old["collections.jsonl"]:
        for name in ("retention_days", "reject_below", "keep_unknown_h"):
            del row[name]
    for record in old[PEOPLE]:
        record.pop("distinct", None)
        for name in ("consent", "consent_expires"):
            record.get("person", {}).pop(name, None)
    check_readable(old, tmp_path)


def test_errors_of_the_database_have_no_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with in_memory(tmp_path) as gallery:
        wrong = sa.text("INSERT INTO tenants (id, name, created) VALUES (:a, :b, :nowhere.c)")
        values = {"a": UNTOLD, "b": UNTOLD, "nowhere": UNTOLD}
        with pytest.raises(FacegraphError) as raised, gallery._database.write() as connection:
            connection.execute(wrong, values)
        assert UNTOLD not in str(raised.value)
        assert UNTOLD not in caplog.text
        assert UNTOLD not in str(raised.value.__cause__)


def test_storages_and_roles_are_those_of_the_domain() -> None:
    assert contents.FaceRow.model_fields["storage"].annotation is ImageStorage
    assert contents.Key.model_fields["role"].annotation is Role
