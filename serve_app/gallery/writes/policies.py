"""Policies of collections: which faces are allowed to join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Collection, NewFace
from serve_app.errors import FaceNotLive, LivenessRequired, QualityTooLow


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
    _check_live([(str(i), face.liveness, i) for i, face in enumerate(new.values())], everywhere)
    _check_live([(row.id, row.liveness, None) for row in kept], joined)
    _check_quality([(str(i), face.quality, i) for i, face in enumerate(new.values())], everywhere)
    _check_quality([(row.id, row.quality, None) for row in kept], joined)


def _check_live(probabilities: Sequence[tuple[str, float | None, int | None]], demanding: Sequence[Collection]) -> None:
    thresholds = {c.policy.liveness_threshold: c.name for c in demanding if c.policy.liveness}
    if not thresholds:
        return
    threshold = max(thresholds)
    for label, probability, image in probabilities:
        details: dict[str, Any] = {"threshold": threshold, "collection": thresholds[threshold]}
        if image is None:
            details["face_id"] = label
        else:
            details["image"] = image
        if probability is None:
            raise LivenessRequired(
                f"The collection {thresholds[threshold]} demands a liveness check; the face {label} had none.",
                **details,
            )
        if probability < threshold:
            raise FaceNotLive(
                f"The face {label} is not live: probability {probability:.2f}, needed {threshold:.2f}.",
                probability=probability,
                **details,
            )


def _check_quality(qualities: Sequence[tuple[str, float, int | None]], demanding: Sequence[Collection]) -> None:
    if not demanding:
        return
    strictest = max(demanding, key=lambda collection: collection.policy.reject_below)
    needed = strictest.policy.reject_below
    for label, quality, image in qualities:
        if quality < needed:
            details: dict[str, Any] = {"face_id": label} if image is None else {"image": image}
            raise QualityTooLow(
                f"The face {label} is not good enough for the collection {strictest.name}: quality {quality:.2f}, "
                f"needed {needed:.2f}.",
                codes=[],
                quality=quality,
                needed=needed,
                collection=strictest.name,
                **details,
            )
