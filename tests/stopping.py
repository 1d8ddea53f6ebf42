"""A test run that is stopped, or a test that is slow, says where it was.

pytest's ``faulthandler_timeout`` (pyproject.toml) shows the stacks of a test that takes long; later pytest-timeout ends
it. This is for a run that is stopped from outside, as CI does when its time is over.
"""

from __future__ import annotations

import faulthandler
import os
import signal


def show_stacks_when_stopped() -> None:
    """On SIGTERM write the stacks of all threads to standard error, then end as before."""
    faulthandler.register(signal.SIGTERM, file=os.dup(2), all_threads=True, chain=True)
