"""Requests and results of searches and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.domain.persons import Face, Person
from serve_app.domain.pictures import DetectedFace, ImageInfo, Liveness, Vectors
from serve_app.domain.unknowns import Sighting


@dataclass(frozen=True, slots=True)
class ThresholdRequest:
    """The threshold that a caller asks for: at most one of the two.

    With neither, the collection's policy decides, or FPIR 1 % if the policy has no ``min_score``.

    Attributes:
        min_score: calibrated score, 0 to 1.
        fpir: accepted share of searches by unknown people that return anyone, above 0 and below 1.
    """

    min_score: float | None = None
    fpir: float | None = None


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold that was applied, and the error rates expected at it.

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
        model: id of the embedder that made the probes.
        collections: names, at least one; None searches all of the tenant's persons, also those in no collection.
        max_results: persons per probe, at least 1.
        liveness_threshold: probability that every probe reached in the liveness check, None if that was not made; a
            collection's policy can demand one.
        persons_only: leave out unassigned faces.
        trace: whether the audit log records the search.
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
    """One result of a search: a person with the best matching face, or an unassigned face.

    Attributes:
        collection: name of the collection; empty for a person in no collection.
        person: None for an unassigned face.
        face: the face that matched best.
        score: calibrated, 0 to 1.
        distance: cosine distance, 0 (same direction) to 2.
    """

    collection: str
    person: Person | None
    face: Face
    score: float
    distance: float


@dataclass(frozen=True, slots=True)
class GalleryAnswer:
    """Matches for each probe, in the order of the probes; best first, no person twice.

    ``liveness_threshold`` is that of the strictest liveness policy of the searched collections; None if none demands
    liveness.
    """

    matches: tuple[tuple[Match, ...], ...]
    threshold: Threshold
    liveness_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class SearchedFace:
    """A face of the searched image with its matches.

    Attributes:
        face: None when the search was by the id of an enrolled face.
        liveness: None if it was not checked.
        matches: best first.
        unknown: the unknown that keeps the face; None if it was not kept.
    """

    face: DetectedFace | None
    liveness: Liveness | None
    matches: tuple[Match, ...]
    unknown: Sighting | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Result of a search by image or by face id.

    Attributes:
        image: facts about the searched image; None when the search was by face id.
        faces: one entry per face of the image.
        model: id of the embedder.
        timings: name of a step -> milliseconds.
        left_out: as in :class:`Detection`.
    """

    image: ImageInfo | None
    faces: tuple[SearchedFace, ...]
    model: str
    threshold: Threshold
    timings: Mapping[str, float]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of comparing two faces, or one face with a person.

    Attributes:
        score: calibrated, 0 to 1.
        distance: cosine distance, 0 (same direction) to 2.
        fmr: share of pairs of different people that reach this score.
        is_match: whether the score reaches ``min_score``.
        model: id of the embedder.
        first: the face of the first image.
        second: the face of the second image; None in a comparison with a person.
        liveness: of ``first``; None if it was not checked.
        face_id: the person's best matching face; None in a comparison of two images.
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
    face_id: str | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Result of an enrolment: the person afterwards, whether the person is new, and the faces that were added."""

    person: Person
    created: bool
    faces: tuple[Face, ...]
