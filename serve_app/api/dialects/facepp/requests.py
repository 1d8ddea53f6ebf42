"""Request parameters of the Face++ dialect."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field

from serve_app.api.dialects.facepp.attributes import UNMEASURED
from serve_app.api.dialects.facepp.errors import Refused, bad, missing
from serve_app.api.schemas.base import Body, ImageText, Reference, UploadField, Url

EXAMPLE_TOKEN = "4dc8ba0650405fa7a4a5b0b5cb937f0b"  # noqa: S105 - a face's id
EXAMPLE_URL = "https://example.org/ada.jpg"

MAX_TOKENS = 5
MAX_REMOVED = 1000
EVERYTHING = "RemoveAllFaceTokens"

ATTRIBUTES = frozenset({"headpose", "facequality", "blur", *UNMEASURED})
ALIASES = {"smile": "smiling"}

FORBIDDEN = frozenset("^@,&=*'\"")

FLAG = Annotated[int, Field(ge=0, le=1)]


def _plain(text: str) -> str:
    if any(character in FORBIDDEN or ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("^ @ , & = * ' \" and control characters are not allowed")
    return text


def _plain_list(text: str) -> str:
    for part in text.split(","):
        _plain(part)
    return text


Plain = AfterValidator(_plain)
OuterId = Annotated[str, Field(min_length=1, max_length=255), Plain]
DisplayName = Annotated[str, Field(max_length=256), Plain]
Tags = Annotated[str, Field(max_length=255), AfterValidator(_plain_list)]
UserData = Annotated[str, Field(max_length=16 * 1024), Plain]
FaceTokens = Annotated[str, Field(max_length=64 * MAX_REMOVED)]
Start = Annotated[int, Field(ge=1, le=10_000, description="The first one of the page, from 1.")]


class FaceppBody(Body):
    """Parameters of every request."""

    model_config = ConfigDict(extra="ignore")

    api_key: Reference = Field(
        description="The id of a key of this service.", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"]
    )
    api_secret: Reference = Field(description="The key itself.")


class PictureParams(FaceppBody):
    """An image in one of three ways; the file takes precedence over base64, and base64 over the URL."""

    image_file: UploadField | None = None
    image_base64: ImageText | None = None
    image_url: Url | None = None


class FacesetParams(FaceppBody):
    """A FaceSet, by its token or its `outer_id`."""

    faceset_token: Reference | None = None
    outer_id: Reference | None = None


class AppearanceParams(FaceppBody):
    """Landmarks and attributes that are requested for faces."""

    return_landmark: int | None = Field(None, ge=0, le=2, description="1 and 2 return the same five points.")
    return_attributes: str | None = Field(None, max_length=1000, description="A comma-separated list, or none.")

    @property
    def landmark(self) -> bool:
        """Whether landmarks are requested."""
        return bool(self.return_landmark)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The requested attributes. Raises Refused."""
        if self.return_attributes is None or self.return_attributes.strip().lower() == "none":
            return ()
        names = tuple(dict.fromkeys(part.strip() for part in self.return_attributes.split(",") if part.strip()))
        wanted = tuple(ALIASES.get(name, name) for name in names)
        if not ATTRIBUTES.issuperset(wanted):
            raise bad("return_attributes")
        return wanted


class AddParams(FacesetParams):
    """Faces to add."""

    face_tokens: FaceTokens = Field(description="Up to five, separated by commas.")


class RemoveParams(FacesetParams):
    """Faces to remove."""

    face_tokens: FaceTokens | None = Field(
        None, description="Up to 1,000, separated by commas, or `RemoveAllFaceTokens`."
    )
    face_token: FaceTokens | None = Field(None, description="A misspelling of some clients.")

    def tokens(self) -> list[str] | None:
        """The tokens; None for all faces. Raises Refused."""
        sent = self.face_tokens if self.face_tokens is not None else self.face_token
        if sent is None:
            raise missing("face_tokens")
        return None if sent.strip() == EVERYTHING else tokens_of(sent, MAX_REMOVED)


class FaceppDetectParams(PictureParams, AppearanceParams):
    """An image whose faces are detected."""

    calculate_all: FLAG = 0
    face_rectangle: str | None = Field(
        None, pattern=r"^\d{1,5},\d{1,5},\d{1,5},\d{1,5}$", description="top,left,width,height: only the face there."
    )
    beauty_score_min: int = Field(0, ge=0, le=100)
    beauty_score_max: int = Field(100, ge=0, le=100)


class FaceppCompareParams(AppearanceParams):
    """Two faces, each by its token or in an image."""

    face_token1: Reference | None = None
    image_file1: UploadField | None = None
    image_base64_1: ImageText | None = None
    image_url1: Url | None = None
    face_token2: Reference | None = None
    image_file2: UploadField | None = None
    image_base64_2: ImageText | None = None
    image_url2: Url | None = None


class FaceppSearchParams(PictureParams, FacesetParams):
    """A face, and the FaceSet to search."""

    face_token: Reference | None = Field(None, description="Takes precedence over an image.")
    return_result_count: int = Field(1, ge=1, le=5)


class FaceppAnalyzeParams(AppearanceParams):
    """Faces to analyse, and the requested landmarks and attributes."""

    face_tokens: FaceTokens = Field(description="Up to five, separated by commas.")


class FaceppFaceParams(FaceppBody):
    """A face."""

    face_token: Reference


class FaceppUserIdParams(FaceppFaceParams):
    """A face and the text to attach to it."""

    user_id: Annotated[str, Field(max_length=255), Plain]


class FaceppCreateParams(FaceppBody):
    """A new FaceSet."""

    display_name: DisplayName = ""
    outer_id: OuterId | None = None
    tags: Tags = ""
    user_data: UserData = ""
    face_tokens: FaceTokens | None = Field(None, description="Up to five, separated by commas.")
    force_merge: FLAG = Field(0, description="1: if a FaceSet with this outer_id exists, add the faces to it.")


class FaceppDetailParams(FacesetParams):
    """A FaceSet, and the first face of the page."""

    start: Start = 1


class FaceppListParams(FaceppBody):
    """A filter of FaceSets, and the first one of the page."""

    tags: Tags = Field("", description="Only FaceSets with at least one of these tags.")
    start: Annotated[int, Field(ge=1)] = 1


class FaceppUpdateParams(FacesetParams):
    """Changes to a FaceSet."""

    new_outer_id: OuterId | None = None
    display_name: DisplayName | None = None
    user_data: UserData | None = None
    tags: Tags | None = None


class FaceppDeleteParams(FacesetParams):
    """The FaceSet to delete."""

    check_empty: FLAG = Field(1, description="1: delete the FaceSet only if it is empty.")


class FaceppTaskParams(FaceppBody):
    """A task."""

    task_id: Reference


def tokens_of(text: str, most: int) -> list[str]:
    """The tokens of a comma-separated list. Raises Refused if there are none or more than ``most``."""
    tokens = [part.strip() for part in text.split(",") if part.strip()]
    if not 1 <= len(tokens) <= most:
        raise Refused("INVALID_FACE_TOKENS_SIZE")
    return tokens
