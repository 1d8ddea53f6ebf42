"""``facegraph models switch``: progress of a change of the embedder, read directly from the database."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.options import AsJson, Config, records_of, settings_of
from serve_app.cli.output import note, print_json, show_whole, stdout, table

if TYPE_CHECKING:
    from serve_app.domain import EmbedderChange, LeftBehind
    from serve_app.gallery import EmbedderState, TenantStore


def switch(
    leave_behind: Annotated[
        bool,
        typer.Option(
            "--leave-behind",
            help="Switch even if faces without a stored crop cannot be embedded: they stay stored and listed, but no "
            "search finds them until their persons are enrolled again.",
        ),
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the persons who must be enrolled again.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the progress of a change of the embedder, and who must be enrolled again.

    A change begins when the service starts with another embedder.model, and ends automatically when that model has
    embedded all faces. Setting embedder.model back abandons the change.
    """
    from serve_app.gallery import EmbedderState, TenantStore

    with records_of(settings_of(config)) as database:
        state = EmbedderState(database)
        if leave_behind:
            state.leave_behind()
        change = state.embedder_change()
        left = _left_behind(state, TenantStore(database)) if listing else []
    if as_json:
        people = [{"tenant": tenant, **asdict(item)} for tenant, item in left]
        print_json(asdict(change) | ({"left_behind": people} if listing else {}))
        return
    stdout.print(_in_words(change))
    if listing:
        shown = table("", "tenant", "person", "faces without a template", "other faces")
        for tenant, item in left:
            person = item.person_id if item.person_id is not None else f"(face {item.face_ids[0]})"
            shown.add_row(tenant, person, str(len(item.face_ids)), str(item.remaining))
        show_whole(shown)
    elif change.without_image:
        note("To list them: facegraph models switch --list")


def _left_behind(state: EmbedderState, tenants: TenantStore) -> list[tuple[str, LeftBehind]]:
    found = []
    for tenant in tenants.list():
        page = state.left_behind(tenant.id, 1000)
        found += [(tenant.name, item) for item in page.items]
        while page.cursor is not None:
            page = state.left_behind(tenant.id, 1000, page.cursor)
            found += [(tenant.name, item) for item in page.items]
    return found


def _in_words(change: EmbedderChange) -> str:
    without = f"{change.without_image} faces have no stored crop." if change.without_image else ""
    if change.target is None:
        clearing = " The templates of the previous model are being removed." if change.state == "finishing" else ""
        return f"The embedder is {change.active}.{clearing} {without}".strip()
    progress = f"{change.done} of {change.faces} faces are embedded by {change.target}, searches use {change.active}."
    if change.state == "waiting":
        progress += " The other faces wait to be enrolled again, or for --leave-behind."
    return f"{progress} {without}".strip()
