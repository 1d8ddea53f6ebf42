"""``facegraph clock``: whether erasures by age believe the machine's clock, and its confirmation."""

from __future__ import annotations

from typing import Annotated

import typer

from serve_app.cli.options import Config, records_of, settings_of
from serve_app.cli.output import note


def clock(
    confirm: Annotated[bool, typer.Option("--confirm", help="The clock is right: erasures go by it again.")] = False,
    config: Config = None,
) -> None:
    """Show the machine's clock and the last time that erasures by age went by; --confirm when a jump was right.

    Retention, consents, the audit log and unknowns wait while the clock shows a time far from the expected one.
    The service can run meanwhile; it notices within a minute.
    """
    from serve_app.gallery.privacy.expiry_clock import believe, last_believed, wall_time

    with records_of(settings_of(config)) as database:
        with database.read() as connection:
            believed = last_believed(connection)
        now = wall_time()
        note(f"The clock shows {now:%Y-%m-%d %H:%M:%S} UTC.")
        note(f"Last believed: {believed:%Y-%m-%d %H:%M:%S} UTC." if believed else "No time was believed yet.")
        if confirm:
            database.transact(lambda connection: believe(connection, now))
            note("Confirmed: erasures by age go by this clock.")
