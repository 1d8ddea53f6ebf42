"""The command line of the benchmarks, and the imports between their modules."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, command_line, main
from tests.test_docs_commands import COMMANDS, Command

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_explains_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    assert "--reference" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", [each for each in COMMANDS if each.words[1:3] == ["-m", "benchmarks"]], ids=lambda each: each.text[:100]
)
def test_the_documentation_names_options_that_exist(command: Command) -> None:
    command_line().parse_args(command.words[3:])


def test_missing_data_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process keeps its own handlers
    assert main(["accuracy", "--images", str(tmp_path / "absent")]) == 1
    assert "No folder of images" in capsys.readouterr().err


def imported(module: Path) -> set[str]:
    """The modules that a file's import statements name, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_benchmarks_have_no_import_cycle_and_import_no_tests() -> None:
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "benchmarks").rglob("*.py")
    }
    imports = {name: imported(path) for name, path in files.items()}
    assert not [name for name, found in imports.items() if any(one.split(".")[0] == "tests" for one in found)]
    TopologicalSorter({name: found & files.keys() for name, found in imports.items()}).prepare()  # CycleError
