"""The private folder is short, writable and this user's own; it holds Ray's token and the addresses of services."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app import runtime_folder as module
from serve_app.cli.ray_folder import NAME
from serve_app.errors import ConfigurationError
from serve_app.process_environment import OTHER_RAY, node_environment, prepare_loopback_ray, prepare_own_ray
from serve_app.runtime_folder import LONGEST, announced, announced_address, runtime_folder, token_file

OWN = f"facegraph-{os.getuid()}"
NOBODY = 65534

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's files")


@pytest.fixture
def short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files with a short path, which leads into the test's own."""
    for name in ("RAY_TMPDIR", "TMPDIR", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", *OTHER_RAY):
        monkeypatch.delenv(name, raising=False)
    link = Path(f"/tmp/fg{os.getpid()}")
    link.symlink_to(tmp_path)
    monkeypatch.setattr(module, "USUAL", (str(link),))
    yield link
    link.unlink()


def test_the_folder_is_private(short: Path) -> None:
    before = os.umask(0)
    try:
        folder = runtime_folder()
    finally:
        os.umask(before)
    assert folder == short / OWN
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert runtime_folder() == folder


def test_a_short_folder_that_is_named_is_taken(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(short / "t"))
    assert runtime_folder() == short / "t" / OWN


def test_a_private_folder_that_is_named_is_taken_itself(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short / "t").mkdir(mode=0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(short / "t"))
    assert runtime_folder() == short / "t"
    (short / "t").chmod(0o750)
    assert runtime_folder() == short / "t" / OWN
    assert runtime_folder({"RAY_TMPDIR": str(short / "t" / OWN)}) == short / "t" / OWN


@pytest.mark.parametrize("name", ["RAY_TMPDIR", "TMPDIR"])
@pytest.mark.parametrize("value", ["/tmp/" + "long/" * 20, "/proc/nothing", "/nonexistent"])
def test_a_folder_that_sockets_cannot_be_in_is_not_taken(
    name: str, value: str, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert runtime_folder().parent == short


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: (path.mkdir(), path.chmod(0o755)), "open to other users .mode 0755, 0700 was expected"),
        (lambda path: path.symlink_to(path.parent), "a link or a file"),
        (lambda path: path.touch(0o600), "a link or a file"),
        pytest.param(lambda path: (path.mkdir(mode=0o700), os.chown(path, NOBODY, -1)), "another user", marks=as_root),
    ],
)
def test_a_folder_of_that_name_that_is_not_private_is_refused(make: object, reason: str, short: Path) -> None:
    assert callable(make)
    make(short / OWN)
    with pytest.raises(ConfigurationError, match=rf"{short}/{OWN}: {reason}.*Set RAY_TMPDIR to a folder of this user"):
        runtime_folder()


def test_a_place_where_others_can_replace_the_folder_is_the_last_one(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (short / "open").mkdir()
    (short / "open").chmod(0o777)
    monkeypatch.setenv("TMPDIR", str(short / "open"))
    assert runtime_folder().parent == short
    (short / "open").chmod(0o1777)
    assert runtime_folder().parent == short / "open"
    (short / "open").chmod(0o777)
    monkeypatch.setattr(module, "USUAL", ())
    assert runtime_folder().parent == short / "open"


def test_without_any_folder_the_message_has_all_reasons(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp/" + "ü" * 40)
    monkeypatch.setattr(module, "USUAL", ("/nonexistent",))
    with pytest.raises(ConfigurationError, match=r"ü: too long.*nonexistent: No such file.*RAY_TMPDIR"):
        runtime_folder()


def test_sockets_in_the_longest_folder_have_paths_that_the_kernel_takes() -> None:
    longest = f"/{NAME}/session_2026-11-30_18-47-28_123456_{2**22}/sockets/plasma_store"
    assert LONGEST + len(longest) <= 107


def test_the_token_is_made_once_and_is_readable_by_this_user_alone(tmp_path: Path) -> None:
    file = token_file(tmp_path)
    token = file.read_text()
    assert len(token) == 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert token_file(tmp_path).read_text() == token
    assert list(tmp_path.iterdir()) == [file]


def test_an_address_is_found_as_long_as_its_service_runs(tmp_path: Path) -> None:
    assert announced_address(tmp_path) is None
    code = (
        "import sys; from pathlib import Path; from serve_app.runtime_folder import announced\n"
        "with announced(Path(sys.argv[1]), '127.0.0.1:1'): print(flush=True); input()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert announced_address(tmp_path) == "127.0.0.1:1"
        with announced(tmp_path, "127.0.0.1:2"):
            assert announced_address(tmp_path) == "127.0.0.1:2"  # the latest one
        assert announced_address(tmp_path) == "127.0.0.1:1"
        other.kill()
    assert announced_address(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_joins_gets_the_address_and_the_token(short: Path) -> None:
    environment: dict[str, str] = {}
    with pytest.raises(ConfigurationError, match=r"No facegraph serve of this user runs here.*RAY_ADDRESS"):
        prepare_loopback_ray(environment)
    with announced(short / OWN, "127.0.0.1:6379"):
        prepare_loopback_ray(environment)
        given = {"RAY_ADDRESS": "10.0.0.1:6379", "RAY_AUTH_TOKEN": "secret"}
        prepare_loopback_ray(given)
    assert environment["RAY_ADDRESS"] == "127.0.0.1:6379"
    assert environment["RAY_TMPDIR"] == str(short / OWN)
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(short / OWN / "ray_token")
    assert given["RAY_ADDRESS"] == "10.0.0.1:6379"
    assert "RAY_AUTH_TOKEN_PATH" not in given


def test_an_own_ray_asks_for_its_token_and_stays_out_of_rays_default_folder(short: Path) -> None:
    environment = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": str(short)}
    short.chmod(0o755)
    assert prepare_own_ray(environment) == short / OWN
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_TMPDIR"] == str(short / OWN)
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(short / OWN / "ray_token")


def test_a_node_has_a_private_folder_and_the_users_token_or_a_new_one(
    short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    variables = node_environment()
    assert (variables["RAY_TMPDIR"], variables["RAY_AUTH_MODE"]) == (str(short / OWN), "token")
    assert variables["RAY_AUTH_TOKEN_PATH"] == str(short / OWN / "ray_token")
    assert "RAY_AUTH_TOKEN_PATH" not in node_environment({"RAY_AUTH_TOKEN": "secret"})
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").touch()
    assert "RAY_AUTH_TOKEN_PATH" not in node_environment()
