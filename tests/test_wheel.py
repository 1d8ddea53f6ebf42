"""The wheel contains no test doubles, by name or by what they implement."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import photos

PACKAGES = tomllib.loads((photos.ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
DOUBLE = re.compile(r"fake|mock|stub|dummy|in_?memory|memory\w*index", re.IGNORECASE)

IMPLEMENTATIONS: dict[str, set[str]] = {
    "VectorIndex": {"DualWriteIndex", "LiteIndex", "MilvusIndex"},
    "InferenceSession": {"CpuSession", "OnnxSession"},
    "KeyStore": set(),
}
"""The further classes with all the names of an interface that a double is easily made of."""


@cache
def modules() -> dict[Path, ast.Module]:
    """What the wheel has, by path."""
    paths = [path for package in PACKAGES["packages"] for path in sorted((photos.ROOT / package).rglob("*.py"))]
    return {path.relative_to(photos.ROOT): ast.parse(path.read_text()) for path in paths}


def definitions() -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Classes and functions, with what to call each in a complaint."""
    for path, module in modules().items():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path}: {node.name}", node


def offered() -> dict[str, set[str]]:
    """Public methods and attributes of each class, by its name, with those of its bases."""
    classes: dict[str, ast.ClassDef] = {}
    for _, node in definitions():
        if isinstance(node, ast.ClassDef):
            classes.setdefault(node.name, node)  # the interface KeyStore comes before the class of that name

    def of(name: str) -> set[str]:
        if name not in classes:
            return set()
        bases = (base.id for base in classes[name].bases if isinstance(base, ast.Name) and base.id != name)
        return set(own_names(classes[name])).union(*map(of, bases))

    return {name: of(name) for name in classes}


def own_names(definition: ast.ClassDef) -> Iterator[str]:
    """Public names that the class itself has: methods, fields, and attributes that its methods set."""
    for node in definition.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if not name.startswith("_"):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                yield name
    for node in ast.walk(definition):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()) if not name.startswith("_"):
                yield name


def test_the_wheel_takes_the_packages_and_no_tests() -> None:
    assert PACKAGES["packages"] == ["serve_app", "facegraph"]
    assert not any(source.startswith("tests") for source in PACKAGES["force-include"])
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for module in modules().values()
        for node in ast.walk(module)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not [name for name in imported if name.partition(".")[0] == "tests"]


def test_nothing_is_called_a_double() -> None:
    assert not [str(path) for path in modules() if DOUBLE.search(path.stem) or DOUBLE.search(path.parent.name)]
    assert not [where for where, node in definitions() if DOUBLE.search(node.name)]


@pytest.mark.parametrize("interface", IMPLEMENTATIONS)
def test_an_interface_has_only_the_implementations_that_serve(interface: str) -> None:
    found = offered()
    wanted = found[interface]
    assert wanted
    assert {name for name, names in found.items() if wanted <= names} - {interface} == IMPLEMENTATIONS[interface]
