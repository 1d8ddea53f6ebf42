"""A start that takes too long says what it waits for; a service that loses one of Ray's servers ends."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from serve_app.cli import start_watch
from serve_app.cli.start_watch import StartWatch, own_words
from serve_app.errors import Unavailable

FAILED = """The deployment failed to start 1 times in a row. See controller logs for details. Error:
\x1b[36mray::ServeReplica:facegraph:Ingress.initialize_and_get_metadata()\x1b[39m (pid=1, ip=127.0.0.1)
  File "serve_app/gallery/index/milvus_connection.py", line 44, in connect
    raise ConfigurationError(
serve_app.errors.ConfigurationError: The vector index data/index.db cannot be opened.

During handling of the above exception, another exception occurred:

RuntimeError: Traceback (most recent call last):
serve_app.errors.ConfigurationError: The vector index data/index.db cannot be opened.
"""


def test_a_start_in_time_is_left_alone() -> None:
    StartWatch(60).check_time(lambda: pytest.fail("nobody asks"))


def test_a_start_that_takes_too_long_names_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = StartWatch(0)
    watch.step = "Ray's servers"
    monkeypatch.setattr(start_watch.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    with pytest.raises(Unavailable, match=r"not ready within 0 s\. It waited for Ray's servers\.$"):
        watch.check_time(list)
    monkeypatch.setattr(start_watch.os, "getloadavg", lambda: (1000.0, 0.0, 0.0))
    with pytest.raises(Unavailable, match=r"The machine is busy: its load is 1000\.0 on \d+ processors\.$"):
        watch.check_time(list)


def test_the_end_of_a_server_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "print(1, flush=True); import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline()
        name = psutil.Process(server.pid).name()
        monkeypatch.setattr(start_watch, "SERVERS", (name,))
        watch = StartWatch(0)
        watch.watch_servers()
        watch.check_processes()
        with pytest.raises(Unavailable, match=r"\nIngress: what Serve says"):
            watch.check_time(lambda: ["Ingress: what Serve says"])
        server.kill()
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(Unavailable, match=f"{name} .process {server.pid}. has ended"):
            watch.check_processes()


def test_the_words_of_a_stage_are_found_in_what_serve_says() -> None:
    assert own_words(FAILED) == "The vector index data/index.db cannot be opened."
    assert own_words("The deployment failed.\nValueError: 7\n\n") == "ValueError: 7"
