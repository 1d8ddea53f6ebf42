"""milvus-lite listens on a Unix socket in the private folder, and on no port."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from serve_app.errors import ConfigurationError
from serve_app.gallery.index.milvus_connection import connect
from serve_app.gallery.index.milvus_lite_client import EmbeddedClient, socket_of


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The private folder, with a short path that leads into the test's own folder."""
    (tmp_path / "private").mkdir(mode=0o700)
    link = Path(f"/tmp/fgm{os.getpid()}")
    link.symlink_to(tmp_path)
    monkeypatch.setenv("RAY_TMPDIR", str(link / "private"))
    yield link / "private"
    link.unlink()


def listening() -> set[int]:
    """TCP ports of this process."""
    found = psutil.Process().net_connections("tcp")
    return {each.laddr.port for each in found if each.status == psutil.CONN_LISTEN}


def test_no_port_is_opened_and_a_deep_folder_works(tmp_path: Path, private: Path) -> None:
    folder = tmp_path / ("deep" * 40) / "index.db"
    before = listening()
    with closing(connect(str(folder), "", 20)) as client:
        client.create_collection("rows", dimension=4)
        assert client.list_collections() == ["rows"]
        assert listening() == before
        assert socket_of(folder).parent == private
        assert socket_of(folder).is_socket()
    with closing(connect(str(folder), "", 20)) as again:
        assert again.list_collections() == ["rows"]


@pytest.mark.usefixtures("private")
def test_a_socket_that_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "index.db"
    folder.mkdir()
    left = EmbeddedClient(folder, 20)
    os.link(socket_of(folder), tmp_path / "left")
    left.close()
    os.link(tmp_path / "left", socket_of(folder))
    with closing(EmbeddedClient(folder, 20)) as client:
        assert client.list_collections() == []


@pytest.mark.usefixtures("private")
def test_a_second_one_on_a_folder_is_refused_and_leaves_the_first_alone(tmp_path: Path) -> None:
    with closing(connect(str(tmp_path / "index.db"), "", 20)) as client:
        with pytest.raises(ConfigurationError, match="another process has it open"):
            connect(str(tmp_path / "index.db"), "", 20)
        assert client.list_collections() == []
