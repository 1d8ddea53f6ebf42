"""Output of commands: results on stdout, messages on stderr, errors with exit code 2."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

stdout = Console()
stderr = Console(stderr=True)

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
FAILED, WRONG, INTERRUPTED = 1, 2, 130
"""Exit codes: some of the work failed; the command could not be carried out; Ctrl-C."""


def fail(message: str) -> typer.Exit:
    """Print an error, and return the exception to raise."""
    stderr.print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)
    return typer.Exit(WRONG)


def warn(message: str) -> None:
    """Print a warning."""
    stderr.print(Text(message, "yellow"), soft_wrap=True)


def note(message: str) -> None:
    """Print a message about progress or results."""
    stderr.print(Text(message), soft_wrap=True)


def moment(time: dt.datetime | None) -> str:
    """A time in the local time zone, to the minute; empty for None."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M") if time else ""


def print_json(value: Any) -> None:
    """Print plain JSON, never wrapped or coloured, for programs; times in ISO 8601."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, dt.datetime) else str(value)


def show_whole(shown: Table) -> None:
    """Print a table at its full width: ids can be copied whole, and a terminal wraps long lines itself."""
    wide = stdout.options.update(max_width=1000)
    Console(width=Measurement.get(stdout, wide, shown).maximum).print(shown)


class PlainTable(Table):
    """A table that shows texts as they are: names of persons and files can have square brackets, which are markup."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row; control characters become spaces."""
        super().add_row(*(Text(CONTROL.sub(" ", cell)) if isinstance(cell, str) else cell for cell in cells), **options)


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; columns named in ``right`` are right-aligned."""
    made = PlainTable(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made
