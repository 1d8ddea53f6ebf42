"""``facegraph reencrypt``: encrypt stored templates and images with the first encryption key."""

from __future__ import annotations

from serve_app.cli.options import Config, records_of, settings_of
from serve_app.cli.output import fail, note


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
