"""Options that several commands share, and the clients, settings and databases that they open."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from serve_app.cli.output import fail

if TYPE_CHECKING:
    from serve_app.client import AsyncClient, Client
    from serve_app.gallery import Database
    from serve_app.settings import Settings

    AnyClient = TypeVar("AnyClient", Client, AsyncClient)

DEFAULT_PORT = 8000

Url = Annotated[
    str,
    typer.Option(
        envvar="FACEGRAPH_URL",
        help="The running service.",
        show_default="http://$FACEGRAPH_HOST:$FACEGRAPH_PORT, or http://127.0.0.1:8000",
    ),
]
Key = Annotated[str, typer.Option(envvar="FACEGRAPH_API_KEY", help="API key.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Config = Annotated[
    Path | None,
    typer.Option(
        envvar="FACEGRAPH_CONFIG",
        help="The service's configuration file.",
        show_default="configs/local.yaml",
    ),
]


def connect(url: str, key: str, *, timeout_s: float = 60.0, patience_s: float = 15.0) -> Client:
    """A client of the running service."""
    from serve_app.client import Client

    return _connected(Client, url, key, timeout_s, patience_s)


def connect_async(url: str, key: str, *, timeout_s: float = 60.0, patience_s: float = 15.0) -> AsyncClient:
    """A client of the running service, for an event loop."""
    from serve_app.client import AsyncClient

    return _connected(AsyncClient, url, key, timeout_s, patience_s)


def chosen_url(url: str) -> str:
    """URL of the service: the given one, else that of ``FACEGRAPH_HOST`` and ``FACEGRAPH_PORT`` or their defaults."""
    import os

    from serve_app.listening import checked_host, checked_port, reachable_url

    if url.strip():
        return url.strip().rstrip("/")
    host = checked_host(os.environ.get("FACEGRAPH_HOST", "").strip() or "127.0.0.1")
    port = os.environ.get("FACEGRAPH_PORT", "").strip() or DEFAULT_PORT
    return reachable_url(host, checked_port(port, "FACEGRAPH_PORT"))


def _connected(kind: type[AnyClient], url: str, key: str, timeout_s: float, patience_s: float) -> AnyClient:
    from serve_app.settings import refuse_unknown_variables

    refuse_unknown_variables()
    if not key.strip():
        raise fail("An API key is needed: give it with --key, or set FACEGRAPH_API_KEY.")
    chosen = chosen_url(url)
    if not chosen.startswith(("http://", "https://")):
        raise fail(f"--url must begin with http:// or https://, got {chosen!r}.")
    try:
        return kind(chosen, key, timeout_s, patience_s=patience_s)
    except ValueError as error:
        raise fail(f"The URL or the key is not valid: {error}.") from None


def settings_of(config: Path | None) -> Settings:
    """The service's settings, for commands that use its stores directly."""
    from serve_app.resources import resource_dir
    from serve_app.settings.serve_file import read_serve_file

    return read_serve_file(config or resource_dir("configs") / "local.yaml").settings


def require_database(settings: Settings) -> None:
    """Refuse to work on a database that does not exist: most likely the data folder is the wrong one."""
    if settings.embedded_database and not settings.storage.database_url:
        file = settings.data_dir / "records.db"
        if not file.exists():
            raise fail(
                f"There is no database at {file}. Run this in the service's working directory, or set "
                "FACEGRAPH_DATA_DIR to its data folder."
            )


@contextlib.contextmanager
def records_of(settings: Settings, *, must_exist: bool = True) -> Iterator[Database]:
    """Open the records, with or without a running service; ``must_exist`` applies :func:`require_database`."""
    from serve_app.gallery import open_database

    if must_exist:
        require_database(settings)
    with contextlib.closing(open_database(settings)) as database:
        yield database
