"""Domain values: the frozen dataclasses and enums that all stages take and return.

They have no behaviour beyond what follows from their fields, and do not depend on HTTP, SQL or Milvus. Coordinates are
pixels of the upright image (EXIF orientation applied), origin at the top left corner. Times are timezone-aware UTC.
"""

from serve_app.domain.access import DEFAULT_TENANT, ApiKey, Role, Tenant
from serve_app.domain.bulk import BulkPerson, BulkWork
from serve_app.domain.collections import (
    Collection,
    CollectionKind,
    CollectionPolicy,
    Deletion,
    ImageStorage,
    NewCollection,
)
from serve_app.domain.embedders import ChangeState, CropsToEmbed, EmbedderChange, EmbeddersInUse, LeftBehind
from serve_app.domain.listings import Page, PersonOrder, Slice
from serve_app.domain.persons import (
    Appearance,
    Consent,
    EnrolledFace,
    Face,
    NewFace,
    Person,
    PersonFields,
    PersonUpdate,
    RegisteredFaces,
    UnassignedFacesChange,
)
from serve_app.domain.pictures import (
    Box,
    CheckedFace,
    DetectedFace,
    Detection,
    DetectOptions,
    ImageInfo,
    Liveness,
    Pixels,
    Quality,
    QualityCode,
    Vectors,
)
from serve_app.domain.privacy import AuditCheck, AuditEntry, ErasureReceipt, ReceiptCheck, canonical
from serve_app.domain.search import (
    Comparison,
    Enrolment,
    GalleryAnswer,
    GalleryQuery,
    Match,
    SearchedFace,
    SearchResult,
    Threshold,
    ThresholdRequest,
)
from serve_app.domain.tasks import DuplicatePair, Task, TaskState
from serve_app.domain.unknowns import Sighting, Unknown

__all__ = [
    "DEFAULT_TENANT",
    "ApiKey",
    "Appearance",
    "AuditCheck",
    "AuditEntry",
    "Box",
    "BulkPerson",
    "BulkWork",
    "ChangeState",
    "CheckedFace",
    "Collection",
    "CollectionKind",
    "CollectionPolicy",
    "Comparison",
    "Consent",
    "CropsToEmbed",
    "Deletion",
    "DetectOptions",
    "DetectedFace",
    "Detection",
    "DuplicatePair",
    "EmbedderChange",
    "EmbeddersInUse",
    "EnrolledFace",
    "Enrolment",
    "ErasureReceipt",
    "Face",
    "GalleryAnswer",
    "GalleryQuery",
    "ImageInfo",
    "ImageStorage",
    "LeftBehind",
    "Liveness",
    "Match",
    "NewCollection",
    "NewFace",
    "Page",
    "Person",
    "PersonFields",
    "PersonOrder",
    "PersonUpdate",
    "Pixels",
    "Quality",
    "QualityCode",
    "ReceiptCheck",
    "RegisteredFaces",
    "Role",
    "SearchResult",
    "SearchedFace",
    "Sighting",
    "Slice",
    "Task",
    "TaskState",
    "Tenant",
    "Threshold",
    "ThresholdRequest",
    "UnassignedFacesChange",
    "Unknown",
    "Vectors",
    "canonical",
]
