"""``facegraph enroll``: enrol many persons from a folder, a zip or a manifest."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from serve_app.cli.options import AsJson, Key, Url, chosen_url, connect_async
from serve_app.cli.output import FAILED, INTERRUPTED, fail, note

if TYPE_CHECKING:
    from serve_app.bulk.checkpoint import Checkpoint
    from serve_app.bulk.worklist import WorkList
    from serve_app.cli.enrol_report import EnrolReport
    from serve_app.client import AsyncClient

SHARE_OF_BODY = 0.9
"""Share of the largest request body that images may fill; the rest is for fields."""


def enroll(
    source: Annotated[
        str,
        typer.Argument(
            help="A folder or a .zip with one sub-folder for each person, a manifest (.csv, .jsonl), or the fsspec "
            "URL of one (s3://...).",
            show_default=False,
        ),
    ],
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Collection to enrol into; created if it does not exist.")
    ],
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Number of concurrent persons.")] = 4,
    window: Annotated[int, typer.Option(min=1, max=10_000, help="Most images in progress.")] = 64,
    faces: Annotated[
        Literal["one", "largest"],
        typer.Option(help="one: refuse images with two large faces; largest: take the largest face."),
    ] = "one",
    liveness: Annotated[
        bool | None, typer.Option(help="Refuse images that are not live.", show_default="by collection")
    ] = None,
    reject_below: Annotated[float, typer.Option(min=0, max=1, help="Refuse faces of lower quality.")] = 0.0,
    report: Annotated[Path | None, typer.Option(help="File for a report, one JSON line per person.")] = None,
    failures: Annotated[
        Path | None, typer.Option(help="File for persons with failures and the reasons; it can be used as a manifest.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="File that records completed persons.", show_default="in the user's state folder"),
    ] = None,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Enrol many persons: from a folder with a sub-folder for each, a zip of such a folder, or a manifest.

    A sub-folder's name is the person's id and, with spaces for underscores, the person's name. A manifest gives more
    fields: a CSV with the columns person, file, name ..., or JSON lines. The images replace a person's present faces.
    Images that the service refuses are reported and left out.

    Run the same command again to continue after an interruption, to repeat what failed, or to apply changes: persons
    whose files are unchanged are skipped. The exit code is 0 only if everything in the source is enrolled, apart from
    hidden files and those that systems leave (.DS_Store, Thumbs.db, @eaDir ...).
    """
    from serve_app.bulk.checkpoint import Checkpoint
    from serve_app.bulk.enroller import Enroller, Refused, TargetUnreachable
    from serve_app.bulk.entries import BadSource
    from serve_app.bulk.files import Files
    from serve_app.bulk.http_target import HttpTarget
    from serve_app.bulk.sources import Source
    from serve_app.bulk.worklist import WorkList
    from serve_app.cli.enrol_report import EnrolReport

    concurrency = min(concurrency, window)
    options = {"faces": faces, "liveness": liveness, "reject_below": reject_below}

    async def run(
        work: WorkList, files: Files, state: Checkpoint, enrol_report: EnrolReport, stop: threading.Event
    ) -> None:
        async with connect_async(url, key, timeout_s=120, patience_s=300) as client:
            await _note_present(client, collection, work, state)
            limits = (await client.info())["limits"]
            most_picture_bytes = int(limits["max_image_bytes"])
            enroller = Enroller(
                HttpTarget(client, collection, options),
                lambda file: asyncio.to_thread(files.read, file.location, most_picture_bytes),
                most=min(int(limits["max_images_per_request"]), window // concurrency),
                most_bytes=int(limits["max_body_bytes"] * SHARE_OF_BODY),
            )
            await _enroll_all(work, enroller, concurrency, state, enrol_report, stop)

    with contextlib.ExitStack() as stack:
        work = stack.enter_context(contextlib.closing(WorkList()))
        files = stack.enter_context(contextlib.closing(Files()))
        read = Source(source, files)
        try:
            read.load(work)
            noted = stack.enter_context(
                contextlib.closing(Checkpoint(state or _default_state(chosen_url(url), collection)))
            )
        except BadSource as error:
            raise fail(str(error)) from None
        stop = stack.enter_context(_stop_at_interrupt())
        enrol_report = stack.enter_context(EnrolReport(work, report, failures))
        try:
            asyncio.run(run(work, files, noted, enrol_report, stop))
        except (TargetUnreachable, Refused, BadSource) as error:
            raise fail(str(error)) from None
        finally:
            enrol_report.show(as_json)
    if stop.is_set() and enrol_report.not_begun:
        note("Interrupted. Run the same command again to continue.")
        raise typer.Exit(INTERRUPTED)
    if enrol_report.unfinished:
        again = f"facegraph enroll {failures} --collection {collection}" if failures else "the same command"
        note(f"Run {again} again to repeat what failed; completely enrolled persons are skipped.")
        raise typer.Exit(FAILED)
    if enrol_report.left_out:
        note("Not every file of the source is enrolled: see above what was left out. --report FILE lists all of it.")
        raise typer.Exit(FAILED)


async def _enroll_all(
    work: WorkList, enroller: Any, concurrency: int, state: Checkpoint, enrol_report: EnrolReport, stop: threading.Event
) -> None:
    from serve_app.bulk.bounded_concurrency import outcomes
    from serve_app.bulk.entries import Entry, Outcome, Status

    def to_do() -> Iterator[Entry]:
        for entry in work:
            if state.holds(entry) and work.is_present(entry.person):
                enrol_report.add(Outcome(entry, Status.SKIPPED))
            else:
                yield entry

    async for outcome in outcomes(to_do(), enroller.enroll, concurrency, stop):
        if outcome.status is Status.ENROLLED:
            state.add(outcome.entry)
        enrol_report.add(outcome)


@contextlib.contextmanager
def _stop_at_interrupt() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that persons in progress are finished; the second one interrupts them."""
    stop = threading.Event()

    def handle(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note("Stopping after the persons in progress ...")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


async def _note_present(client: AsyncClient, collection: str, work: WorkList, state: Checkpoint) -> None:
    """Note the persons with faces in the collection if some may be skipped; create the collection if necessary."""
    from serve_app.client import ApiError

    try:
        await client.collection(collection)
        if not state.is_empty():
            async for person in client.all_persons(collection):
                if person["faces"]:
                    work.note_present([person["id"]])
        return
    except ApiError as error:
        if error.code != "collection_not_found":
            raise
    try:
        await client.create_collection(collection)
    except ApiError as error:
        if error.code == "forbidden":
            raise fail(f"There is no collection {collection!r}, and this key may not create it.") from None
        if error.code != "collection_exists":  # another client created it in the meantime
            raise
    else:
        note(f"Created the collection {collection!r}.")


def _default_state(url: str, collection: str) -> Path:
    base = os.environ.get("XDG_STATE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state"
    target = hashlib.sha256(f"{url}\0{collection}".encode()).hexdigest()[:16]
    return root / "facegraph" / f"enrolled-{target}.db"
