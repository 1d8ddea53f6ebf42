"""A disk that fills up or becomes read-only under a running gallery, and a damaged embedded index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serve_app.domain import DEFAULT_TENANT, ImageStorage, NewCollection, PersonFields
from serve_app.errors import ConfigurationError, PersonNotFound, StoreUnavailable
from serve_app.gallery import Gallery, open_gallery
from serve_app.settings import Settings, StorageSettings
from tests.gallery.samples import CALIBRATIONS, face, query
from tests.gallery.stores import check_consistent, embedded

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # milvus-lite forgets to close files
]

TENANT = DEFAULT_TENANT
DISK_BYTES = 24 * 2**20
PATIENCE_S = 180  # of a busy machine


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(gallery: Gallery, persons: int = 5) -> None:
    gallery.create_collection(TENANT, NewCollection("staff"))
    for seed in range(persons):
        gallery.put_person(TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed)])


def await_repair(gallery: Gallery) -> None:
    """Until the house-keeping has put right and written out everything."""
    deadline = time.monotonic() + PATIENCE_S
    while gallery._repairer._doubtful or gallery._index.layout.current._unflushed:  # type: ignore[attr-defined]
        assert time.monotonic() < deadline
        gallery.maintain()
        time.sleep(0.2)


def test_a_full_disk(disk: Path) -> None:
    with embedded(disk) as gallery:
        fill(gallery)
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(DISK_BYTES))
        big = face(100, storage=ImageStorage.FULL, photograph=bytes(2**20))
        for number in range(20):
            with pytest.raises(StoreUnavailable):
                gallery.put_person(TENANT, "new", ["staff"], PersonFields(), [big])
            gallery.maintain()
            for match in gallery.search(TENANT, query(number % 5)).matches[0]:  # or nobody, until there is room again
                assert match.person == gallery.person(TENANT, f"p{number % 5}")
        with pytest.raises(PersonNotFound):
            gallery.person(TENANT, "new")
        ballast.unlink()
        gallery.put_person(TENANT, "new", ["staff"], PersonFields(), [big])
        await_repair(gallery)
        check_consistent(gallery)
        for seed in range(5):
            assert gallery.search(TENANT, query(seed)).matches[0][0].person == gallery.person(TENANT, f"p{seed}")
    with embedded(disk) as gallery:
        check_consistent(gallery)
        assert gallery.search(TENANT, query(100)).matches[0][0].person == gallery.person(TENANT, "new")


def test_a_start_on_a_read_only_disk_says_so(disk: Path, tmp_path: Path) -> None:
    with embedded(disk / "old") as gallery:
        fill(gallery)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for data_dir, storage, named in (
        (disk / "old", {}, disk / "old"),
        (disk / "new", {}, disk / "new"),
        (tmp_path / "data", {"milvus_uri": str(disk / "old" / "index.db")}, disk / "old" / "index.db"),
        (tmp_path / "data", {"blobs_url": f"file://{disk}/old/blobs"}, disk / "old" / "blobs"),
    ):
        with pytest.raises(ConfigurationError, match=f"{re.escape(str(named))} cannot be"):
            open_gallery(Settings(data_dir=data_dir, storage=StorageSettings(**storage)), CALIBRATIONS)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    with embedded(disk / "old") as gallery:
        check_consistent(gallery)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in it can be written or made, by root and through files that are open for writing neither."""
    if shutil.which("chattr") is None:
        pytest.skip("chattr is not installed (Debian: e2fsprogs)")
    with (folder / "probe").open("wb", buffering=0) as probe:
        try:
            if subprocess.run(["chattr", "-R", "+i", folder], check=False).returncode:
                pytest.skip("the attribute for unchangeable files cannot be set here")
            try:
                probe.write(b"x")
            except OSError:
                yield
            else:
                pytest.skip("files that are open stay writable on this file system")
        finally:
            subprocess.run(["chattr", "-R", "-i", folder], check=True)


def test_a_disk_that_turns_read_only(tmp_path: Path) -> None:
    with embedded(tmp_path / "data") as gallery:
        fill(gallery)
        before = [gallery.person(TENANT, f"p{seed}") for seed in range(5)]
        with read_only(tmp_path / "data"):
            for number in range(5):
                with pytest.raises(StoreUnavailable):
                    gallery.put_person(TENANT, "new", ["staff"], PersonFields(), [face(100)])
                with pytest.raises(StoreUnavailable):
                    gallery.delete_person(TENANT, "p0")
                with pytest.raises(StoreUnavailable):
                    gallery.create_collection(TENANT, NewCollection("guests"))
                gallery.maintain()
                (match,) = gallery.search(TENANT, query(number)).matches[0]
                assert match.person == before[number]
        gallery.put_person(TENANT, "new", ["staff"], PersonFields(), [face(100)])
        gallery.delete_person(TENANT, "p0")
        await_repair(gallery)
        check_consistent(gallery)
    with embedded(tmp_path / "data") as gallery:
        check_consistent(gallery)
        assert [gallery.person(TENANT, f"p{seed}") for seed in range(1, 5)] == before[1:]
        assert gallery.search(TENANT, query(100)).matches[0][0].person == gallery.person(TENANT, "new")
        assert gallery.search(TENANT, query(0)).matches == ((),)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def scramble(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [truncate, scramble])
@pytest.mark.parametrize("files", ["*", "schema.json", "*.parquet", "*.idx"])
def test_a_damaged_index_is_built_again_at_start(tmp_path: Path, damage: Callable[[Path], None], files: str) -> None:
    with embedded(tmp_path) as gallery:
        fill(gallery)
    hit = [path for path in (tmp_path / "index.db").rglob(files) if path.is_file()]
    assert hit
    for path in hit:
        damage(path)
    with embedded(tmp_path) as gallery:
        check_consistent(gallery)
        assert gallery.search(TENANT, query(3)).matches[0][0].person == gallery.person(TENANT, "p3")


def test_an_index_of_another_installation_is_no_harm(tmp_path: Path) -> None:
    with embedded(tmp_path / "other") as gallery:
        fill(gallery)
    with embedded(tmp_path / "ours") as gallery:
        fill(gallery, 2)
    shutil.rmtree(tmp_path / "ours" / "index.db")
    shutil.copytree(tmp_path / "other" / "index.db", tmp_path / "ours" / "index.db")
    with embedded(tmp_path / "ours") as gallery:
        check_consistent(gallery)
        assert len(gallery.search(TENANT, query(1)).matches[0]) == 1
        assert gallery.search(TENANT, query(4)).matches[0] == ()
