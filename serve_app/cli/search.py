"""``facegraph search``: search for the faces of an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from serve_app.cli.options import AsJson, Key, Url, connect
from serve_app.cli.output import fail, note, print_json, show_whole, stdout, table

if TYPE_CHECKING:
    from rich.table import Table


def search(
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="An image file.")],
    collection: Annotated[
        list[str], typer.Option("--collection", "-c", help="Collection to search; can be given several times.")
    ],
    max_results: Annotated[int, typer.Option(min=1, help="Most matches for each face.")] = 5,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of a match.", show_default="by --fpir")
    ] = None,
    fpir: Annotated[
        float | None,
        typer.Option(help="Accepted share of searches by unknown people that return anyone.", show_default="0.01"),
    ] = None,
    all_faces: Annotated[bool, typer.Option("--all-faces", help="Search for all faces, not only the largest.")] = False,
    keep_unknown: Annotated[
        str | None, typer.Option(help="Collection in which to keep faces without a match.", show_default=False)
    ] = None,
    liveness: Annotated[
        bool, typer.Option("--liveness", help="Check liveness; faces that are not live get no matches.")
    ] = False,
    url: Url = "",
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Search for the faces of an image."""
    if min_score is not None and fpir is not None:
        raise fail("--min-score and --fpir exclude each other; give one of them.")
    with connect(url, key) as client:
        options = {"max_results": max_results, "min_score": min_score, "fpir": fpir, "keep_unknown": keep_unknown}
        faces = "all" if all_faces else "largest"
        answer = client.search(image, collection, faces=faces, liveness=liveness, **options)
    if as_json:
        print_json(answer)
        return
    if not answer["faces"]:
        note("No face was found in the image.")
    for number, face in enumerate(answer["faces"], 1):
        stdout.print(Text(_heading(number, len(answer["faces"]), face), "bold"), soft_wrap=True)
        show_whole(_matches(face))
    if answer.get("faces_left_out"):
        note(f"{answer['faces_left_out']} smaller faces were left out: there are more than the service's limit.")
    note(_meaning(answer))


def _heading(number: int, count: int, face: dict[str, Any]) -> str:
    box = face["box"]
    text = f"Face {number} of {count}: " if count > 1 else ""
    text += f"{box['width']:.0f}x{box['height']:.0f} pixels at ({box['x']:.0f}, {box['y']:.0f})"
    text += f", quality {face['quality']:.2f}"
    text += f", turned by {face['turned']} degrees" if face.get("turned") else ""
    live = face.get("liveness")
    return text + (f", {'live' if live['is_live'] else 'NOT LIVE'} ({live['probability']:.2f})" if live else "")


def _matches(face: dict[str, Any]) -> Table:
    shown = table("", "score", "person", "name", "collection", "face", right=("score",))
    for match in face["matches"]:
        person = match["person"] or {"id": "(face without a person)", "name": ""}
        shown.add_row(f"{match['score']:.3f}", person["id"], person["name"], match["collection"], match["face_id"])
    if not face["matches"]:
        kept = face.get("unknown")
        shown.add_row("", f"no match; kept as {kept['id']}" if kept else "no match", "", "", "")
    return shown


def _meaning(answer: dict[str, Any]) -> str:
    threshold = answer["threshold"]
    comparisons = f"One in {1 / threshold['fmr']:,.0f}" if threshold["fmr"] > 0 else "No"
    milliseconds = answer["timings_ms"].get("total") or sum(answer["timings_ms"].values())
    return (
        f"Threshold: score {threshold['min_score']:.3f} among {threshold['gallery_size']} faces. "
        f"{comparisons} comparisons with other people reach it, "
        f"and {threshold['fpir']:.2%} of searches by unknown people. {milliseconds:.0f} ms."
    )
