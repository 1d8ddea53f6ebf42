"""Change of the embedder without an interruption. Part of ``Gallery``.

    aim       a start finds that another model is configured than the active one, and makes it the target
    embed     a worker asks for stored crops and returns templates by the target; searches still use the active model,
              and new faces have templates by both models (writes/secondary_templates.py changes the index rows of both)
    switch    when no face lacks a template by the target, the target becomes the active model; templates by the former
              one are kept up for a while, because other processes may still search with it
    finish    the new template becomes each face's first one; templates and index rows by the former model are erased

Each step is a separate transaction and finds out by itself what is left to do, so a crash costs only time. Aiming at
the active model abandons a change. A face without a stored crop cannot be embedded: the switch waits until the face was
enrolled again or the operator gave it up (``leave_behind``). A face that was given up stays stored, with its template
and index rows by the former model, and is listed, but no search finds it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from serve_app.domain import CropsToEmbed, EmbeddersInUse, Face, Vectors
from serve_app.errors import ConfigurationError
from serve_app.gallery import checks
from serve_app.gallery.embedder_change.state import KEPT_UP, EmbedderState, state_of, switch_if_complete
from serve_app.gallery.repair import Repairer
from serve_app.gallery.sql.records import embedder_state, faces, secondary_templates
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.statements import lease
from serve_app.gallery.sql.schema import embedders
from serve_app.gallery.writes.plan_parts import face_not_found
from serve_app.gallery.writes.writer import Planned, Stores

log = logging.getLogger(__name__)

LEASE = dt.timedelta(seconds=30)
"""After this long without a request of the worker, another worker takes over."""

AT_ONCE = 500
"""Faces whose templates one transaction of the finish changes."""


class EmbedderChanges(EmbedderState, Stores):
    """Implements :class:`~serve_app.contracts.embedder_change.EmbedderChanges`, synchronously. Part of ``Gallery``."""

    _repairer: Repairer
    _must_clear_index = False

    def aim(self, model: str) -> EmbeddersInUse:
        """Set the embedder that the gallery must use. Called at a start with the configured model.

        Without faces the model is active at once. Otherwise it becomes the target of a change, and is active when it
        has embedded all faces. Naming the active model abandons a change. Raises ConfigurationError: the active model,
        which embedded the stored faces, is not in the catalogue.
        """
        checks.check_model(model)

        def work(connection: sa.Connection) -> None:
            present = embedder_state.by_use(connection)
            row = embedder_state.get(connection, lock=True)
            if row is None or not present:
                active = model if model in present or not present else present[0]
                embedder_state.put(connection, active)
                row = state_of(connection)
            if row.active == model:
                if row.target is not None:  # abandoned: templates by the target are erased at once, not kept up
                    long_ago = dt.datetime.now(dt.UTC) - KEPT_UP
                    embedder_state.update(connection, previous=row.previous or row.target, switched=long_ago)
                embedder_state.update(connection, target=None, passed=None, leave_behind=False)
            elif row.target != model:
                previous = None if row.previous == model else row.previous
                embedder_state.update(connection, target=model, passed=None, leave_behind=False, previous=previous)
                switch_if_complete(connection)

        self._database.transact(work)
        used = self.embedders()
        if used.active not in self._calibrations:
            raise ConfigurationError(
                f"The faces of this gallery were embedded by {used.active!r}, which is not in the catalogue: restore "
                "its entry, so that searches find them until another model has embedded them."
            )
        if used.further is not None:
            log.warning("the embedder changes from %s to %s", used.active, used.further)
        return used

    def template(self, tenant: str, face_id: str) -> tuple[Face, Vectors]:
        """The template is by the active embedder if there is one, otherwise the first template."""
        with self._database.read() as connection:
            row = faces.find(connection, tenant, face_id, template=True)
            if row is None:
                raise face_not_found(face_id)
            model, vector = embedder_state.current_template(connection, row)
        return replace(faces.to_face(row, row.external_id), model=model), vector.reshape(1, -1)

    # -- called by the worker

    def crops_to_embed(self, worker: str, after: str = "", limit: int = 32) -> CropsToEmbed | None:
        """None at the end of a pass over all faces, or while another worker has the lease.

        ``worker`` identifies the calling process: 32 hex digits.
        """
        now = dt.datetime.now(dt.UTC)
        with self._database.read() as connection:
            row = state_of(connection)
            goal = row.target or row.active
            waiting = embedder_state.to_embed(connection, goal, after, limit)
        if not waiting and row.target is None:
            return None
        if not self._database.transact(lambda c: lease(c, embedders, worker, now + LEASE, now)):
            return None
        if not waiting:
            self._database.transact(lambda c: _end_pass(c, goal, now))
            return None
        crops = {}
        for face in waiting:
            crop = self._blobs.read(face.tenant_id, face.id, "thumbnail")
            if crop is None:
                log.warning("the stored crop of the face %s is missing, so %s cannot embed the face", face.id, goal)
            else:
                crops[face.id] = crop
        return CropsToEmbed(goal, crops, waiting[-1].id)

    def add_templates(self, model: str, made: Mapping[str, Vectors]) -> int:
        """Faces that were erased, or have a template by this model already, are skipped."""
        for vector in made.values():
            checks.check_new_template(model, vector)
        with self._database.read() as connection:
            lacking = embedder_state.lacking(connection, model, list(made))
        by_tenant: dict[str, dict[str, NDArray[np.float32]]] = defaultdict(dict)
        for face_id, tenant in lacking.items():
            by_tenant[tenant][face_id] = made[face_id]
        return sum(
            self._writer.run(partial(_add_templates, tenant=tenant, model=model, made=some))
            for tenant, some in by_tenant.items()
        )

    # -- called by maintenance

    def finish_change(self, now: dt.datetime | None = None) -> bool:
        """Do one step of the finish of a change; whether there is more to do. Part of maintenance."""
        now = now or dt.datetime.now(dt.UTC)
        with self._database.read() as connection:
            row = embedder_state.get(connection)
            has_secondary = secondary_templates.exist(connection)
        if row is None or row.target is not None or (row.previous is not None and now < row.switched + KEPT_UP):
            return False
        if has_secondary:
            self._must_clear_index = True  # if a crash loses this, the next start compares index and records
            if not self._database.transact(lambda c: secondary_templates.promote(c, row.active, AT_ONCE)):
                self._database.transact(lambda c: secondary_templates.discard(c, row.active, AT_ONCE))
            return True
        if self._must_clear_index or row.previous is not None:
            self._clear_index(row.active)
            self._database.transact(lambda c: _forget_previous(c, row.previous))
            self._must_clear_index = False
        return False

    def _clear_index(self, active: str) -> None:
        """Reindex the models that are not active: only rows of faces that were given up stay."""
        for model in self._index.models():
            if model != active:
                self._repairer.reindex(model)


def _end_pass(connection: sa.Connection, goal: str, now: dt.datetime) -> None:
    if state_of(connection, lock=True).target == goal:
        embedder_state.update(connection, passed=now)
        switch_if_complete(connection)


def _forget_previous(connection: sa.Connection, previous: str) -> None:
    if state_of(connection, lock=True).previous == previous:
        embedder_state.update(connection, previous=None, switched=None)


def _add_templates(
    connection: sa.Connection, tenant: str, model: str, made: Mapping[str, NDArray[np.float32]]
) -> Planned[int]:
    lacking = embedder_state.lacking(connection, model, list(made))
    changes = Changes(tenant, templates={face_id: {model: made[face_id]} for face_id in lacking})
    return changes, lambda _: len(lacking)
