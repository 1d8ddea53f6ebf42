"""Archives: export of a gallery to one portable file, and import."""

from serve_app.gallery.archive.checking import check_archive
from serve_app.gallery.archive.container import ArchiveReader, ArchiveWriter
from serve_app.gallery.archive.exporting import Exported, export_archive
from serve_app.gallery.archive.importing import Imported, import_archive

__all__ = ["ArchiveReader", "ArchiveWriter", "Exported", "Imported"]
__all__ += ["check_archive", "export_archive", "import_archive"]
