"""``facegraph audit``: export and check the audit log, check erasure receipts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic_core import from_json

from serve_app.cli.options import Config, records_of, settings_of
from serve_app.cli.output import FAILED, fail, note, warn

if TYPE_CHECKING:
    from serve_app.domain import AuditPosition
    from serve_app.gallery import Database

Tenant = Annotated[
    str, typer.Option("--tenant", help="Tenant of the log; '*' for the installation's log (deleted tenants).")
]

app = typer.Typer(help="The audit log: export, check; check receipts of erasures.", no_args_is_help=True)


@app.command()
def export(tenant: Tenant = "default", config: Config = None) -> None:
    """Print the log, oldest entry first, one JSON object per line. The service can run meanwhile."""
    from serve_app.gallery.sql.records import audit_chain, audit_check

    with _chain(config, tenant) as (database, chain), database.read() as connection:
        for entry in audit_chain.entries(connection, chain):
            typer.echo(json.dumps(audit_check.plain(entry), ensure_ascii=False))


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="Output of 'facegraph audit export'.", show_default="the log in the database")
    ] = None,
    head: Annotated[str, typer.Option(help="A hash that was the last one when it was noted: is it still there?")] = "",
    tenant: Tenant = "default",
    config: Config = None,
) -> None:
    """Recompute all hashes of the log, to find changed, missing and reordered entries.

    A file does not show whether entries are missing at its end: note the last hash elsewhere, and give it as --head.
    """
    from serve_app.gallery.sql.records import audit_chain, audit_check

    if file is not None:
        try:
            entries = [audit_check.from_plain(from_json(line)) for line in file.read_text("utf-8").splitlines()]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise fail(f"{file} is not the output of 'facegraph audit export'.") from None
        last = (entries[-1].sequence, entries[-1].hash) if entries else (0, "")
        result = audit_check.check(entries, audit_check.Head(*last, genuine=True), head)
    else:
        with _chain(config, tenant) as (database, chain), database.snapshot() as connection:
            result = audit_chain.check_stored(connection, chain, head)
    if result.broken is not None:
        warn(f"The log is broken at entry {result.broken}. {result.reason}")
        raise typer.Exit(FAILED)
    span = "" if result.first is None or result.last is None else f" {_words(result.first)} to {_words(result.last)}."
    note(f"{result.entries} entries, all intact.{span} The last hash is {result.head or 'none'}.")
    if result.noted is not None:
        if not result.noted.found:
            warn("No entry has the hash given as --head: it was cut off, or was older than audit.keep_days.")
            raise typer.Exit(FAILED)
        note(f"The noted head is entry {result.noted.sequence}; {result.noted.later} came since.")


@app.command()
def receipt(
    file: Annotated[Path, typer.Argument(help="A receipt, or the response of a deletion that contains one.")],
    public_key: Annotated[
        str, typer.Option(help="Public key of the installation, base64.", show_default="the one of this installation")
    ] = "",
    config: Config = None,
) -> None:
    """Check a receipt's signature. With --public-key no database is needed."""
    from serve_app.domain import ErasureReceipt
    from serve_app.gallery.sql.signing import is_genuine, load_signer

    try:
        content = from_json(file.read_text("utf-8"))
        content = content.get("receipt") or content
        given = ErasureReceipt(content["statement"], content["public_key"], content["signature"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise fail(f"{file} is not a receipt.") from None
    if not public_key:
        with records_of(settings_of(config)) as database:
            public_key = load_signer(database).public_key
    if not is_genuine(given, public_key):
        warn("The signature was not made with this key, or the statement was changed.")
        raise typer.Exit(FAILED)
    note("The receipt is genuine.")


def _words(position: AuditPosition) -> str:
    return f"{position.sequence} ({position.time:%Y-%m-%d %H:%M:%S} UTC)"


@contextlib.contextmanager
def _chain(config: Path | None, tenant: str) -> Iterator[tuple[Database, str]]:
    from serve_app.gallery.tenants import TenantStore, installation_id

    with records_of(settings_of(config)) as database:
        if tenant != "*":
            chain = TenantStore(database).named(tenant).id
        else:
            with database.read() as connection:
                chain = installation_id(connection)
        yield database, chain
