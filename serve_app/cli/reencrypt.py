"""``facegraph reencrypt``: seal what is stored with the first encryption key."""

from __future__ import annotations

from serve_app.cli.options import Config, records_of, settings_of
from serve_app.cli.output import fail, note


def reencrypt(config: Config = None) -> None:
    """Encrypt every template and stored image anew with the first encryption key.

    After the first key was set, or a new one was put before the old ones. The service may run, with the same keys.
    """
    from serve_app.gallery.opening import open_blobs
    from serve_app.gallery.privacy.reencryption import reencrypt
    from serve_app.gallery.sql.encryption import cipher_from_settings

    settings = settings_of(config)
    with records_of(settings) as database:
        if cipher_from_settings(settings) is None:
            raise fail(
                "There is no key: set FACEGRAPH_STORAGE__ENCRYPTION_KEY or FACEGRAPH_STORAGE__ENCRYPTION_KEY_FILE."
            )
        number = reencrypt(database, open_blobs(settings))
    note(f"{number} faces are encrypted with the first key.")
