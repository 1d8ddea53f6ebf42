"""The gallery: records (SQL, the system of record), vector index (Milvus) and images store (fsspec) as one store."""

from serve_app.gallery.embedder_change.state import EmbedderState as EmbedderState
from serve_app.gallery.gallery import Gallery as Gallery
from serve_app.gallery.index_move.moves import IndexMoves as IndexMoves
from serve_app.gallery.keys import KeyStore as KeyStore
from serve_app.gallery.opening import check_locations as check_locations
from serve_app.gallery.opening import open_database as open_database
from serve_app.gallery.opening import open_gallery as open_gallery
from serve_app.gallery.opening import open_keys as open_keys
from serve_app.gallery.sql.database import Database as Database
from serve_app.gallery.sql.records.index_location import IndexMove as IndexMove
from serve_app.gallery.tenants import TenantStore as TenantStore
