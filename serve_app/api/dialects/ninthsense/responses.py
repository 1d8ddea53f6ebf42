"""Responses of the 9thSense dialect, with the vendor's field names."""

from __future__ import annotations

from pydantic import Field

from serve_app.api.schemas.base import Answer
from serve_app.domain import Collection, CollectionKind, Comparison, Match


class NinthSenseIndex(Answer):
    """A face database: a collection."""

    id: str = Field(description="Unique identifier of the face index database.")
    index_name: str
    index_type: CollectionKind
    record_count: int = Field(description="Total number of face records in this database.")
    title: str
    description: str

    @classmethod
    def of(cls, collection: Collection) -> NinthSenseIndex:
        """Build from the domain value."""
        return cls(
            id=collection.id,
            index_name=collection.name,
            index_type=collection.kind,
            record_count=collection.face_count,
            title=collection.title,
            description=collection.description,
        )


class NinthSenseIndexes(Answer):
    """The databases that can be searched."""

    response: list[NinthSenseIndex]


class NinthSenseMatch(Answer):
    """A match. Unknown data of the person are empty texts."""

    match_score: float = Field(description="Similarity score for this match (0-100). Higher is more similar.")
    distance: float = Field(description="1 - match_score / 100. Lower means closer match.")
    match_image_id: str = Field(description="For GET /media/file/download/{file_id}.")
    name: str
    dob: str = Field(description="Date of birth as YYYY-MM-DD.")
    nationality: str
    gender: str
    id_no: str
    address: str
    watch_list: list[str] = Field(description="Watch-list categories this record belongs to, if any.")
    additional_info: str
    index_name: str
    index_type: CollectionKind

    @classmethod
    def of(cls, match: Match, kind: CollectionKind) -> NinthSenseMatch:
        """Build from the match; ``kind`` is that of the match's collection."""
        person = match.person
        score = round(100 * match.score, 2)
        born = person.date_of_birth if person else None
        return cls(
            match_score=score,
            distance=round(1 - score / 100, 4),
            match_image_id=match.face.id,
            name=person.name if person else match.face.user_id,
            dob=born.isoformat() if born else "",
            nationality=person.nationality if person else "",
            gender=person.gender if person else "",
            id_no=person.id_number if person else "",
            address=person.address if person else "",
            watch_list=list(person.watch_list) if person else [],
            additional_info=person.notes if person else "",
            index_name=match.collection,
            index_type=kind,
        )


class NinthSenseMatches(Answer):
    """The ranked matches."""

    response: list[NinthSenseMatch]


class NinthSenseFile(Answer):
    """A stored face image."""

    file_base64: str
    file_name: str
    file_type: str
    file_id: str


class NinthSenseDownload(Answer):
    """A stored face image under the key `response`."""

    response: NinthSenseFile


class NinthSenseVerdict(Answer):
    """The result of a comparison."""

    confidence: float = Field(description="The score, 0 to 1.")
    match_result: str = Field(description="matched or not_matched.", examples=["matched"])
    similarity_score: str = Field(description="The score, 0 to 100, as a text.", examples=["97.4"])

    @classmethod
    def of(cls, comparison: Comparison) -> NinthSenseVerdict:
        """Build from the domain value."""
        return cls(
            confidence=round(comparison.score, 2),
            match_result="matched" if comparison.is_match else "not_matched",
            similarity_score=f"{100 * comparison.score:.1f}",
        )


class NinthSenseComparison(Answer):
    """The result of a comparison, under the key `response`."""

    response: NinthSenseVerdict
