"""The gallery: records (SQL, the system of record), vector index (Milvus) and images store (fsspec) as one store."""

from serve_app.gallery.embedder_change.state import EmbedderState
from serve_app.gallery.gallery import Gallery
from serve_app.gallery.index_move.moves import IndexMoves
from serve_app.gallery.keys import KeyStore
from serve_app.gallery.opening import open_database, open_gallery, open_keys
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records.index_location import IndexMove
from serve_app.gallery.tenants import TenantStore

__all__ = [
    "Database",
    "EmbedderState",
    "Gallery",
    "IndexMove",
    "IndexMoves",
    "KeyStore",
    "TenantStore",
    "open_database",
    "open_gallery",
    "open_keys",
]
