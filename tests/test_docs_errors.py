"""docs/api.md names every error that can be raised, with its status, and no other."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import serve_app.api.errors
import serve_app.errors
from serve_app.errors import FacegraphError, InvalidRequest
from serve_app.gallery.archive.container import ArchiveDamaged

ROOT = Path(__file__).resolve().parents[1]
SECTION = (ROOT / "docs/api.md").read_text("utf-8").partition("\n## Errors\n")[2].partition("\n## ")[0]
CODE = re.compile(r"`([a-z][a-z_]+)`")


def made() -> frozenset[str]:
    """Names of what the package calls somewhere, classes that it makes instances of among them."""
    names: set[str] = set()
    for file in (ROOT / "serve_app").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                names.add(node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
    return frozenset(names)


def raised() -> list[type[FacegraphError]]:
    """Every error but the bases that nothing raises."""
    modules = (serve_app.errors, serve_app.api.errors)
    found = {each for module in modules for each in vars(module).values() if inspect.isclass(each)}
    kinds = {each for each in found if issubclass(each, FacegraphError)} | {ArchiveDamaged}
    called = made()
    bases = {each for each in kinds if each.__subclasses__() and each.__name__ not in called}
    assert kinds - bases > {InvalidRequest}
    return sorted(kinds - bases, key=lambda kind: kind.code)


def statuses() -> dict[str, int]:
    """The status of each code in the table of the native API."""
    found: dict[str, int] = {}
    for numbers, cell in re.findall(r"^\| ([0-9, ]+) \| (.*) \|$", SECTION, re.MULTILINE):
        # `|405, 412| a; b|`: the codes of each status, separated by semicolons
        several = numbers.split(", ")
        parts = cell.split("; ", len(several) - 1) if len(several) > 1 else [cell.partition(":")[0]]
        assert len(parts) == len(several), cell
        for number, part in zip(several, parts, strict=True):
            found |= dict.fromkeys(CODE.findall(part), int(number))
    return found


def elsewhere() -> set[str]:
    """The codes of the second table."""
    table = SECTION.partition("| code | where |")[2]
    return {code for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for code in CODE.findall(cell)}


@pytest.mark.parametrize("kind", raised(), ids=lambda kind: kind.__name__)
def test_every_error_is_in_one_of_the_tables(kind: type[FacegraphError]) -> None:
    assert statuses().get(kind.code, kind.status) == kind.status
    assert (kind.code in statuses()) != (kind.code in elsewhere())


def test_the_tables_have_no_other_codes() -> None:
    assert set(statuses()) | elsewhere() == {kind.code for kind in raised()}
