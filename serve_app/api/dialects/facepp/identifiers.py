"""Mapping between a FaceSet's ``outer_id`` and a collection's name.

An ``outer_id`` that is a valid name of a collection is the name, so that a collection that the native API created is a
FaceSet under its name. Any other ``outer_id`` is stored as the collection's description, and the name is derived from
its SHA-256, which keeps it unique within the tenant.
"""

from __future__ import annotations

import hashlib
import re
import uuid

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.facepp.errors import Refused, missing
from serve_app.api.dialects.facepp.requests import FacesetParams
from serve_app.domain import Collection
from serve_app.domain.names import is_name
from serve_app.errors import CollectionNotFound

HASHED = "outer-"
NAMELESS = re.compile(r"faceset-[0-9a-f]{32}")


def name_of(outer_id: str | None) -> str:
    """The name of the collection with this ``outer_id``; a new name for None."""
    if outer_id is None:
        return f"faceset-{uuid.uuid4().hex}"
    return outer_id if is_name(outer_id) else HASHED + hashlib.sha256(outer_id.encode()).hexdigest()[:40]


def description_of(outer_id: str | None) -> str:
    """The description of the collection with this ``outer_id``."""
    return "" if outer_id is None or is_name(outer_id) else outer_id


def outer_id_of(collection: Collection) -> str:
    """The ``outer_id`` of a collection; empty if the FaceSet was created without one."""
    if NAMELESS.fullmatch(collection.name):
        return ""
    kept = collection.description
    return kept if kept and name_of(kept) == collection.name else collection.name


async def faceset(context: ApiContext, tenant: str, params: FacesetParams) -> Collection:
    """The FaceSet that the parameters name. Raises Refused."""
    if params.faceset_token is None and params.outer_id is None:
        raise missing("faceset_token", "outer_id")
    if params.faceset_token is not None and params.outer_id is not None:
        raise Refused("COEXISTENCE_ARGUMENTS")
    try:
        if params.faceset_token is not None:
            return (await context.service.matcher.collections_by_id(tenant, (params.faceset_token,)))[0]
        found = await context.service.matcher.collection(tenant, name_of(params.outer_id))
    except CollectionNotFound:
        by_token = params.faceset_token is not None
        raise Refused("INVALID_FACESET_TOKEN" if by_token else "INVALID_OUTER_ID") from None
    if not is_name(params.outer_id or "") and outer_id_of(found) != params.outer_id:
        raise Refused("INVALID_OUTER_ID")
    return found
