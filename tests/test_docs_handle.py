"""docs/python-handle.md names every method of the handle, with the parameters and defaults that the code has."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from serve_app.contracts import Matcher, methods
from serve_app.domain import PersonFields
from serve_app.serving.python_handle import PythonHandle

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/python-handle.md").read_text("utf-8")
METHODS = [name for name, _ in inspect.getmembers(PythonHandle, inspect.isfunction) if name != "__init__"]
OF_MATCHER = {method.name for method in methods(Matcher) if method.on_handle}
CALLS = re.findall(r"`(\w+)\(([^`]*)\)`", PAGE)


def parameters(name: str) -> dict[str, Any]:
    """Parameters of a method and their defaults, without the tenant, which is a keyword of nearly all."""
    method = getattr(Matcher if name in OF_MATCHER else PythonHandle, name)
    known = inspect.signature(method).parameters.values()
    return {each.name: each.default for each in known if each.name not in {"self", "tenant"}}


def test_no_program_and_no_page_lets_ray_search_for_itself() -> None:
    """It would believe any user's process, and send it the token."""
    folders = ("docs", "examples", "notebooks", "benchmarks", "serve_app", "scripts", "tests")
    files = [path for name in folders for path in (ROOT / name).rglob("*") if path.suffix in {".py", ".md", ".ipynb"}]
    call = re.compile(r'^\s*"?(?:\w+ = )?ray\.init\(\s*(.*)', re.MULTILINE)
    calls = {path.name: call.findall(path.read_text("utf-8", "replace")) for path in [*files, ROOT / "README.md"]}
    made = {name: them for name, them in calls.items() if them}
    assert made.keys() == {"python-handle.md", "handle_client.py", "enrol_job.py", "search_folder.py", "ray_private.py"}
    for name, them in made.items():
        wanted = 'address="local"' if name == "ray_private.py" else 'address=os.environ["RAY_ADDRESS"]'
        assert [text for text in them if not text.startswith(wanted)] == [], name


@pytest.mark.parametrize("name", [name for name in METHODS if not name.startswith("_")])
def test_every_method_is_named(name: str) -> None:
    table = PAGE.partition("| method | answers |")[2].partition("\n## ")[0]
    assert re.search(rf"`{name}\b", table)


@pytest.mark.parametrize(
    ("name", "written"), [call for call in CALLS if call[0] in METHODS and "..." not in call[1] and "**" not in call[1]]
)
def test_parameters_and_defaults_are_those_of_the_code(name: str, written: str) -> None:
    call = ast.parse(f"def call({written}): ...").body[0]
    assert isinstance(call, ast.FunctionDef)
    arguments, defaults = call.args.args, call.args.defaults
    stated = dict.fromkeys((each.arg for each in arguments), inspect.Parameter.empty)
    for each, default in zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True):
        whole = ast.unparse(default) == "PersonFields()"
        stated[each.arg] = PersonFields() if whole else ast.literal_eval(default)
    assert stated == parameters(name)


def test_there_are_methods() -> None:
    assert {"search", "merge_persons", "check_receipt"} <= set(METHODS)
    assert len(CALLS) > 20
