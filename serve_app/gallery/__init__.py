"""The gallery: records (SQL, the system of record), vector index (Milvus) and face images (fsspec) as one store."""

from serve_app.gallery.database import Database
from serve_app.gallery.embedder_state import EmbedderState
from serve_app.gallery.gallery import Gallery
from serve_app.gallery.keys import KeyStore
from serve_app.gallery.moving import IndexMoves
from serve_app.gallery.open import open_database, open_gallery, open_keys
from serve_app.gallery.records.index_place import IndexPlace
from serve_app.gallery.tenants import TenantStore

__all__ = [
    "Database",
    "EmbedderState",
    "Gallery",
    "IndexMoves",
    "IndexPlace",
    "KeyStore",
    "TenantStore",
    "open_database",
    "open_gallery",
    "open_keys",
]
