"""PostgreSQL server with a temporary data folder on a free port, loopback only."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

from scripts.servers.ports import free_port

START_TIMEOUT_S = 240


def find_binaries() -> Path | None:
    """The folder with ``initdb`` and ``postgres`` of the newest installed version, None if there is none."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb") + glob.glob("/usr/pgsql-*/bin/initdb"))  # noqa: PTH207
    return Path(found[-1]).parent if found else None


class PostgresServer:
    """A server that starts on construction; ``stop`` leaves no process and no file behind.

    Raises:
        RuntimeError: it did not start; the message has its log.
    """

    def __init__(self, binaries: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="facegraph-postgres-"))
        # PostgreSQL refuses to run as root; its packages create the user ``postgres``.
        self._as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        self._password = secrets.token_hex(16)
        self.port = free_port()
        data = self._folder / "data"
        password_file = self._folder / "password"
        password_file.write_text(self._password)
        if self._as_user:
            shutil.chown(self._folder, "postgres", "postgres")
            shutil.chown(password_file, "postgres", "postgres")
        initdb = [binaries / "initdb", "-D", data, "-U", "facegraph", "--auth=scram-sha-256", "--pwfile", password_file]
        subprocess.run(
            [*map(str, initdb), "--encoding=UTF8", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self._folder,
            **self._as_user,
        )
        self._binaries = binaries
        self._start()
        self._admin = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._folder,
            "fsync": "off",  # tests kill the process, not the machine
            "max_connections": 200,
        }
        settings = [f"--{key}={value}" for key, value in options.items()]
        self._log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), *settings],
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            start_new_session=True,
            **self._as_user,
        )

    def kill(self) -> None:
        """Send SIGKILL to the server and all its processes; :meth:`restart` starts it again."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()

    def restart(self) -> None:
        """Start it after :meth:`kill` on the same data and the same port; returns when it has recovered."""
        self._start()
        self._wait()

    def url(self, database: str) -> str:
        """SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://facegraph:{self._password}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Create an empty database; its URL."""
        name = f"test_{secrets.token_hex(8)}"
        with self._admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        return self.url(name)

    def stop(self) -> None:
        """Shut down immediately, without a checkpoint, and remove the files."""
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                with self._admin.connect():
                    return
            except sa.exc.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}") from None
                time.sleep(0.1)
