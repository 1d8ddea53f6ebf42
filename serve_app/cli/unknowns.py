"""``facegraph unknowns``: list, save, name, merge and discard unknown faces that searches kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.options import AsJson, Key, Url, connect
from serve_app.cli.output import note, print_json, show_whole, table

app = typer.Typer(help="Unknown faces that searches kept: list, save, name, merge, discard.", no_args_is_help=True)

Collection = Annotated[str, typer.Argument(help="The collection that keeps the unknowns.")]
Id = Annotated[str, typer.Argument(help="Id of an unknown.")]


@app.command("list")
def list_unknowns(collection: Collection, url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """List all unknowns, most recently seen first."""
    with connect(url, key) as client:
        found = list(client.all_unknowns(collection))
    if as_json:
        print_json(found)
        return
    shown = table("", "id", "faces", "sightings", "last seen", "expires", right=("faces", "sightings"))
    for each in found:
        times = (each[name][:16].replace("T", " ") for name in ("last_seen", "expires"))
        shown.add_row(each["id"], str(len(each["faces"])), str(each["sightings"]), *times)
    show_whole(shown)


@app.command()
def save(
    collection: Collection,
    unknown: Id,
    folder: Annotated[Path, typer.Argument(help="Folder for the images of the faces.")],
    url: Url = "",
    key: Key = "",
) -> None:
    """Save the face images of an unknown, to see who it is."""
    with connect(url, key) as client:
        faces = client.unknown(collection, unknown)["faces"]
        folder.mkdir(parents=True, exist_ok=True)
        for face in faces:
            if face["image_storage"] != "none":
                (folder / f"{face['id']}.jpg").write_bytes(client.face_image(face["id"]))
    note(f"Images of {sum(face['image_storage'] != 'none' for face in faces)} faces are in {folder}.")


@app.command()
def name(
    collection: Collection,
    unknown: Id,
    person: Annotated[str, typer.Argument(help="Id of a new person, or of an enrolled one.")],
    called: Annotated[str | None, typer.Option("--name", help="The person's name.")] = None,
    url: Url = "",
    key: Key = "",
) -> None:
    """Enrol the faces of an unknown as a person."""
    with connect(url, key) as client:
        done = client.name_unknown(collection, unknown, person, name=called)
    note(f"{len(done['added_faces'])} faces are enrolled as {done['id']} in {collection}.")


@app.command()
def merge(
    collection: Collection,
    unknown: Id,
    others: Annotated[list[str], typer.Argument(help="Ids of unknowns that are the same person.")],
    url: Url = "",
    key: Key = "",
) -> None:
    """Merge several unknowns into one."""
    with connect(url, key) as client:
        merged = client.merge_unknowns(collection, unknown, others)
    note(f"{merged['id']} has {len(merged['faces'])} faces.")


@app.command()
def discard(
    collection: Collection,
    unknown: Annotated[str | None, typer.Argument(help="An unknown's id.", show_default=False)] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Erase all of the collection's unknowns.")] = False,
    url: Url = "",
    key: Key = "",
) -> None:
    """Erase the faces of an unknown, or with --all those of all unknowns."""
    if (unknown is None) != everyone:
        raise typer.BadParameter("Give either the id of an unknown, or --all.")
    with connect(url, key) as client:
        done = client.discard_unknown(collection, unknown)
    note(f"{done['faces']} faces are erased.")
