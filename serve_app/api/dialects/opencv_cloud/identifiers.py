"""Ids and names: the cloud's beside ours.

A collection's id is a UUID of 36 characters there and 32 hex digits here. Its name is any text of up to 50 characters
there; here it is made of letters, digits and three signs, and a text that is not gets a name made of it and of its
SHA-256, and is kept as the title. So equal names stay equal, and different ones different.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence

from serve_app.api.api_context import ApiContext
from serve_app.api.schemas.base import is_collection_name
from serve_app.domain import Collection

MAX_NAME = 50

_DASHED = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]+")


def shown_id(internal: str) -> str:
    """Our id as a UUID."""
    return str(uuid.UUID(internal))


def internal_id(shown: str) -> str:
    """A UUID as our id; anything else stays as it is, and is not found."""
    return uuid.UUID(shown).hex if _DASHED.fullmatch(shown) else shown


def internal_name(shown: str) -> str:
    """The name here of a collection that is called ``shown`` there."""
    if is_collection_name(shown):
        return shown
    digest = hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()
    return f"{_FOREIGN.sub('_', shown)[:40]}-{digest[:16]}"


def shown_name(collection: Collection) -> str:
    """What the collection is called there."""
    is_made = collection.title and internal_name(collection.title) == collection.name
    return (collection.title if is_made else collection.name)[:MAX_NAME]


def name_and_title(shown: str) -> tuple[str, str]:
    """What a collection that is called ``shown`` there is called here."""
    name = internal_name(shown)
    return name, "" if name == shown else shown


async def collection_of(context: ApiContext, tenant: str, shown: str) -> Collection:
    """The collection with this UUID. Raises CollectionNotFound."""
    return (await context.service.matcher.collections_by_id(tenant, [internal_id(shown)]))[0]


async def names_of(context: ApiContext, tenant: str, shown: Sequence[str] | None) -> tuple[str, ...]:
    """The names here of the collections with these UUIDs. Raises CollectionNotFound."""
    if not shown:
        return ()
    ids = list(dict.fromkeys(internal_id(text) for text in shown))
    return tuple(collection.name for collection in await context.service.matcher.collections_by_id(tenant, ids))


async def searched(context: ApiContext, tenant: str, shown: str | None) -> tuple[str, ...] | None:
    """Where to search: in the collection with this UUID, without one everywhere. Raises CollectionNotFound."""
    return None if shown is None else await names_of(context, tenant, [shown])
