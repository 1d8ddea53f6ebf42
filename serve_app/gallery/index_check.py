"""Comparison of the vector index with the records. The index is derived data, and its rows are not believed.

A writer to the index could make one person another. So the vectors of a random sample of rows are compared at
each start, and the rows of each answer when it is made: an answer has the cosines of the records' templates. A row that
differs is counted and written again from the records. If one was found by an answer, all rows are compared.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import Vectors
from serve_app.errors import StoreUnavailable
from serve_app.gallery.checks import is_id
from serve_app.gallery.index.base import Hit, RowKey, VectorIndex
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import faces, journal
from serve_app.gallery.sql.records.faces import TEMPLATE_TYPE, Owner
from serve_app.observability import store_metrics

log = logging.getLogger(__name__)

SAMPLE, MOST = 1000, 20_000
"""Rows of a collection, and of all collections together, that a sample has at most."""

TOLERANCE = 5e-3
"""Accepted difference of two cosines, or of two vectors. Norms may differ from 1 by 1e-3, and a server normalises."""

STEP_ROWS, STEP_S = 1000, 0.25
"""Rows that are compared at a time, and seconds of one step, while all rows are compared."""

PAUSE_S = 5.0
"""Least seconds between two samples that answers cause."""

DIFFERED = (
    "{rows} rows of the vector index did not have the templates of the records since this process started, and were "
    "written again. The software does not cause this: look for who else can write to the index."
)


class IndexCheck:
    """Compares the index of one gallery with its records. Thread-safe.

    Attributes:
        differed: number of rows that differed from the records since this object was made.
    """

    def __init__(self, database: Database, index: VectorIndex) -> None:
        self.differed = 0
        self._database = database
        self._index = index
        self._lock = threading.Lock()
        self._due: dict[str, RowKey | None] = {}  # model whose rows are all compared -> the last one that was
        self._not_before = 0.0

    def check(self, model: str, keys: Sequence[RowKey]) -> int:
        """Compare these rows, and write those that differ from the records again; their number."""
        with self._database.read() as connection:
            wrong = self._wrong(connection, model, keys)
        return self._mend(model, wrong) if wrong else 0

    def _mend(self, model: str, keys: Iterable[RowKey], unseen: bool = False) -> int:
        """Write those of the rows that differ again, or with ``unseen`` all of them; their number."""
        with self._database.write() as connection:
            self._index.attend(connection)
            faces.lock(connection, {key.face_id for key in keys})
            busy = journal.faces_with_entries(connection, {key.face_id for key in keys})
            idle = [key for key in keys if key.face_id not in busy]
            wrong = set(idle) if unseen else self._wrong(connection, model, idle)
            rows = faces.index_rows(connection, model, wrong, self._index.dimension(model))
            self._index.delete(model, sorted(wrong.difference(row.key for row in rows)))
            self._index.upsert(model, rows)
        if rows:
            with suppress(StoreUnavailable):  # the rows are written; searches see them a little later
                self._index.settle(model, rows[-1].key)
        if wrong:
            with self._lock:
                self.differed += len(wrong)
            store_metrics.index_differed(len(wrong))
            log.error("%d rows of %s in the vector index differed from the records and were mended", len(wrong), model)
        return len(wrong)

    def _wrong(self, connection: sa.Connection, model: str, keys: Sequence[RowKey]) -> set[RowKey]:
        """Those of the rows that exist and have another vector than the records, or one of which these have none."""
        rows = faces.index_rows(connection, model, keys, self._index.dimension(model))
        right = {row.key: row.vector for row in rows}
        stored = self._index.vectors(model, keys)
        return {key for key, vector in stored.items() if not _same(vector, right.get(key))}

    def sample(self, model: str) -> int:
        """Check random rows of each collection; the number that differed."""
        with self._database.read() as connection:
            keys = faces.sample(connection, model, SAMPLE, MOST)
        return sum(self.check(model, keys[start : start + STEP_ROWS]) for start in range(0, len(keys), STEP_ROWS))

    def start(self) -> int:
        """Check a sample of each model's rows; the number of rows that differed. Called at a start."""
        return sum(self.sample(model) for model in self._index.models())

    def trusted(
        self, model: str, probes: Vectors, found: Sequence[Sequence[Hit]], searched: Container[str]
    ) -> tuple[list[list[Hit]], dict[RowKey, str | None], bool]:
        """What to believe of the rows that a search found for each probe.

        Returns the hits that the records know, with the cosines of their templates; the internal ids of their persons;
        and whether rows that differed were mended, so that the search is to be repeated.
        """
        every = {hit.key for hits in found for hit in hits}
        keys = {key for key in every if key.collection_id in searched and is_id(key.face_id)}
        known: dict[RowKey, Owner] = {}
        if keys:
            with self._database.read() as connection:
                known = faces.owners(connection, model, keys)
        wrong = every - keys
        trusted = []
        for probe, hits in zip(probes, found, strict=True):
            believed = _with_cosines_of_records(probe, hits, known)
            right = {hit.key: hit.cosine for hit in believed}
            # "not ... <=" is also true for a cosine that is not a number.
            wrong.update(hit.key for hit in hits if not abs(right.get(hit.key, hit.cosine) - hit.cosine) <= TOLERANCE)
            trusted.append(believed)
        persons = {key: owner.person_id for key, owner in known.items()}
        return trusted, persons, bool(wrong) and self._distrust(model, wrong)

    def _distrust(self, model: str, keys: Iterable[RowKey]) -> bool:
        """Mend these rows and what a sample finds, and let :meth:`step` compare all rows; whether it was done now.

        Nothing is done for a while after the last time, so that a writer to the index cannot make every search slow.
        """
        with self._lock:
            self._due[model] = None
            if time.monotonic() < self._not_before:
                return False
            self._not_before = time.monotonic() + PAUSE_S
        try:
            self._mend(model, [key for key in keys if is_id(key.collection_id) and is_id(key.face_id)], unseen=True)
            self.sample(model)
        except StoreUnavailable as error:
            log.warning("the vector index will be compared with the records later: %s", error)
            return False
        return True

    def step(self) -> None:
        """Continue to compare all rows of the models that were distrusted. Part of maintenance.

        Raises StoreUnavailable.
        """
        until = time.monotonic() + STEP_S
        for model, after in list(self._due.items()):
            while time.monotonic() < until:
                with self._database.read() as connection:
                    keys = faces.memberships_after(connection, model, after, STEP_ROWS)
                self.check(model, keys)
                with self._lock:
                    if self._due[model] != after:
                        break  # distrusted again meanwhile: begin anew
                    if not keys:
                        del self._due[model]
                        log.warning("all rows of %s in the vector index were compared with the records", model)
                        break
                    self._due[model] = after = keys[-1]


def _with_cosines_of_records(
    probe: NDArray[np.float32], hits: Sequence[Hit], known: Mapping[RowKey, Owner]
) -> list[Hit]:
    """Those of the hits that the records know. A template of another size than the probe's is left out."""
    size = probe.size * TEMPLATE_TYPE.itemsize
    present = [hit.key for hit in hits if hit.key in known and len(known[hit.key].template) == size]
    if not present:
        return []
    stored = np.frombuffer(b"".join(known[key].template for key in present), TEMPLATE_TYPE).reshape(len(present), -1)
    # In float64, so that equal templates have equal cosines wherever they stand in the matrix.
    return list(map(Hit, present, (stored.astype(np.float64) @ probe).tolist()))


def _same(vector: NDArray[np.float32], right: NDArray[np.float32] | None) -> bool:
    """Whether a row has the vector that the records say."""
    with np.errstate(all="ignore"):
        return right is not None and vector.shape == right.shape and bool(np.linalg.norm(vector - right) <= TOLERANCE)
