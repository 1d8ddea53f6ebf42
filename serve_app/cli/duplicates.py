"""``facegraph duplicates``: find persons who were enrolled twice."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import AsJson, Key, Url, connect
from serve_app.cli.output import fail, note, print_json, show_whole, stderr, table

if TYPE_CHECKING:
    from serve_app.client import Client


def duplicates(
    collection: Annotated[str, typer.Argument(help="Collection whose faces are compared with each other.")],
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a pair.", show_default="by --fpir")
    ] = None,
    fpir: Annotated[
        float | None, typer.Option(help="Accepted share of faces with a false partner.", show_default="0.01")
    ] = None,
    most: Annotated[int, typer.Option("--max", min=1, help="Largest number of pairs to show.")] = 100,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Find pairs of persons of a collection who are possibly the same, most similar first. Ctrl-C cancels the task."""
    if min_score is not None and fpir is not None:
        raise fail("--min-score and --fpir exclude each other; give one of them.")
    with connect(url, key) as client:
        task = client.find_duplicates(collection, min_score=min_score, fpir=fpir)
        try:
            task = _wait(client, task)
        except KeyboardInterrupt:
            client.cancel_task(task["id"])
            raise
        pairs = list(itertools.islice(client.all_duplicates(task["id"]), most))
    if as_json:
        print_json({"task": task, "pairs": pairs})
        return
    if task["state"] != "done":
        raise fail(task["error"] or "The comparison was cancelled.")
    shown = table("", "score", "first", "name", "second", "name", right=("score",))
    for pair in pairs:
        shown.add_row(f"{pair['score']:.3f}", *_words(pair["first"]), *_words(pair["second"]))
    show_whole(shown)
    found, arguments = task["result"]["pairs"], task["arguments"]
    note(f"{found} pairs with a score of at least {arguments['min_score']:.3f} among {arguments['faces']} faces.")


def _wait(client: Client, task: dict[str, Any]) -> dict[str, Any]:
    from rich.progress import Progress

    with Progress(console=stderr, transient=True) as progress:
        bar = progress.add_task("comparing", total=task["total"] or 1)
        return client.wait_for_task(task["id"], lambda now: progress.update(bar, completed=now["done"]))


def _words(side: dict[str, Any]) -> tuple[str, str]:
    person = side["person"]
    return (person["id"], person["name"]) if person else (f"(face {side['face_id']})", "")
