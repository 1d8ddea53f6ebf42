"""``facegraph keys``: create, list and revoke API keys directly in the database, with or without a running service."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import AsJson, Config, records_of, settings_of
from serve_app.cli.output import fail, moment, note, print_json, show_whole, table
from serve_app.domain import ApiKey, Role

if TYPE_CHECKING:
    from serve_app.gallery import KeyStore

TenantName = Annotated[str, typer.Option("--tenant", help="The keys' tenant, by its name in 'facegraph tenants list'.")]

app = typer.Typer(help="API keys: create, list, revoke.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Purpose of the key, for example 'door camera'.")],
    role: Annotated[
        Role, typer.Option(help="What the key may do; each role includes the ones before it.")
    ] = Role.SEARCH,
    expires_days: Annotated[
        float | None, typer.Option(min=0.001, max=36500, help="Days after which the key expires.", show_default="never")
    ] = None,
    rate_limit: Annotated[float | None, typer.Option(help="Requests per second.", show_default="none")] = None,
    tenant: TenantName = "default",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and print its secret, which is shown only once."""
    if not name.strip():
        raise fail("The key needs a name that says what it is for.")
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=expires_days) if expires_days is not None else None
    with _store(config, tenant, must_exist=False) as (keys, tenant_id):
        key, secret = keys.create(tenant_id, name, role, expires, rate_limit)
    if as_json:
        print_json({**_facts(key), "secret": secret})
        return
    note(f"Key {key.id} ({key.role}) for {key.name!r}. Its secret is shown only once:")
    typer.echo(secret)


@app.command("list")
def list_keys(tenant: TenantName = "default", config: Config = None, as_json: AsJson = False) -> None:
    """List the keys that are not revoked, without their secrets."""
    with _store(config, tenant) as (keys, tenant_id):
        found = keys.list(tenant_id)
    if as_json:
        print_json([_facts(key) for key in found])
        return
    shown = table("", "id", "name", "role", "created", "expires", "rate limit", "last used")
    for key in found:
        rate = f"{key.rate_limit:g}/s" if key.rate_limit else ""
        shown.add_row(
            key.id, key.name, key.role, moment(key.created), moment(key.expires) or "never", rate, moment(key.last_used)
        )
    show_whole(shown)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as 'facegraph keys list' shows it.")],
    tenant: TenantName = "default",
    config: Config = None,
) -> None:
    """Revoke a key; it stops working at once."""
    with _store(config, tenant) as (keys, tenant_id):
        keys.revoke(tenant_id, key_id)
    note(f"Key {key_id} is revoked.")


@contextlib.contextmanager
def _store(config: Path | None, tenant: str, *, must_exist: bool = True) -> Iterator[tuple[KeyStore, str]]:
    """The store of keys, and the id of the tenant of that name."""
    from serve_app.gallery import KeyStore, TenantStore

    with records_of(settings_of(config), must_exist=must_exist) as database:
        tenant_id = TenantStore(database).named(tenant).id
        with contextlib.closing(KeyStore(database)) as keys:
            yield keys, tenant_id


def _facts(key: ApiKey) -> dict[str, Any]:
    return {name: value for name, value in asdict(key).items() if name != "tenant_id"}
