"""Two tenants in one real gallery that use the same names; the owner's data contains a word that must not leak."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from serve_app.api.api_context import ApiContext
from serve_app.api.app import create_app
from serve_app.api.dialects import ALL
from serve_app.domain import DEFAULT_TENANT, Role
from serve_app.gallery.sql.schema import metadata, tenants
from tests.fakes.stages import fake_picture
from tests.gallery.copies import StoredState
from tests.service_parts import OTHER_TENANT, ServiceParts

SECRET = "Unmistakable"
"""In every text that the owner stores."""

FACES = {"owner": ("ada", "ben", "kim"), "stranger": ("zoe", "yan", "lee")}
"""Who is on the pictures that each tenant enrols as ada and ben, and as a face without a person."""

HEX = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class Side:
    """One tenant: its admin key, and the ids of what it owns by the names that requests have for them."""

    def __init__(self, tenant: str, key_id: str, secret: str) -> None:
        self.tenant = tenant
        self.key_id = key_id
        self.secret = secret
        self.ids: dict[str, str] = {}


class World:
    """The application over a real gallery, both tenants filled.

    Args:
        client: of the application, entered.
    """

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self._open()
        sides = {}
        for name, tenant in (("owner", DEFAULT_TENANT), ("stranger", OTHER_TENANT)):
            key, secret = self.parts.keys.create(tenant, "tests", Role.ADMIN)
            sides[name] = Side(tenant, key.id, secret)
        self.owner, self.stranger = sides["owner"], sides["stranger"]
        self._fill(self.owner, FACES["owner"], SECRET)
        self._fill(self.stranger, FACES["stranger"], "plain")
        self._original = self.close()

    def renew(self) -> None:
        """The state of the beginning."""
        self._open(self._original)

    def _open(self, state: StoredState | None = None) -> None:
        self.parts = ServiceParts(state)
        Current.context = ApiContext(
            service=self.parts.service, keys=self.parts.keys, settings=self.parts.settings, info={"models": {}}
        )

    def close(self) -> StoredState:
        """Release the stores; what they held."""
        Current.context = None
        return self.parts.close(self.client.portal.call)

    def _fill(self, side: Side, who: tuple[str, ...], word: str) -> None:
        def call(method: str, path: str, **options: Any) -> Any:
            answer = self.client.request(method, path, headers={"X-API-Key": side.secret}, **options)
            answer.raise_for_status()
            return answer.json()

        def facepp(path: str, **form: str) -> Any:
            form = {"api_key": side.key_id, "api_secret": side.secret, **form}
            return call("POST", f"/facepp/v3/{path}", data=form)

        for name in ("staff", "visitors", "empty"):
            made = call("POST", "/v1/collections", json={"name": name, "title": word, "user_data": word})
            side.ids[name] = made["id"]
        details = {"name": word, "notes": word, "metadata": {"word": word}, "image_storage": "full"}
        for person, face in zip(("ada", "ben"), who, strict=False):
            body = {**details, "image_base64": [picture(face), picture(face)]}
            made = call("PUT", f"/v1/collections/staff/persons/{person}", json=body)
            side.ids[f"face of {person}"] = made["faces"][0]["id"]
        made = call("POST", "/v1/collections/empty/duplicates", json={})
        side.ids["scan"] = made["id"]
        made = call("POST", "/v1/keys", json={"name": word, "role": "search"})
        side.ids["key"] = made["id"]
        token = facepp("detect", image_base64=picture(who[2]))["faces"][0]["face_token"]
        facepp("face/setuserid", face_token=token, user_id=word)
        made = facepp("faceset/create", outer_id="set", face_tokens=token, display_name=word, user_data=word)
        side.ids |= {"token": token, "set": made["faceset_token"]}
        side.ids["duplicates"] = call("POST", "/v1/collections/visitors/duplicates")["id"]
        line = json.dumps({"person": "new", "name": word, "image_base64": picture(who[0])})
        headers = {"X-API-Key": side.secret, "Content-Type": "application/x-ndjson"}
        made = self.client.post("/v1/collections/staff/bulk", headers=headers, content=line).json()
        side.ids["upload"] = made["id"]
        for who_else in ("una", "uma") if side is self.owner else ():
            search = {"collections": "staff", "keep_unknown": "staff", "image_base64": picture(who_else)}
            call("PATCH", "/v1/collections/staff", json={"policy": {"keep_unknown_h": 24}})
            found = call("POST", "/v1/search", json=search)["faces"][0]
            side.ids[who_else] = found["unknown"]["id"]
        side.ids["task"] = facepp("faceset/async/addface", outer_id="set", face_tokens=token)["task_id"]

    def belongings(self, tenant: str) -> dict[str, Any]:
        """Everything stored that is not this tenant's: rows, index rows, digests of images."""
        found: dict[str, Any] = {}
        with self.parts.database.read() as connection:
            tables = {
                table.name: connection.execute(sa.select(table)).mappings().all() for table in metadata.sorted_tables
            }
        own = {row["id"] for row in tables["collections"] if row["tenant_id"] == tenant}
        for name, rows in tables.items():
            kept = [dict(row) for row in rows if tenant not in row.values() and row.get("collection_id") not in own]
            for row in kept:
                row.pop("last_used", None)
            found[name] = sorted(map(repr, kept))
        found["index"] = sorted(
            key for rows in self.parts.index.rows().values() for key in rows if key.collection_id not in own
        )
        blobs = self.parts.images
        found["images"] = {
            str(path.relative_to(blobs)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(blobs.rglob("*"))
            if path.is_file() and path.relative_to(blobs).parts[0] != tenant
        }
        return found

    def ids_of(self, tenant: str) -> set[str]:
        """Every id in a row of the tenant's."""
        with self.parts.database.read() as connection:
            rows = [
                row
                for table in metadata.sorted_tables
                if "tenant_id" in table.c and table is not tenants
                for row in connection.execute(sa.select(table).where(table.c.tenant_id == tenant))
            ]
        texts = {value for row in rows for value in row if isinstance(value, str) and HEX.fullmatch(value)}
        return texts - {tenant}


class Current:
    """The context that the application answers from."""

    context: ApiContext | None = None


@contextmanager
def application() -> Iterator[TestClient]:
    """A client of the application with every dialect."""
    with TestClient(create_app(lambda: Current.context, ALL)) as client:
        yield client


def picture(*who: str) -> str:
    """As base64."""
    return base64.b64encode(fake_picture(*who)).decode()


def as_uuid(id_: str) -> str:
    """How one dialect writes ids."""
    return str(uuid.UUID(id_))


def plain(text: str) -> str:
    """An answer without what differs from one request to the next: ids, times, durations, traffic."""
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.+Z]+", "<time>", HEX.sub("<id>", text))
    text = re.sub(
        r'"(timings_ms|time_used|request_id|image_id|secret|signature)": ?(\{[^}]*\}|"[^"]*"|[0-9.]+)', "<>", text
    )
    text = re.sub(r'"(calls|failed|median_ms|p99_ms|per_second)": ?([0-9.]+|null)', "<traffic>", text)
    return re.sub(r"\d{10,},<id>", "<request>", text)
