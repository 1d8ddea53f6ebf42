"""Conversion between collections and their rows."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection, CollectionKind, CollectionPolicy, ImageStorage, NewCollection
from serve_app.domain.collections import MAX_KEEP_UNKNOWN_H, RETENTION_DAYS
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks
from serve_app.gallery.sql.records.statements import search_text, to_choice, to_value


def to_collection(row: sa.Row[Any]) -> Collection:
    """A row of the table as a domain value."""
    policy = to_value(
        CollectionPolicy, row, image_storage=to_choice(ImageStorage, row.image_storage, "collections.image_storage")
    )
    return to_value(
        Collection,
        row,
        kind=to_choice(CollectionKind, row.kind, "collections.kind"),
        tags=tuple(row.tags),
        policy=policy,
    )


def to_values(new: NewCollection, kept_name: str | None = None) -> dict[str, Any]:
    """The columns of a new collection, checked. ``kept_name`` passes: earlier versions allowed the names . and ..

    Raises InvalidRequest.
    """
    policy = new.policy
    if not isinstance(policy, CollectionPolicy):
        raise InvalidRequest(f"policy must be a collection policy, got {checks.quoted(policy)}.")
    if not isinstance(policy.liveness, bool):
        raise InvalidRequest(f"policy.liveness must be true or false, got {checks.quoted(policy.liveness)}.")

    def number(field: str, low: float, high: float) -> float:
        return checks.check_number(f"policy.{field}", getattr(policy, field), low, high)

    return {
        "name": kept_name
        if kept_name is not None and new.name == kept_name
        else checks.check_name(new.name, "A collection's name"),
        **{
            field: checks.check_text(field, getattr(new, field), longest)
            for field, longest in checks.COLLECTION_TEXTS.items()
        },
        "search_text": search_text(new.name, new.title),
        "kind": _choice("kind", CollectionKind, new.kind),
        "tags": list(checks.check_texts("tags", new.tags, checks.MOST_TAGS, checks.LONGEST_TAG)),
        "liveness": policy.liveness,
        "liveness_threshold": number("liveness_threshold", 0, 1),
        "min_score": None if policy.min_score is None else number("min_score", 0, 1),
        "retention_days": None if policy.retention_days is None else number("retention_days", *RETENTION_DAYS),
        "image_storage": _choice("policy.image_storage", ImageStorage, policy.image_storage),
        "keep_unknown_h": checks.check_whole("policy.keep_unknown_h", policy.keep_unknown_h, 0, MAX_KEEP_UNKNOWN_H),
        "reject_below": number("reject_below", 0, 1),
    }


def _choice(field: str, kind: type[CollectionKind] | type[ImageStorage], value: object) -> str:
    try:
        return str(kind(value))  # type: ignore[arg-type]
    except ValueError:
        words = ", ".join(kind)
        raise InvalidRequest(f"{field} must be one of {words}; got {checks.quoted(value)}.") from None
