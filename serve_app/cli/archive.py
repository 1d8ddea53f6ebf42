"""``facegraph export``, ``import`` and ``reencrypt``: back up all stored data, restore them, encrypt them again."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import Config, records_of, settings_of
from serve_app.cli.output import fail, note, warn

if TYPE_CHECKING:
    from serve_app.gallery.archive import Imported

Passphrase = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="Encrypt with the first line of this file.",
        show_default="FACEGRAPH_EXPORT_PASSPHRASE, else not encrypted",
    ),
]
STDOUT = Path("-")
SHOWN = 20
"""Most ids that are listed; further ones are only counted."""


def export(
    file: Annotated[Path, typer.Argument(help="The archive to write; - for standard output.")],
    passphrase_file: Passphrase = None,
    config: Config = None,
) -> None:
    """Write the whole gallery to one file: records, templates, images, and the ids of what was erased.

    The service can run meanwhile. The file holds biometric data: encrypt it unless the disk is encrypted.
    """
    from serve_app.gallery.archive import ArchiveWriter, export_archive
    from serve_app.gallery.opening import open_blobs

    settings = settings_of(config)
    secret = _passphrase(passphrase_file)
    if secret != secret.strip():
        raise fail("FACEGRAPH_EXPORT_PASSPHRASE begins or ends with a blank or a line break: remove it.")
    with (
        records_of(settings) as database,
        _target(file) as stream,
        _encrypted(stream, secret) as encrypted,
        ArchiveWriter(encrypted) as archive,
    ):
        done = export_archive(database, open_blobs(settings), archive)
    note(f"{done.persons} persons, {done.faces} faces and {done.images} images are in the archive.")
    if not secret:
        warn("The archive is not encrypted: anyone who has the file has the faces.")


def import_(
    file: Annotated[Path, typer.Argument(help="An archive written by facegraph export.", exists=True, dir_okay=False)],
    passphrase_file: Passphrase = None,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="Restore API keys as well; keys revoked since the export work again.")
    ] = False,
    config: Config = None,
) -> None:
    """Restore from an archive what the gallery does not have; data erased since the export stay erased.

    The whole file is checked first. With the embedded index (a file) the service must be stopped.
    """
    from serve_app.gallery import open_gallery
    from serve_app.gallery.archive import ArchiveReader, check_archive
    from serve_app.vision.catalogue import Catalogue

    settings = settings_of(config)
    secret = _passphrase(passphrase_file)
    catalogue = Catalogue.load()
    sizes = {entry.id: entry.dimension for entry in catalogue if entry.dimension is not None}
    with _source(file, secret) as stream:
        archive = ArchiveReader(stream)
        check_archive(archive, sizes)
        with contextlib.closing(open_gallery(settings, catalogue.calibrations())) as gallery:
            done = gallery.restore(archive, with_keys, sizes)
    note(f"{done.persons} persons, {done.faces} faces and {done.images} images were restored.")
    if done.kept:
        note(f"{done.kept} persons were there already and are unchanged.")
    if done.erased:
        note(f"{done.erased} persons were erased after the export and stay erased.")
    _tell_models(done, settings.embedder.model)


def reencrypt(config: Config = None) -> None:
    """Encrypt all templates and stored images again with the first encryption key.

    Run it after the first key was set, or a new one was put before the old ones. The service can run meanwhile, with
    the same keys.
    """
    from serve_app.gallery.opening import open_blobs
    from serve_app.gallery.privacy.reencryption import reencrypt
    from serve_app.gallery.sql.encryption import cipher_from_settings

    settings = settings_of(config)
    with records_of(settings) as database:
        if cipher_from_settings(settings) is None:
            raise fail(
                "There is no encryption key: set FACEGRAPH_STORAGE__ENCRYPTION_KEY or "
                "FACEGRAPH_STORAGE__ENCRYPTION_KEY_FILE."
            )
        number = reencrypt(database, open_blobs(settings))
    note(f"{number} faces are encrypted with the first key.")


def _tell_models(done: Imported, model: str) -> None:
    for other in sorted(done.models.keys() - {model}):
        warn(
            f"{done.models[other]} faces have templates of {other}, which searches with {model} do not find. The "
            "running service embeds them again from their stored images; see facegraph models switch."
        )
        lacking = done.without_image.get(other, [])
        if lacking:
            more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
            warn(f"Persons without a stored image, to be enrolled again: {', '.join(lacking[:SHOWN])}{more}.")


def _passphrase(file: Path | None) -> str:
    if file is None:
        return os.environ.get("FACEGRAPH_EXPORT_PASSPHRASE", "")
    line = file.read_text().split("\n", 1)[0].strip()
    if not line:
        raise fail(f"Expected a passphrase in the first line of {file}, but the line is empty.")
    return line


@contextlib.contextmanager
def _target(file: Path) -> Iterator[IO[bytes]]:
    """The stream to write to. A file gets its final name only when it is complete."""
    if file == STDOUT:
        yield sys.stdout.buffer
        return
    if file.exists() and not file.is_file():
        raise fail(f"{file} is not a regular file. To write to a pipe, give - and redirect the output.")
    partial = file.with_name(f".{file.name}.partial")
    try:
        with open(os.open(partial, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as stream:  # noqa: PTH123
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _encrypted(stream: IO[bytes], secret: str) -> Iterator[IO[bytes]]:
    from serve_app.gallery.archive.encrypted_file import EncryptedWriter

    if not secret:
        yield stream
        return
    encrypted: Any = EncryptedWriter(stream, secret)
    yield encrypted
    encrypted.close()


@contextlib.contextmanager
def _source(file: Path, secret: str) -> Iterator[IO[bytes]]:
    import io

    from serve_app.gallery.archive.encrypted_file import MAGIC, EncryptedReader, is_encrypted

    with file.open("rb") as stream:
        if not is_encrypted(stream.peek(len(MAGIC))):
            yield stream
            return
        if not secret:
            raise fail("The archive is encrypted: give its passphrase with --passphrase-file.")
        yield io.BufferedReader(EncryptedReader(stream, secret), 2**20)
