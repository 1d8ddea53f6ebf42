"""Encryption at rest: no content is readable on the disk, and keys can be changed without a loss."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from serve_app.domain import DEFAULT_TENANT, ImageStorage, NewCollection, PersonFields
from serve_app.errors import ConfigurationError
from serve_app.gallery import Gallery
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.privacy.reencryption import reencrypt
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.encryption import Cipher, cipher_from_settings
from serve_app.gallery.sql.migrations import upgrade_database
from serve_app.settings import Settings, StorageSettings
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.samples import CALIBRATIONS, face, query, template
from tests.gallery.stores import check_consistent

T = DEFAULT_TENANT
PHOTOGRAPH = b"a photograph that must not be readable"


def key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@contextmanager
def opened(folder: Path, *keys: str) -> Iterator[Gallery]:
    settings = Settings(data_dir=folder, storage=StorageSettings(encryption_key=",".join(keys)))  # type: ignore[arg-type]
    cipher = cipher_from_settings(settings)
    with closing(Database(settings.database_url, cipher)) as database:
        upgrade_database(database)
        gallery = Gallery(database, MemoryIndex(), BlobStore(settings.blobs_url, cipher), CALIBRATIONS, alone=True)
        gallery.recover()
        try:
            yield gallery
        finally:
            gallery.close()


def enrol(gallery: Gallery) -> None:
    gallery.create_collection(T, NewCollection("staff"))
    new = face(1, storage=ImageStorage.FULL, photograph=PHOTOGRAPH, thumbnail=PHOTOGRAPH)
    gallery.put_person(T, "ada", ["staff"], PersonFields(), [new])


def disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def works(gallery: Gallery) -> bool:
    (match,) = gallery.search(T, query(1)).matches[0]
    (stored,) = gallery.person(T, "ada").faces
    assert gallery.face_image(T, stored.id, "photograph") == PHOTOGRAPH
    assert (gallery.template(T, stored.id)[1] == template(1)).all()
    check_consistent(gallery)
    return match.score > 0.9


def test_nothing_is_readable_on_the_disk(tmp_path: Path) -> None:
    secret = key()
    with opened(tmp_path / "clear") as gallery:
        enrol(gallery)
    with opened(tmp_path / "sealed", secret) as gallery:
        enrol(gallery)
        assert works(gallery)
    with opened(tmp_path / "sealed", secret) as gallery:  # the index is built from the records
        assert works(gallery)
    for content in (PHOTOGRAPH, template(1).tobytes()):
        assert content in disk(tmp_path / "clear")
        assert content not in disk(tmp_path / "sealed")


def test_keys_can_be_introduced_changed_and_taken_away(tmp_path: Path) -> None:
    first, second = key(), key()
    with opened(tmp_path) as gallery:
        enrol(gallery)
        public_key = gallery._signer.public_key
    for keys in ([first], [second, first]):
        with opened(tmp_path, *keys) as gallery:
            assert works(gallery)
            assert reencrypt(gallery._database, gallery._blobs) == 1
            assert works(gallery)
    assert template(1).tobytes() not in disk(tmp_path)
    assert PHOTOGRAPH not in disk(tmp_path)
    with opened(tmp_path, second) as gallery:
        assert works(gallery)
        assert gallery._signer.public_key == public_key
    for keys in ([], [first], [key()]):
        with pytest.raises(ConfigurationError, match="encrypted with a key"), opened(tmp_path, *keys):
            pass


def test_images_cannot_be_exchanged_or_changed(tmp_path: Path) -> None:
    cipher = Cipher([os.urandom(32)])
    sealed = cipher.encrypt(b"x", b"one")
    assert cipher.decrypt(sealed, b"one") == b"x"
    assert cipher.encrypt(b"x", b"one") != sealed
    for wrong, context in ((sealed, b"other"), (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"one"), (sealed[:20], b"one")):
        with pytest.raises(ConfigurationError):
            cipher.decrypt(wrong, context)


@pytest.mark.parametrize("text", ["short", "AAAA", "ü", key() + "x"], ids=["short", "3 bytes", "not ASCII", "too long"])
def test_what_is_no_key_is_refused(text: str) -> None:
    settings = Settings(storage=StorageSettings(encryption_key=text))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="32 bytes") as raised:
        cipher_from_settings(settings)
    assert text not in raised.value.message


def test_a_file_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{key()}\n{key()}\n")
    assert cipher_from_settings(Settings(storage=StorageSettings(encryption_key_file=file))) is not None
    with pytest.raises(ConfigurationError, match="cannot be read"):
        cipher_from_settings(Settings(storage=StorageSettings(encryption_key_file=tmp_path / "none")))
