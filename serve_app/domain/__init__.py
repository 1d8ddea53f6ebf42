"""Domain values: the frozen dataclasses and enums that all stages take and return.

They have no behaviour beyond what follows from their fields, and do not depend on HTTP, SQL or Milvus. Coordinates are
pixels of the upright image (EXIF orientation applied), origin at the top left corner. Times are timezone-aware UTC.
"""

from serve_app.domain.access import DEFAULT_TENANT, ApiKey, Role, Tenant
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
    CLEARED,
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
from serve_app.domain.privacy import (
    AuditCheck,
    AuditEntry,
    AuditPosition,
    ErasureReceipt,
    NotedHead,
    ReceiptCheck,
    canonical,
)
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
from serve_app.domain.tasks import BulkPerson, BulkWork, DuplicatePair, Task, TaskState
from serve_app.domain.unknowns import Sighting, Unknown

__all__ = ["DEFAULT_TENANT", "ApiKey", "Role", "Tenant"]
__all__ += ["Collection", "CollectionKind", "CollectionPolicy", "Deletion", "ImageStorage", "NewCollection"]
__all__ += ["ChangeState", "CropsToEmbed", "EmbedderChange", "EmbeddersInUse", "LeftBehind"]
__all__ += ["Page", "PersonOrder", "Slice"]
__all__ += ["CLEARED", "Appearance", "Consent", "EnrolledFace", "Face", "NewFace"]
__all__ += ["Person", "PersonFields", "PersonUpdate", "RegisteredFaces", "UnassignedFacesChange"]
__all__ += ["Box", "CheckedFace", "DetectOptions", "DetectedFace", "Detection", "ImageInfo"]
__all__ += ["Liveness", "Pixels", "Quality", "QualityCode", "Vectors"]
__all__ += ["AuditCheck", "AuditEntry", "AuditPosition", "ErasureReceipt", "NotedHead", "ReceiptCheck", "canonical"]
__all__ += ["Comparison", "Enrolment", "GalleryAnswer", "GalleryQuery", "Match"]
__all__ += ["SearchResult", "SearchedFace", "Threshold", "ThresholdRequest"]
__all__ += ["BulkPerson", "BulkWork", "DuplicatePair", "Task", "TaskState"]
__all__ += ["Sighting", "Unknown"]

LooseFacesChange = UnassignedFacesChange
"""Former name, for programs that import it."""
