"""The embedders in use, and the progress of a change from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class EmbeddersInUse:
    """Ids of the embedders in use.

    Attributes:
        active: the embedder of probes.
        further: second embedder of new faces while the default changes; None otherwise.
    """

    active: str
    further: str | None = None


class ChangeState(StrEnum):
    """Progress of a change of the embedder.

    ``none``: no change is under way. ``embedding``: stored crops are embedded by the target, searches use the active
    model. ``waiting``: only faces without a stored crop are left, and searches use the active model until these faces
    are enrolled again or given up. ``finishing``: searches use the new model, the old templates are being removed.
    """

    NONE = "none"
    EMBEDDING = "embedding"
    WAITING = "waiting"
    FINISHING = "finishing"


@dataclass(frozen=True, slots=True)
class EmbedderChange:
    """A change of the embedder, counted over one tenant or over all.

    Attributes:
        active: the model that searches use.
        target: the model that they will use; None when no change is under way.
        faces: number of stored faces.
        done: faces with a template of the target (of the active model when there is no target).
        without_image: faces without such a template and without a stored crop.
    """

    state: ChangeState
    active: str
    target: str | None
    faces: int
    done: int
    without_image: int


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """A person (or unassigned face) with faces that the target model cannot find without a new image.

    Without a target, the active model counts.

    Attributes:
        person_id: the caller's id; None for an unassigned face.
        face_ids: the faces without a template and without a stored crop.
        remaining: number of the person's faces that have a template; with 0 searches do not find the person.
    """

    person_id: str | None
    face_ids: tuple[str, ...]
    remaining: int


@dataclass(frozen=True, slots=True)
class CropsToEmbed:
    """A batch of stored crops to be embedded.

    Attributes:
        model: id of the embedder to use.
        crops: face id -> JPEG of the aligned crop.
        last: id of the last face examined; the next batch begins after it.
    """

    model: str
    crops: Mapping[str, bytes]
    last: str
