"""Connections and transactions of the records, on SQLite or PostgreSQL.

There is one way to read (:meth:`Database.read`) and one way to write (:meth:`Database.write`, or
:meth:`Database.transact`, which repeats a transaction that lost a race). Both turn the drivers' errors into
``StoreUnavailable``. A rule that no row lock can hold, because it is about rows that do not exist yet, is checked and
relied on within :meth:`Database.exclusive`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc

from serve_app.errors import ConfigurationError, StoreUnavailable
from serve_app.folders import private_folder
from serve_app.gallery.sql.encryption import Cipher
from serve_app.observability import store_metrics, tracing

log = logging.getLogger(__name__)

T = TypeVar("T")

LOCK_WAIT_S = 20
"""How long a statement waits for another writer before the store counts as unavailable."""

ATTEMPTS = 6
"""How often a transaction is tried that loses races with other writers (unique key, deadlock)."""

LOCKS = 64
"""Locks of a process that the names of :meth:`Database.exclusive` share."""

CHECKPOINT_WAIT_MS = 100
"""How long a checkpoint waits for readers. Writers wait as well meanwhile."""

RETRYABLE_SQLSTATES = {"40001", "40P01"}  # serialization failure, deadlock detected

PASSING = {"index_journal", "audit_log"}
"""Tables whose deleted rows have nothing about a person, and are deleted all the time."""

_OUTAGES = (exc.OperationalError, exc.InterfaceError, exc.DisconnectionError, exc.TimeoutError, exc.ResourceClosedError)


class Database:
    """A SQLAlchemy engine with the settings that durability needs.

    ``url`` is SQLAlchemy's URL of SQLite (a file) or PostgreSQL; ``cipher`` is for the encrypted columns, None stores
    them in the clear. Raises ConfigurationError: the URL is not one of these, or the file cannot be opened.

    Attributes:
        erased: whether rows were deleted since the last :meth:`scrub`. Set it if an earlier process may have done so.
    """

    erased = False

    def __init__(self, url: str, cipher: Cipher | None = None) -> None:
        try:
            parsed = sa.make_url(url)
        except exc.ArgumentError:
            raise ConfigurationError(
                "storage.database_url is not a database URL like sqlite:////path/file.db."
            ) from None
        self.kind = parsed.get_backend_name()
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        if self.kind == "sqlite":
            self.engine = _sqlite(parsed)
            sa.event.listen(self.engine, "after_execute", self._note_deletions)
        elif self.kind == "postgresql":
            self.engine = _postgresql(parsed)
        else:
            raise ConfigurationError(f"storage.database_url: SQLite or PostgreSQL was expected, got {self.kind!r}.")
        self.engine.dialect.facegraph_cipher = cipher  # type: ignore[attr-defined]  # for the column type EncryptedBytes

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for SELECT statements; on SQLite all of them see one snapshot. Raises StoreUnavailable."""
        with self._outages(), tracing.span("records read"), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection whose SELECT statements all see one moment of the database. Raises StoreUnavailable."""
        with self.read() as connection:
            if self.kind == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: committed durably at the end, rolled back on an exception.

        If StoreUnavailable is raised, nothing was written, unless the connection was lost during the commit: then the
        transaction took effect completely or not at all.
        """
        with self._outages(), tracing.span("records write"), self.engine.connect() as connection:
            connection = connection.execution_options(facegraph_write=True)
            with connection.begin():
                yield connection

    def transact(self, work: Callable[[sa.Connection], T]) -> T:
        """Run ``work`` in a transaction, and run it again if it lost a race with another writer."""

        def attempt() -> T:
            with self.write() as connection:
                return work(connection)

        return retried(attempt)

    @contextmanager
    def exclusive(self, *names: str) -> Iterator[None]:
        """Hold these names: no other thread, of any process, holds one of them during the block.

        Not to be nested. SQLite is written by one process, so that locks of this process suffice there. On PostgreSQL
        advisory locks of a transaction are held as well, which end with its connection. Raises StoreUnavailable.
        """
        numbers = {_number_of(name) for name in names}
        with ExitStack() as held:
            for position in sorted({number % LOCKS for number in numbers}):
                held.enter_context(self._locks[position])
            if self.kind == "postgresql":
                with self._outages():
                    connection = self.engine.connect()
                    held.callback(_close_quietly, connection)
                    for number in sorted(numbers):
                        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(number)))
            yield

    def scrub(self) -> bool:
        """Remove what deleted rows left in SQLite's files; False if a reader was in the way: try again.

        ``secure_delete`` overwrites a deleted row, but not what the write-ahead log has of it, nor copies in unused
        space of pages that SQLite has split: a VACUUM writes all pages anew. Each takes a second for 100,000 faces, in
        which writers wait. Cheap if nothing was written. Does nothing on PostgreSQL, which has its own VACUUM.

        Raises StoreUnavailable: the disk is full or broken.
        """
        if self.kind != "sqlite" or not (self.erased or _size(f"{self.engine.url.database}-wal")):
            return True
        rebuild, self.erased = self.erased, False
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            try:
                if rebuild:
                    cursor.execute("VACUUM")
                cursor.execute(f"PRAGMA busy_timeout = {CHECKPOINT_WAIT_MS}")
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                (busy, *_), *_ = cursor.fetchall()
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {LOCK_WAIT_S * 1000}")
                cursor.close()
        except sqlite3.Error as error:
            self.erased = rebuild
            store_metrics.failed("records")
            raise StoreUnavailable(f"What was deleted is still in the database's files: {error}.") from error
        finally:
            connection.close()
        return not busy

    def _note_deletions(self, _: sa.Connection, statement: Any, *__: Any) -> None:
        if isinstance(statement, sa.Delete) and getattr(statement.table, "name", "") not in PASSING:
            self.erased = True

    @contextmanager
    def _outages(self) -> Iterator[None]:
        try:
            yield
        except exc.IntegrityError as error:
            # Not the driver's words: PostgreSQL's have the values of the row.
            raise LostRace("The database refused the change: a key or a reference does not fit.") from error
        except _OUTAGES as error:
            if getattr(getattr(error, "orig", None), "sqlstate", None) in RETRYABLE_SQLSTATES:
                raise LostRace(
                    "The database rolled the transaction back in favour of another writer; try again."
                ) from error
            store_metrics.failed("records")
            log.warning("database: %s", error)
            raise StoreUnavailable("The database does not answer; try again.") from error
        except exc.DatabaseError as error:
            if type(error) is not exc.DatabaseError:
                raise
            store_metrics.failed("records")
            log.exception("database")
            raise StoreUnavailable("The database is damaged or does not answer.") from error

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()


