"""``facegraph index`` shows the location of the vector index and moves it; ``facegraph reindex`` rebuilds the index."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import AsJson, Config, records_of, require_database, settings_of
from serve_app.cli.output import fail, note, print_json, stderr, stdout

if TYPE_CHECKING:
    from rich.progress import Progress

    from serve_app.gallery import Database, IndexMove, IndexMoves
    from serve_app.settings import Settings

TAKEN_UP_WITHIN_S = 10.0
"""Seconds after which no running service is expected to begin a move; one does so within a second or two."""

POLL_S = 0.5

REMOVED_WITHIN_S = 180.0
"""Seconds that a move waits until the former index of the last one is removed; with a server that takes a minute."""

app = typer.Typer(help="The vector index: show its location, move it.", no_args_is_help=True)


@app.command()
def move(
    to: Annotated[
        str,
        typer.Option(
            help="New location: http://host:19530 of a Milvus server, or a path ending in .db for milvus-lite."
        ),
    ] = "",
    token: Annotated[
        str,
        typer.Option(
            envvar="FACEGRAPH_MOVE_TOKEN", help="user:password or API key of the new server.", show_default=False
        ),
    ] = "",
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel a move that has not switched yet.")] = False,
    config: Config = None,
) -> None:
    """Move the vector index to another store. Searches and writes continue, and nothing is lost.

    A running service does the work, and this command shows the progress; if no service runs, the command does the work
    itself. Afterwards set storage.milvus_uri to the new location; until then the service uses the location in the
    database.
    """
    from serve_app.gallery import IndexMoves
    from serve_app.gallery.index.locations import parse, without_credentials

    if bool(to) == cancel:
        raise fail("Either --to or --cancel is needed.")
    settings = settings_of(config)
    with records_of(settings) as database:
        moves = IndexMoves(database)
        if cancel:
            former = moves.cancel()
            note(f"The move to {former.other and without_credentials(former.other.uri)} is cancelled.")
            return
        _await_end_of_last_move(moves)
        target = parse(to.strip(), token.strip())
        _check(settings, database, target)
        moves.begin(settings.milvus_uri, target)
        _watch(settings, moves)
        row = moves.row()
    if row.location is None or row.location.uri != target.uri:
        raise fail(f"The move failed, and searches use the previous index: {row.error}.")
    note(f"{row.total} rows are at the new location, and searches use them.")
    if settings.milvus_uri != target.uri:
        note(
            f"Set storage.milvus_uri to {target.uri} (and storage.milvus_token) before the next change of the settings."
        )


@app.command()
def status(config: Config = None, as_json: AsJson = False) -> None:
    """Show the location of the vector index, and the progress of a move."""
    from serve_app.gallery import IndexMoves

    settings = settings_of(config)
    with records_of(settings) as database:
        facts = _facts(settings, IndexMoves(database).row())
    if as_json:
        print_json(facts)
        return
    stdout.print(f"The vector index is at {facts['place']}.", soft_wrap=True)
    if facts["state"] == "copying":
        text = f"It is being copied to {facts['other']}: {facts['done']} of {facts['total']} rows."
        stdout.print(text, soft_wrap=True)
    elif facts["other"]:
        stdout.print(f"The previous index at {facts['other']} is being removed.", soft_wrap=True)
    if facts["error"]:
        stdout.print(f"The last move did not succeed: {facts['error']}.", soft_wrap=True)


def reindex(
    model: Annotated[str | None, typer.Option(help="Only the index of this embedder.", show_default="all")] = None,
    config: Config = None,
) -> None:
    """Drop the vector index and rebuild it from the database.

    With the embedded index (a file) the service must be stopped. With a Milvus server it can run, but searches miss
    faces until the index is rebuilt.
    """
    from serve_app.gallery import open_gallery
    from serve_app.vision.catalogue import Catalogue

    settings = settings_of(config)
    require_database(settings)
    catalogue = Catalogue.load()
    if model is not None:
        catalogue.get(model).calibration()  # raises ConfigurationError unless it is a calibrated embedder
    with contextlib.closing(open_gallery(settings, catalogue.calibrations(), recover=False)) as gallery, _bar() as bar:
        task = bar.add_task("Indexing", total=None)
        rows = gallery.reindex(model, lambda done, total: bar.update(task, completed=done, total=total))
    note(f"{rows} faces are in the index.")


def _check(settings: Settings, database: Database, target: Any) -> None:
    """Refuse a target that cannot be used, before the move begins."""
    from serve_app.gallery.index.locations import is_embedded, without_credentials
    from serve_app.gallery.index.milvus_backends import MilvusBackends
    from serve_app.gallery.tenants import installation_id

    if is_embedded(target.uri):
        if settings.matcher.serve.autoscaling.max_replicas > 1:
            raise fail("milvus-lite allows one matcher: set matcher.serve.autoscaling.max_replicas to 1 first.")
        return
    with database.read() as connection:
        namespace = installation_id(connection)
    with contextlib.closing(MilvusBackends(namespace, settings.storage.timeout_s).open(target)) as index:
        if any(index.count(model) for model in index.models()):
            raise fail(
                f"{without_credentials(target.uri)} already holds an index of this installation. If this is the "
                f"present index, there is nothing to move; otherwise drop the collections facegraph_{namespace[:8]}_* "
                "there first."
            )


def _await_end_of_last_move(moves: IndexMoves) -> None:
    """Wait while the former index of the last move is removed: it may be the target of this one."""
    from serve_app.gallery.index.locations import without_credentials
    from serve_app.gallery.sql.records.index_location import MoveState

    deadline, told = time.monotonic() + REMOVED_WITHIN_S, False
    while (row := moves.row()).state in (MoveState.KEPT_UP, MoveState.CLEARING):
        former = row.other and without_credentials(row.other.uri)
        if time.monotonic() > deadline:
            raise fail(
                f"The former index at {former} is still being removed. If it no longer answers, give up its removal "
                "with 'facegraph index move --cancel'."
            )
        if not told:
            note(f"Waiting until the former index of the last move, at {former}, is removed.")
            told = True
        time.sleep(POLL_S)


def _watch(settings: Settings, moves: IndexMoves) -> None:
    """Wait until searches use the new location or the move has failed; do the work if no service does."""
    from serve_app.errors import ConfigurationError
    from serve_app.gallery.sql.records.index_location import MoveState

    patience = time.monotonic() + TAKEN_UP_WITHIN_S
    with _bar() as progress:
        task = progress.add_task("Copying", total=None)
        while (row := moves.row()).state is MoveState.COPYING:
            doing = "Indexing" if 0 < row.total == row.done else "Copying"
            progress.update(task, description=doing, completed=row.done, total=row.total or None)
            if row.worker is None and time.monotonic() > patience:
                try:
                    _work(settings, moves)
                except ConfigurationError as error:
                    patience = time.monotonic() + TAKEN_UP_WITHIN_S
                    note(f"Waiting for the service to begin the move. ({error.message})")
            time.sleep(POLL_S)


def _bar() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=stderr)


def _work(settings: Settings, moves: IndexMoves) -> None:
    """Do the whole move in this process, since no service runs."""
    from serve_app.gallery import open_gallery
    from serve_app.gallery.sql.records.index_location import MoveState
    from serve_app.vision.catalogue import Catalogue

    note("No service runs, so this command does the work.")
    with contextlib.closing(open_gallery(settings, Catalogue.load().calibrations())) as gallery:
        while moves.row().state is not MoveState.NONE:
            if not gallery.move_index():
                gallery.maintain()
                time.sleep(POLL_S)


def _facts(settings: Settings, row: IndexMove) -> dict[str, Any]:
    from serve_app.gallery.index.locations import without_credentials

    return {
        "place": without_credentials(settings.milvus_uri if row.location is None else row.location.uri),
        "configured": without_credentials(settings.milvus_uri),
        "state": str(row.state),
        "other": None if row.other is None else without_credentials(row.other.uri),
        "done": row.done,
        "total": row.total,
        "error": row.error,
    }
