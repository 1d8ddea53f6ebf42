"""Commands of the documentation exist, with the options that they are shown with.

Those of the HTTP API are run as they are written: ``tests/graph/test_docs_requests.py``.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
from ray.scripts.scripts import cli as ray_cli
from ray.serve.scripts import cli as serve_cli

from serve_app.cli import app
from tests.deploy.test_files import copied_paths
from tests.photos import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAMS = {"facegraph": typer.main.get_command(app), "ray": ray_cli, "serve": serve_cli}
OTHERS = ("make", "python", "kubectl", "docker", "pip", "uv")
WORDS = re.compile(
    rf"(?:[A-Z_]+=\S+ )*(?:sudo )?(?:\.venv/bin/)?({'|'.join((*PROGRAMS, *OTHERS))})\b(?! *(?:is|are)\b)"
)
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
REMOTE = "--address http"


class Command(NamedTuple):
    """A command line of a page."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """Program and arguments, without variables and comments."""
        words = shlex.split(self.text, comments=True)
        while re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        return [words[0].removeprefix(".venv/bin/"), *words[1:]]


def commands() -> Iterator[Command]:
    """In blocks and in running text; there, programs are named too, without arguments."""
    for page in PAGES:
        text = page.read_text("utf-8")
        blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"^    (\S.*)$", text, re.MULTILINE)
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
        for line in dict.fromkeys(line.strip() for line in lines):
            if WORDS.match(line) and " " in line:
                yield Command(str(page.relative_to(ROOT)), line)


COMMANDS = list(commands())


def of(*programs: str) -> Any:
    """The commands of these programs, as parameters of a test."""
    found = [each for each in COMMANDS if each.words[0] in programs]
    return pytest.mark.parametrize("command", found, ids=lambda each: f"{each.page}: {each.text}"[:120])


def parse(program: Any, words: list[str]) -> None:
    """Read the words as the program does; raises its error for an unknown command or option."""
    name, *rest = words
    context = program.make_context(name, [], resilient_parsing=True)
    context.resilient_parsing = False
    _, left, _ = program.make_parser(context).parse_args(rest)
    if hasattr(program, "resolve_command") and left:
        parse(program.resolve_command(context, left)[1], left)


def test_there_are_commands() -> None:
    assert {each.words[0] for each in COMMANDS} >= {*PROGRAMS, *OTHERS}
    assert len(COMMANDS) > 80


@of(*PROGRAMS)
def test_commands_and_options_exist(command: Command) -> None:
    parse(PROGRAMS[command.words[0]], command.words)


@pytest.mark.parametrize("words", ["facegraph serv", "facegraph keys list --al", "ray job submt", "serve status -x"])
def test_a_wrong_command_would_be_noticed(words: str) -> None:
    with pytest.raises(Exception, match=r"No such (option|command)"):
        parse(PROGRAMS[words.split()[0]], words.split())


@of(*PROGRAMS)
def test_commands_to_another_machine_show_rays_token(command: Command) -> None:
    """Without the mode, Ray's commands show no token, and end in a traceback."""
    if REMOTE in command.text:
        assert command.text.startswith("RAY_AUTH_MODE=token "), command.text


@of("make")
def test_targets_exist(command: Command) -> None:
    wanted = [word for word in command.words[1:] if "=" not in word]
    assert set(wanted) <= TARGETS


@of("python")
def test_modules_and_files_exist(command: Command) -> None:
    first, second = (*command.words[1:], "")[:2]
    path = ROOT / (second.replace(".", "/") if first == "-m" else first)
    assert path.is_file() or path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()


@of("ray")
def test_jobs_run_files_that_the_image_has(command: Command) -> None:
    if "python" in command.words:
        file = command.words[command.words.index("python") + 1]
        assert Path(file).parts[0] in copied_paths()
        assert (ROOT / file).is_file()


@of("kubectl", "docker", "uv")
def test_files_exist(command: Command) -> None:
    for option, file in zip(command.words, command.words[1:], strict=False):
        if option in ("-f", "-k", "--file", "--script"):
            assert (ROOT / file).exists(), command.text


@of("pip")
def test_extras_exist(command: Command) -> None:
    known = metadata("facegraph").get_all("Provides-Extra") or []
    assert set(re.findall(r"facegraph\[(\w+)\]", command.text)) <= set(known)
