"""Helps show what was written: no part of them is taken for markup. Output that nobody reads any more ends quietly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.text import Text
from typer.testing import CliRunner

from serve_app.cli import HEAVY, app

PROGRAM = [sys.executable, "-c", "from serve_app.cli import app; app()"]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command with its words, groups included."""
    yield " ".join(path), command
    context = typer.Context(command)
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        _, found, _ = command.resolve_command(context, [name])
        yield from commands(found, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_all_commands_are_looked_at() -> None:
    assert {"", *HEAVY, "keys create", "models verify", "clock"} <= ALL.keys()


@pytest.mark.parametrize("name", ALL)
def test_helps_lose_nothing_to_markup(name: str) -> None:
    command = ALL[name]
    texts = [command.help, command.epilog, *(getattr(each, "help", None) for each in command.params)]
    texts += [each.show_default for each in command.params if isinstance(getattr(each, "show_default", None), str)]
    for text in filter(None, texts):
        assert Text.from_markup(text).plain == text, "it is shown without what is in brackets"


def test_a_default_is_shown() -> None:
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        [*PROGRAM, "export", "--help"], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert "[default: (FACEGRAPH_EXPORT_PASSPHRASE, else not encrypted)]" in done.stdout
    assert "[default: (configs/local.yaml)]" in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["keys", "list"], ["keys", "list", "--json"]])
def test_a_reader_that_has_gone_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "FACEGRAPH_DATA_DIR": str(tmp_path)}
    try:
        if arguments[0] == "keys":
            create = [*PROGRAM, "keys", "create", "test", "--role", "admin"]
            subprocess.run(create, env=environment, capture_output=True, timeout=240, check=True)
        done = subprocess.run(
            [*PROGRAM, *arguments], env=environment, stdout=writing, stderr=subprocess.PIPE, timeout=240, check=False
        )
    finally:
        os.close(writing)
    assert done.stderr == b""
    assert done.returncode != 0


def options() -> Iterator[tuple[str, str, str]]:
    """Each command with each of its options, and a value for it."""
    for name, command in ALL.items():
        for each in () if hasattr(command, "list_commands") else command.params:
            if each.opts[0].startswith("-") and not getattr(each, "multiple", False) and not each.is_eager:
                yield name, each.opts[0], "" if each.is_flag else "1"


@pytest.mark.parametrize(("name", "option", "value"), list(options()))
def test_an_option_that_is_given_twice_is_refused(name: str, option: str, value: str) -> None:
    words = [option, value] if value else [option]
    answer = CliRunner().invoke(app, [*name.split(), *words, *words])
    assert answer.exit_code == 2
    assert f"{option} was given more than once" in " ".join(answer.output.split())


def test_some_options_can_be_given_several_times() -> None:
    answer = CliRunner().invoke(app, ["search", "nothing.jpg", "-c", "staff", "-c", "visitors"])
    assert "more than once" not in answer.output