class LostRace(StoreUnavailable):
    """The transaction lost a race with another writer; it can succeed when it is run again."""


def retried(attempt: Callable[[], T]) -> T:
    """Call ``attempt`` and return its result; call it again, after a random pause, if it lost a race.

    The pauses double: 5 to 20 ms, 10 to 40 ms, and so on. Raises LostRace: it lost :data:`ATTEMPTS` times.
    """
    for pauses in range(ATTEMPTS - 1):
        try:
            return attempt()
        except LostRace:
            time.sleep(random.uniform(0.005, 0.02) * 2**pauses)  # noqa: S311 - jitter, not a secret
    try:
        return attempt()
    except LostRace as error:
        store_metrics.failed("records")
        log.warning("database: a transaction was given up after %d attempts: %s", ATTEMPTS, error)
        raise


def _number_of(name: str) -> int:
    """A name as a signed number of 64 bits."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def _close_quietly(connection: sa.Connection) -> None:
    """Close a connection that has only held locks: if it was lost, so are they, and what was written stays written."""
    with suppress(exc.DBAPIError):
        connection.close()


def _sqlite(url: sa.URL) -> sa.Engine:
    if url.database in (None, "", ":memory:") or "mode" in url.query:
        raise ConfigurationError("storage.database_url: an SQLite database must be a file, sqlite:////path/records.db.")
    path = Path(str(url.database))
    private_folder(path.parent)
    _create_private(path)
    engine = sa.create_engine(
        url,
        pool_size=8,
        max_overflow=32,
        pool_timeout=LOCK_WAIT_S,
        hide_parameters=True,  # errors would have the values of rows, and logs have errors
        connect_args={"timeout": LOCK_WAIT_S},
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        # The driver must not open transactions by itself: it would begin them too late, and as readers.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",  # in WAL mode NORMAL may lose acknowledged commits in a power cut
            "foreign_keys = ON",
            "secure_delete = ON",  # erased biometric data is overwritten, not merely unlinked
            "temp_store = MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes the write lock at BEGIN: upgrading a read lock later fails at once instead of waiting.
        write = connection.get_execution_options().get("facegraph_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _size(file: str) -> int:
    with suppress(FileNotFoundError):
        return Path(file).stat().st_size
    return 0


def _create_private(path: Path) -> None:
    """Create the database file with mode 0600 if there is none; its -wal and -shm files inherit the mode.

    An existing file is not opened here, not even to test it. By POSIX rules, closing it would drop the locks that
    other connections of this process hold on it. The next process that opens and closes the database would then take
    itself for the last user and delete the write-ahead log, and with it everything that those connections commit from
    then on.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.is_file() and os.access(path, os.R_OK | os.W_OK):
            return
        reason = "Permission denied" if path.is_file() else "It is not a file"
        raise ConfigurationError(f"The database file {path} cannot be opened: {reason}.") from None
    except OSError as error:
        raise ConfigurationError(f"The database file {path} cannot be opened: {error.strerror}.") from None


def _postgresql(url: sa.URL) -> sa.Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    options = f"{url.query.get('options', '')} -c lock_timeout={LOCK_WAIT_S}s".strip()
    try:
        return sa.create_engine(
            url,
            pool_size=8,
            max_overflow=24,
            pool_timeout=LOCK_WAIT_S,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": 5, "options": options, "keepalives_idle": 30, "tcp_user_timeout": 20_000},
        )
    except (exc.ArgumentError, ImportError) as error:
        raise ConfigurationError(f"storage.database_url: {error}") from None
