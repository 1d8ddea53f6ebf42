"""Log handlers of a process still work after it has opened a gallery."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OPENING = """
import logging, logging.handlers, pathlib, sys
folder = pathlib.Path(sys.argv[1])
logger = logging.getLogger("ray.serve")
logger.addHandler(logging.handlers.MemoryHandler(1, target=logging.FileHandler(folder / "log")))
logger.warning("before")
from serve_app.gallery import open_gallery
from serve_app.settings import Settings
gallery = open_gallery(Settings(data_dir=folder / "data"), {})
logger.warning("after")
gallery.close()
"""


def test_serve_s_log_outlives_the_import_of_pymilvus(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", OPENING, str(tmp_path)], check=True)
    assert (tmp_path / "log").read_text() == "before\nafter\n"
