"""System calls on the files of a folder that fail in another process: short writes, ENOSPC, EIO, failed fsync.

``faulty_disk.c`` is loaded into that process before the C library, whose calls it replaces.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
import time
from enum import IntEnum
from pathlib import Path

import pytest

NUMBER = 4


class Fault(IntEnum):
    """In the order of ``enum kind`` of faulty_disk.c."""

    SHORT_WRITE = 1
    WRITE_NO_SPACE = 2
    WRITE_ERROR = 3
    SYNC_ERROR = 4
    CREATE_NO_SPACE = 5
    RENAME_ERROR = 6
    TRUNCATE_ERROR = 7


class FaultyDisk:
    """A folder whose calls can be made to fail.

    Args:
        folder: whose files are meant.
        work: for the library and the file by which it is told; outside of ``folder``.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        if shutil.which("gcc") is None:
            pytest.skip("no C compiler is installed (Debian: gcc)")
        library, control = work / "faulty_disk.so", work / "faulty-disk"
        source = Path(__file__).with_suffix(".c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"], check=True)
        control.write_bytes(bytes(4 * NUMBER))
        with control.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 4 * NUMBER)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULTY_FOLDER": str(folder.resolve()),
            "FAULTY_CONTROL": str(control),
        }

    @property
    def failed(self) -> int:
        """Calls that failed so far."""
        return self._number(3)

    def arm(self, fault: Fault, let_pass: int, fail: int) -> None:
        """Let ``let_pass`` calls of the kind pass, then ``fail`` calls fail."""
        self.disarm()
        self._set(1, let_pass)
        self._set(2, fail)
        self._set(0, fault)

    def disarm(self) -> None:
        """No call fails from now on."""
        self._set(0, 0)

    def await_failures(self, number: int, timeout_s: float) -> bool:
        """Wait until ``number`` calls failed; False if they did not within ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while self.failed < number:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def _number(self, at: int) -> int:
        (value,) = struct.unpack_from("i", self._control, at * NUMBER)
        return int(value)

    def _set(self, at: int, value: int) -> None:
        struct.pack_into("i", self._control, at * NUMBER, value)
