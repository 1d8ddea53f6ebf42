"""A process that runs a gallery under load and may be killed: ``python -m tests.faults.victim SETTINGS``.

Imports take seconds, so it imports once and forks a child for every life: each line on standard input is a seed and
starts one. ``["born", process id]`` and ``["ready"]`` come before the workload's own lines, ``["died"]`` at the end.
On SIGTERM a child finishes what it does, closes the gallery and ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from types import FrameType

import serve_app.gallery.index.milvus_server  # noqa: F401 - imported before the first fork
from serve_app.domain import NewCollection
from serve_app.errors import CollectionExists
from serve_app.gallery import open_gallery
from serve_app.settings import Settings
from tests.faults.workload import COLLECTIONS, TENANT, THREADS, Actor, say
from tests.gallery.samples import CALIBRATIONS


def live(settings: Settings, seed: int) -> None:
    """One life."""
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    logging.disable(logging.WARNING)  # of stores that are away, as the tests mean them to be
    gallery = open_gallery(settings, CALIBRATIONS)
    for name in COLLECTIONS:
        with contextlib.suppress(CollectionExists):
            gallery.create_collection(TENANT, NewCollection(name))
    signal.signal(signal.SIGTERM, stop)
    say("ready")
    actors = [Actor(gallery, number, seed * THREADS + number, stopping) for number in range(THREADS)]
    for actor in actors:
        actor.start()
    while not stopping.wait(0.2):
        gallery.maintain()
    for actor in actors:
        actor.join()
    gallery.close()


def main() -> None:
    """Fork a life for each line."""
    settings = Settings.model_validate_json(sys.argv[1])
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            live(settings, int(line))
            os._exit(0)
        say("born", process)
        os.waitpid(process, 0)
        say("died")


if __name__ == "__main__":
    main()
