"""``facegraph reindex``: rebuild the vector index from the records."""

from __future__ import annotations

from typing import Annotated

import typer

from serve_app.cli.options import Config, require_database, settings_of
from serve_app.cli.output import note, stderr


def reindex(
    model: Annotated[str | None, typer.Option(help="Only the index of this embedder.", show_default="all")] = None,
    config: Config = None,
) -> None:
    """Drop the vector index and rebuild it from the database.

    With the embedded index (a file) the service must be stopped. With a Milvus server it can run, but searches miss
    faces until the index is rebuilt.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from serve_app.gallery import open_gallery
    from serve_app.vision.catalogue import Catalogue

    settings = settings_of(config)
    require_database(settings)
    catalogue = Catalogue.load()
    if model is not None:
        catalogue.get(model).calibration()  # raises ConfigurationError unless it is a calibrated embedder
    gallery = open_gallery(settings, catalogue.calibrations(), recover=False)
    columns = (TextColumn("Indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=stderr) as progress:
            task = progress.add_task("faces", total=None)
            rows = gallery.reindex(model, lambda done, total: progress.update(task, completed=done, total=total))
    finally:
        gallery.close()
    note(f"{rows} faces are in the index.")
