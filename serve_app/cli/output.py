"""How commands speak: results on stdout, everything else on stderr, errors in words with exit code 2."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

stdout = Console()
stderr = Console(stderr=True)

FAILED, WRONG, INTERRUPTED = 1, 2, 130
"""Exit codes: some of the work failed; nothing could be done, for a reason in words; Ctrl-C."""


def fail(message: str) -> typer.Exit:
    """Say what is wrong; to be raised."""
    stderr.print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True)
    return typer.Exit(WRONG)


def warn(message: str) -> None:
    """Something that the caller should know and that stops nothing."""
    stderr.print(Text(message, "yellow"), soft_wrap=True)


def note(message: str) -> None:
    """Progress in words."""
    stderr.print(Text(message), soft_wrap=True)


def moment(time: dt.datetime | None) -> str:
    """As people here read a time; nothing for none."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M") if time else ""


def print_json(value: Any) -> None:
    """For programs: plain JSON, never wrapped or coloured."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_whole(shown: Table) -> None:
    """A table as wide as it needs to be: ids are to be copied, and a terminal wraps long lines by itself."""
    wide = stdout.options.update(max_width=1000)
    Console(width=Measurement.get(stdout, wide, shown).maximum).print(shown)


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; columns named in ``right`` are aligned to that side."""
    made = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made
