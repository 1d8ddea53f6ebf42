"""Erasures with a signed receipt. An erasure is made, then checked in all stores, then signed."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Deletion, ErasureReceipt
from serve_app.errors import StoreUnavailable
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.repair import Repairer
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import journal
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.statements import batches
from serve_app.gallery.sql.schema import face_collections, face_templates, person_collections, persons
from serve_app.gallery.sql.schema import faces as face_table
from serve_app.gallery.sql.signing import Signer
from serve_app.gallery.writes.writer import Plan, Planned, Writer

log = logging.getLogger(__name__)

STATEMENT = "facegraph erasure 1"
"""Format of a receipt's statement; the number changes when its fields change."""


class Eraser:
    """Erases persons, and issues receipts of that."""

    def __init__(
        self,
        database: Database,
        index: VectorIndex,
        blobs: BlobStore,
        writer: Writer,
        repairer: Repairer,
        signer: Signer,
    ) -> None:
        self._database = database
        self._index = index
        self._blobs = blobs
        self._writer = writer
        self._repairer = repairer
        self._signer = signer

    def run(self, tenant: str, plan: Plan[Deletion], person_ids: Sequence[str]) -> Deletion:
        """Execute a deletion. If it erases persons, check that nothing of them is left, and sign a receipt.

        ``person_ids`` are the persons' external ids, for the receipt. If StoreUnavailable is raised, nothing was
        written, with two exceptions. If something is left of the persons, the next repair erases it
        (``details["residue"]``). If a store went away after the deletion, the deletion was made but there is no receipt
        (``details["pending"]``).
        """
        changes = Changes(tenant)

        def recording(connection: sa.Connection) -> Planned[Deletion]:
            nonlocal changes
            changes, result = plan(connection)  # those of the last run are the ones that were made
            return changes, result

        outcome = self._writer.run(recording)
        if not changes.drop_persons:
            return outcome
        try:
            self.confirm(changes)
            return replace(outcome, receipt=self.sign(tenant, changes, person_ids, outcome))
        except StoreUnavailable as error:
            if error.details:
                raise
            raise StoreUnavailable(
                "The persons are deleted and no search finds them any more, but a store went away before that was "
                "checked, so there is no receipt.",
                pending="receipt",
            ) from error

    def confirm(self, changes: Changes) -> None:
        """Raise StoreUnavailable if a row, a vector or an image of what these changes erased is left.

        Index rows of a change that a crash cut short are unknown to the records: they are erased here, not found left.
        """
        models = {face.id: face.model for face in changes.drop_faces}
        left = self.residue(changes)
        if any(left.values()):
            entries = self._database.transact(lambda c: journal.add(c, changes.tenant, models))
            self._repairer.settle_journal(ids=entries)
            left = self.residue(changes)
        if any(left.values()):
            log.error("an erasure is incomplete; left: %s", left)
            self._database.transact(lambda c: journal.add(c, changes.tenant, models))
            raise StoreUnavailable(
                "The erasure is incomplete, so there is no receipt; it will be completed within minutes.", residue=left
            )

    def residue(self, changes: Changes) -> dict[str, int]:
        """Numbers of rows, vectors and images that are still stored of erased persons and faces."""
        face_ids = [face.id for face in changes.drop_faces]
        searched = (
            (persons.c.id, changes.drop_persons),
            (person_collections.c.person_id, changes.drop_persons),
            (face_table.c.person_id, changes.drop_persons),
            (face_table.c.id, face_ids),
            (face_collections.c.face_id, face_ids),
            (face_templates.c.face_id, face_ids),
        )
        with self._database.read() as connection:
            records = sum(_count(connection, column, ids) for column, ids in searched)
        models = self._index.models() if face_ids else []
        vectors = sum(len(self._index.rows_of(model, face_ids)) for model in models)
        images = sum(self._blobs.count_of_face(changes.tenant, face_id) for face_id in face_ids)
        return {"records": records, "vectors": vectors, "images": images}

    def sign(self, tenant: str, changes: Changes, person_ids: Sequence[str], outcome: Deletion) -> ErasureReceipt:
        """The signed receipt of an erasure that left nothing."""
        return self._signer.receipt(
            {
                "statement": STATEMENT,
                "id": uuid.uuid4().hex,
                "tenant": tenant,
                "persons": list(person_ids),
                "subjects": list(changes.drop_persons),
                "faces": outcome.faces,
                "time": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
                "left": {"records": 0, "vectors": 0, "images": 0},
                "entries": [entry.hash for entry in changes.recorded],
            }
        )


def _count(connection: sa.Connection, column: sa.Column[Any], ids: Sequence[str]) -> int:
    query = sa.select(sa.func.count()).select_from(column.table)
    return sum(connection.execute(query.where(column.in_(batch))).scalar_one() for batch in batches(ids))
