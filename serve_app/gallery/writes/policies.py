"""Policies of collections: which faces are allowed to join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection, NewFace
from serve_app.errors import FaceNotLive, LivenessRequired, QualityTooLow

Checked = Sequence[tuple[str, Mapping[str, Any], Any]]
"""Faces for checks: a name, the details that name the face in an error, and an object with its measurements."""


def check_policies(
    new: Mapping[str, NewFace],
    everywhere: Sequence[Collection],
    kept: Sequence[sa.Row[Any]],
    joined: Sequence[Collection],
) -> None:
    """Check faces against the policies of collections. Raises LivenessRequired, FaceNotLive, QualityTooLow.

    Args:
        new: new faces by id; they must satisfy all of ``everywhere``.
        everywhere: all collections that the person will be in.
        kept: rows of existing faces; they must satisfy all of ``joined``.
        joined: collections that the person joins.
    """
    added = [(str(i), {"image": i}, face) for i, face in enumerate(new.values())]
    existing = [(row.id, {"face_id": row.id}, row) for row in kept]
    for check in (_check_live, _check_quality):
        check(added, everywhere)
        check(existing, joined)


def _check_live(faces: Checked, demanding: Sequence[Collection]) -> None:
    thresholds = {c.policy.liveness_threshold: c.name for c in demanding if c.policy.liveness}
    if not thresholds:
        return
    threshold = max(thresholds)
    name = thresholds[threshold]
    for label, details, face in faces:
        facts = {"threshold": threshold, "collection": name, **details}
        if face.liveness is None:
            raise LivenessRequired(
                f"The collection {name} demands a liveness check; the face {label} had none.", **facts
            )
        if face.liveness < threshold:
            text = f"The face {label} is not live: probability {face.liveness:.2f}, needed {threshold:.2f}."
            raise FaceNotLive(text, probability=face.liveness, **facts)


def _check_quality(faces: Checked, demanding: Sequence[Collection]) -> None:
    if not demanding:
        return
    strictest = max(demanding, key=lambda collection: collection.policy.reject_below)
    needed = strictest.policy.reject_below
    for label, details, face in faces:
        if face.quality < needed:
            raise QualityTooLow(
                f"The face {label} is not good enough for the collection {strictest.name}: quality {face.quality:.2f}, "
                f"needed {needed:.2f}.",
                codes=[],
                quality=face.quality,
                needed=needed,
                collection=strictest.name,
                **details,
            )
