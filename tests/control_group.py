"""A real control group of version 1, for tests of its limits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def control_group(controller: str, limit: str, value: str) -> Iterator[str]:
    """A group with a limit, removed afterwards; the Python code with which a process joins it.

    Skips the test where none can be made.
    """
    group = Path("/sys/fs/cgroup") / controller / f"facegraph-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(value)
    except OSError as error:
        pytest.skip(f"a control group of version 1 cannot be made here: {error}")
    try:
        yield f"open({str(group / 'cgroup.procs')!r}, 'w').write(str(__import__('os').getpid()))"
    finally:
        group.rmdir()
