"""Which embedders are in use, and how far a change from one to another has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class EmbeddersInUse:
    """Ids of the embedders at one moment.

    Attributes:
        active: what probes are embedded with.
        further: what new faces are embedded with besides, while the default changes; None otherwise.
    """

    active: str
    further: str | None = None


class ChangeState(StrEnum):
    """How far a change of the embedder has come.

    ``none``: no change is under way. ``embedding``: stored crops are embedded by the target, searches use the active
    model. ``waiting``: only faces without a stored crop are left, and searches still use the active model, until these
    are enrolled again or given up. ``finishing``: searches use the new model, the old templates are being cleared away.
    """

    NONE = "none"
    EMBEDDING = "embedding"
    WAITING = "waiting"
    FINISHING = "finishing"


@dataclass(frozen=True, slots=True)
class EmbedderChange:
    """A change of the embedder, counted over one tenant or over all.

    Attributes:
        active: what searches use.
        target: what they will use; None when no change is under way.
        faces: all stored faces.
        done: those that the target (without one: the active model) has a template of.
        without_image: those of the others that no crop is stored of.
    """

    state: ChangeState
    active: str
    target: str | None
    faces: int
    done: int
    without_image: int


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """Somebody whom the target (without one: the active model) cannot find, or not by all faces, without a new picture.

    Attributes:
        person_id: the caller's id; None for a face that stands for itself.
        face_ids: the faces without a template and without a stored crop.
        remaining: how many of the person's faces have a template; 0 means not found at all.
    """

    person_id: str | None
    face_ids: tuple[str, ...]
    remaining: int


@dataclass(frozen=True, slots=True)
class CropsToEmbed:
    """Stored crops that wait for a template.

    Attributes:
        model: the embedder that is to make it.
        crops: face id -> JPEG of the aligned crop.
        last: the last face looked at; the next batch begins after it.
    """

    model: str
    crops: Mapping[str, bytes]
    last: str
