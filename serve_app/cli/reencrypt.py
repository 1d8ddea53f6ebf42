"""``facegraph reencrypt``: seal what is stored with the first encryption key."""

from __future__ import annotations

from serve_app.cli.options import Config, records_of, settings_of
from serve_app.cli.output import fail, note


def reencrypt(config: Config = None) -> None:
    """Encrypt every template and stored image anew with the first encryption key.

    After the first key was set, or a new one was put before the old ones. The service may run, with the same keys.
    """
    from serve_app.gallery.open import open_blobs
    from serve_app.gallery.resealing import reseal
    from serve_app.gallery.sealing import cipher_of

    settings = settings_of(config)
    with records_of(settings) as database:
        if cipher_of(settings) is None:
            raise fail(
                "There is no key: set FACEGRAPH_STORAGE__ENCRYPTION_KEY or FACEGRAPH_STORAGE__ENCRYPTION_KEY_FILE."
            )
        number = reseal(database, open_blobs(settings))
    note(f"{number} faces are encrypted with the first key.")
