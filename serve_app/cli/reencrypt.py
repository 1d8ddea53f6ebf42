"""``facegraph reencrypt``: seal what is stored with the first encryption key."""

from __future__ import annotations

import contextlib

from serve_app.cli.options import Config, require_database, settings_of
from serve_app.cli.output import fail, note


def reencrypt(config: Config = None) -> None:
    """Encrypt every template and stored image anew with the first encryption key.

    After the first key was set, or a new one was put before the old ones. The service may run, with the same keys.
    """
    from serve_app.gallery.open import open_blobs, open_database
    from serve_app.gallery.resealing import reseal
    from serve_app.gallery.sealing import cipher_of

    settings = settings_of(config)
    require_database(settings)
    if cipher_of(settings) is None:
        raise fail("There is no key: set FACEGRAPH_STORAGE__ENCRYPTION_KEY or FACEGRAPH_STORAGE__ENCRYPTION_KEY_FILE.")
    with contextlib.closing(open_database(settings)) as database:
        number = reseal(database, open_blobs(settings))
    note(f"{number} faces are encrypted with the first key.")
