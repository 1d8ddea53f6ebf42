"""``facegraph enroll``: a folder of photographs into a collection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

import typer

from serve_app.cli.options import AsJson, Key, Url, connect
from serve_app.cli.output import FAILED, INTERRUPTED, fail, note, print_json, stderr, table, warn

if TYPE_CHECKING:
    from rich.progress import Progress, Task
    from rich.text import Text

    from serve_app.cli.enrolment import Outcome
    from serve_app.client import Client

SHOWN_ERRORS = 20
SHARE_OF_BODY = 0.9
"""Pictures of one request fill at most this share of the largest body, which has fields as well."""


def enroll(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="One sub-folder for each person.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Created if there is none of that name.")],
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Persons at a time.")] = 4,
    faces: Annotated[
        Literal["one", "largest"], typer.Option(help="one: refuse pictures with two large faces; largest: take that.")
    ] = "one",
    liveness: Annotated[
        bool | None, typer.Option(help="Refuse pictures that are not live.", show_default="by collection")
    ] = None,
    reject_below: Annotated[float, typer.Option(min=0, max=1, help="Refuse faces of a lower quality.")] = 0.0,
    report: Annotated[Path | None, typer.Option(help="Write one JSON line for each person here.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Where finished persons are noted.", show_default="the user's state folder")
    ] = None,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Enrol a folder of photographs: a sub-folder for each person, named by the person's id.

    The person's name is the id with spaces for underscores; their faces become those of the folder. Pictures that the
    service refuses are reported and left out. Run the same command again to go on after an interruption, to try again
    what failed, or to take in changes: persons whose files are unchanged are skipped. Exit code 0 only if every picture
    is enrolled.
    """
    from serve_app.cli.enrolment import Enroller, Outcome, State, Status
    from serve_app.cli.folders import read_folder

    photographs = read_folder(folder)
    if not photographs.persons:
        raise fail(f"There are no sub-folders in {folder}: one for each person was expected.")
    if photographs.stray:
        warn(f"{len(photographs.stray)} pictures lie in {folder} itself, in no person's folder: they are left out.")

    with contextlib.ExitStack() as stack:
        client = stack.enter_context(connect(url, key, timeout_s=120, patience_s=300))
        present = _present(client, collection)
        limits = client.info()["limits"]
        options = {"faces": faces, "liveness": liveness, "reject_below": reject_below}
        enroller = Enroller(
            client,
            collection,
            options,
            int(limits["max_images_per_request"]),
            int(limits["max_body_bytes"] * SHARE_OF_BODY),
        )
        journal = State(state or _default_state(client.url, collection, folder))
        stack.callback(journal.close)
        lines = stack.enter_context(report.open("w", encoding="utf-8")) if report else None

        outcomes: list[Outcome] = []
        for person in photographs.persons:
            if person.id in present and journal.holds(person):
                outcomes.append(Outcome(person.id, Status.SKIPPED))
        skipped = {outcome.person for outcome in outcomes}
        _write(lines, *outcomes)
        todo = [person for person in photographs.persons if person.id not in skipped]

        progress = stack.enter_context(_progress())
        task = progress.add_task("Enrolling", total=len(photographs.persons), completed=len(skipped))
        stop = stack.enter_context(_stop_at_interrupt())
        try:
            for outcome in enroller.enroll_all(todo, concurrency, stop):
                outcomes.append(outcome)
                if outcome.status is Status.ENROLLED:
                    journal.add(outcome)
                _write(lines, outcome)
                progress.advance(task)
        finally:
            progress.stop()
            counts = _summary(outcomes, len(photographs.persons), as_json)
    if stop.is_set() and len(outcomes) < len(photographs.persons):
        note("Interrupted. Run the same command again to go on.")
        raise typer.Exit(INTERRUPTED)
    if counts[Status.FAILED] or counts[Status.PARTIAL]:
        note("Run the same command again to try again what failed; persons who are enrolled completely are skipped.")
        raise typer.Exit(FAILED)


@contextlib.contextmanager
def _stop_at_interrupt() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C, so that the persons under way come to their end; the second one interrupts them."""
    stop = threading.Event()

    def handle(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        note("Stopping after the persons under way ...")

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _present(client: Client, collection: str) -> set[str]:
    """Ids of the persons with faces in the collection, which is created if need be."""
    from serve_app.client import ApiError

    try:
        return {person["id"] for person in client.all_persons(collection) if person["faces"]}
    except ApiError as error:
        if error.code != "collection_not_found":
            raise
    try:
        client.create_collection(collection)
    except ApiError as error:
        if error.code == "forbidden":
            raise fail(f"There is no collection {collection!r}, and this key may not create it.") from None
        if error.code != "collection_exists":  # somebody else was quicker
            raise
    else:
        note(f"Created the collection {collection!r}.")
    return set()


def _default_state(url: str, collection: str, folder: Path) -> Path:
    base = os.environ.get("XDG_STATE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state"
    target = hashlib.sha256(f"{url}\0{collection}\0{folder.resolve()}".encode()).hexdigest()[:16]
    return root / "facegraph" / f"enroll-{target}.jsonl"


def _write(file: IO[str] | None, *outcomes: Outcome) -> None:
    if file:
        file.writelines(json.dumps(outcome.as_json(), ensure_ascii=False) + "\n" for outcome in outcomes)
        file.flush()


def _summary(outcomes: list[Outcome], total: int, as_json: bool) -> Counter[str]:
    counts: Counter[str] = Counter(str(outcome.status) for outcome in outcomes)
    faces = sum(outcome.faces for outcome in outcomes)
    errors = [(outcome.person, error) for outcome in outcomes for error in outcome.errors]
    if as_json:
        print_json(
            {"persons": total, **counts, "faces": faces, "errors": len(errors), "not_begun": total - len(outcomes)}
        )
        return counts
    if errors:
        shown = table("", "person", "picture", "reason")
        for person, error in errors[:SHOWN_ERRORS]:
            shown.add_row(person, error.file, error.message)
        stderr.print(shown)
        if len(errors) > SHOWN_ERRORS:
            note(f"... and {len(errors) - SHOWN_ERRORS} more; --report FILE writes them all.")
    words = ", ".join(f"{number} {status}" for status, number in sorted(counts.items())) or "none"
    note(f"{total} persons: {words}; {faces} faces added, {len(errors)} errors.")
    return counts


def _progress() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        """Persons per second."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=stderr)
