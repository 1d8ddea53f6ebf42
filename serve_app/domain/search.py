"""Searches and comparisons, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.domain.persons import Face, Person
from serve_app.domain.pictures import DetectedFace, ImageInfo, Liveness, Vectors
from serve_app.domain.unknowns import Sighting


@dataclass(frozen=True, slots=True)
class ThresholdRequest:
    """How strict a search shall be: at most one of the two, neither means FPIR 1 % or the collection's own policy.

    Attributes:
        min_score: calibrated score, 0 to 1.
        fpir: accepted share of searches by unknown people that return anyone, over 0 and below 1.
    """

    min_score: float | None = None
    fpir: float | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold that was used and what it means.

    Attributes:
        min_score: calibrated score, 0 to 1.
        fmr: expected share of false matches among comparisons with other people's faces.
        fpir: expected share of searches by unknown people that return anyone, at this gallery's size.
        gallery_size: number of faces compared with.
    """

    min_score: float
    fmr: float
    fpir: float
    gallery_size: int


@dataclass(frozen=True, slots=True, eq=False)
class GalleryQuery:
    """A search in the gallery.

    Attributes:
        probes: float32 (n, dimension), one row per face looked for.
        model: id of the embedder that made them.
        collections: names, at least one; None searches everybody, also persons in no collection.
        max_results: persons per probe, at least 1.
        liveness_threshold: the probability that every probe was found to reach, None when that was not checked; a
            collection's policy may demand one.
        persons_only: leave out faces without a person.
        trace: whether the audit log records it.
    """

    probes: Vectors
    model: str
    collections: tuple[str, ...] | None
    max_results: int
    threshold: ThresholdRequest = ThresholdRequest()
    liveness_threshold: float | None = None
    persons_only: bool = False
    trace: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """One answer of a search: a person by the best face, or a face without a person that stands for itself.

    Attributes:
        score: calibrated, 0 to 1.
        distance: cosine distance, 0 (same direction) to 2.
    """

    collection: str  # its name; empty for a person in none
    person: Person | None
    face: Face
    score: float
    distance: float


@dataclass(frozen=True, slots=True)
class GalleryAnswer:
    """Matches for each probe in the order asked, best first, no person twice.

    Attributes:
        liveness_threshold: what the strictest policy of the searched collections demands; None if none does.
    """

    matches: tuple[tuple[Match, ...], ...]
    threshold: Threshold
    liveness_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class SearchedFace:
    """A face of the probe image with who it may be. ``face`` is None when the search was by an enrolled face's id."""

    face: DetectedFace | None
    liveness: Liveness | None
    matches: tuple[Match, ...]
    unknown: Sighting | None = None  # where it was kept, if it was


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to a search; ``timings`` maps a step's name to milliseconds."""

    image: ImageInfo | None
    faces: tuple[SearchedFace, ...]
    model: str
    threshold: Threshold
    timings: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two faces compared, or one face against a person.

    Attributes:
        score: calibrated, 0 to 1.
        fmr: share of pairs of different people that reach this score.
        is_match: whether the score reaches ``min_score``.
        model: the embedder that it was made with.
    """

    score: float
    distance: float
    fmr: float
    is_match: bool
    min_score: float
    model: str
    first: DetectedFace
    second: DetectedFace | None = None
    liveness: Liveness | None = None
    face_id: str | None = None  # the person's best face, when compared with a person


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an enrolment did."""

    person: Person
    created: bool
    faces: tuple[Face, ...]  # the faces that it added
