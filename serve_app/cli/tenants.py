"""``facegraph tenants``: create, list and delete tenants, directly in the database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.options import AsJson, Config, records_of, require_database, settings_of
from serve_app.cli.output import moment, note, print_json, show_whole, table
from serve_app.domain.names import NAME_RULE

if TYPE_CHECKING:
    from serve_app.gallery import TenantStore

app = typer.Typer(help="Tenants: create, list, delete. Their keys: facegraph keys --tenant.", no_args_is_help=True)


@app.command()
def create(name: Annotated[str, typer.Argument(help=f"{NAME_RULE}.")], config: Config = None) -> None:
    """Create a tenant, which shares no data with the others. Create its keys afterwards."""
    with _store(config) as tenants:
        tenants.create(name)
    note(f"Tenant {name} is created. Next: facegraph keys create --tenant {name} --role admin NAME")


@app.command("list")
def list_tenants(config: Config = None, as_json: AsJson = False) -> None:
    """List all tenants."""
    with _store(config) as tenants:
        found = tenants.list()
    if as_json:
        print_json([asdict(each) for each in found])
        return
    shown = table("", "name", "id", "created")
    for each in found:
        shown.add_row(each.name, each.id, moment(each.created))
    show_whole(shown)


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="The tenant's name, as 'facegraph tenants list' shows it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: Config = None,
) -> None:
    """Erase a tenant with all its data, and print a signed receipt.

    With the embedded index (a file) the service must be stopped; with a Milvus server it can run.
    """
    from serve_app.gallery import open_gallery

    settings = settings_of(config)
    require_database(settings)
    with _store(config) as tenants:
        tenant = tenants.named(name)
    if not yes:
        typer.confirm(f"Erase the tenant {name} and all its keys, collections, persons, faces and images?", abort=True)
    with contextlib.closing(open_gallery(settings, {})) as gallery:
        receipt = gallery.erase_tenant(tenant.id)
    note(f"Tenant {name} is erased, and none of its data was found afterwards. The receipt:")
    print_json(asdict(receipt))


@contextlib.contextmanager
def _store(config: Path | None) -> Iterator[TenantStore]:
    from serve_app.gallery import TenantStore

    with records_of(settings_of(config), must_exist=False) as database:
        yield TenantStore(database)
