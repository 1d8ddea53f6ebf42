"""Places of requests, counted in this replica: in work, and in rooms for those that wait for their client.

A request is in work from the moment that its key is proven and its body is here, until its answer begins. While its
client sends the body or takes the answer, it has a place in a room for that instead. A room has as many places as the
work. Each key has a share of each. Requests without a proven key are never in work, have few places in the rooms, and
are the first that are ended when a room is full. The bytes of all bodies are bounded together.

The server of a request opens a :class:`Visit`, and :func:`serve_app.api.auth.authenticate` proves the key inside it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import NoReturn

from serve_app.api.admission_control import Admission
from serve_app.api.request_limits import Bounds
from serve_app.errors import Overloaded

STRANGERS = ""
"""Owner of all requests without a proven key."""

PART_OF_STRANGERS = 4
"""Strangers have at most a quarter of the places of a room, and of the bytes of bodies."""

MAX_KEYS = 10_000
"""Keys that are counted; when there are more, those without requests in work are forgotten."""


class Visit:
    """The scope of one request, which also covers threads that it starts, and what the request holds.

    Its methods are called from the event loop, :meth:`prove` from any thread.

    Args:
        sent_key: the header with its key; empty if there is none.
        timer: ends the request.
    """

    __slots__ = (
        "_places",
        "_token",
        "bounds",
        "ended",
        "held",
        "in_work",
        "left",
        "owner",
        "room",
        "sent_key",
        "timer",
    )

    def __init__(self, places: Places, bounds: Bounds, sent_key: bytes, timer: asyncio.Timeout) -> None:
        self._places = places
        self.bounds, self.sent_key, self.timer = bounds, sent_key, timer
        self.owner = STRANGERS
        self.in_work = False
        self.room: Room | None = None
        self.held = 0  # bytes of the body
        self.ended = False  # others needed its place
        self.left = False  # a thread that the request started may go on

    def __enter__(self) -> Visit:
        self._token: Token[Visit | None] = _current.set(self)
        return self

    def __exit__(self, *raised: object) -> None:
        _current.reset(self._token)
        with self._places.lock:
            self.left = True
            self._places.stop(self)
            self._places.release(self)

    def arrive(self) -> None:
        """Refuse the request at once if it would find no place later. Raises Overloaded."""
        with self._places.lock:
            self._places.turn_away(self)

    def prove(self, key_id: str) -> None:
        """The key is proven: the request is in work, unless its body is on the way. Raises Overloaded."""
        places = self._places
        with places.lock:
            if self.owner or self.left:
                return
            room, held = self.room, self.held
            places.release(self)
            self.owner = key_id
            places.hold(self, held)
            if room is None:
                places.start(self)
            else:
                room.add(self)

    def upload(self, declared: int) -> None:
        """The body is on the way, and has this number of bytes; 0 if it is not known. Raises Overloaded."""
        places = self._places
        with places.lock:
            if self.room is not None:  # answered already
                return
            places.stop(self)
            places.enter(places.uploads, self)
            places.hold(self, declared)

    def received(self, number: int, last: bool) -> None:
        """This number of bytes came that was not declared. Raises Overloaded."""
        places = self._places
        with places.lock:
            if self.ended:
                raise ended()
            places.hold(self, number)
            if last and self.room is places.uploads:
                places.uploads.remove(self)
                if self.owner:
                    places.start(self, again=True)

    def answer(self, takes_time: bool) -> None:
        """The answer begins, so that work has ended; sending it can take time."""
        places = self._places
        with places.lock:
            if self.left or self.ended:
                return
            places.stop(self)
            if self.room is not None:
                self.room.remove(self)
            if takes_time:
                places.enter(places.answers, self)


_current: ContextVar[Visit | None] = ContextVar("visit", default=None)


def prove(key_id: str) -> None:
    """The current request has proven this key. Raises Overloaded if no work on it may start."""
    visit = _current.get()
    if visit is not None:
        visit.prove(key_id)


class Room:
    """Requests that wait for their clients: by owner, oldest first."""

    def __init__(self) -> None:
        self._by_owner: dict[str, dict[Visit, None]] = {}
        self.number = 0

    def number_of(self, owner: str) -> int:
        """Number of the owner's requests."""
        return len(self._by_owner.get(owner, ()))

    def oldest(self, owner: str) -> Visit | None:
        """The owner's request that came first."""
        return next(iter(self._by_owner.get(owner, ())), None)

    def oldest_of_most(self) -> Visit | None:
        """The one that came first of the owner with the most requests."""
        return self.oldest(max(self._by_owner, key=self.number_of, default=STRANGERS))

    def add(self, visit: Visit) -> None:
        """A request comes in."""
        self._by_owner.setdefault(visit.owner, {})[visit] = None
        self.number += 1
        visit.room = self

    def remove(self, visit: Visit) -> None:
        """A request goes out."""
        mine = self._by_owner[visit.owner]
        del mine[visit]
        if not mine:
            del self._by_owner[visit.owner]
        self.number -= 1
        visit.room = None


class Places:
    """The places of one replica. Its methods are called with the lock held."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.lock = threading.Lock()
        self.work = Admission(clock)
        self.work_of: dict[str, Admission] = {}  # by key
        self.uploads, self.answers = Room(), Room()
        self.held = 0  # bytes of bodies
        self.held_by: dict[str, int] = {}  # owner
        self._refused: dict[int, str] = {}  # hash of a sent key -> its id

    def turn_away(self, visit: Visit) -> None:
        """Refuse what would find no place in work. A key that was refused is known by the header that had it."""
        bounds = visit.bounds
        if self.work.turns_away(bounds.most, bounds.few):
            _refuse_all()
        if self._refused and (key_id := self._refused.get(hash(visit.sent_key))):
            own = self.work_of.get(key_id)
            if own is not None and own.turns_away(*self._room_of_key(bounds)):
                _refuse_key(own.working)
            if own is None or not own.overloaded:
                del self._refused[hash(visit.sent_key)]

    def start(self, visit: Visit, again: bool = False) -> None:
        """Work on a request with a proven key starts, or starts again."""
        bounds = visit.bounds
        own = self.work_of.get(visit.owner)
        if own is None:
            if len(self.work_of) >= MAX_KEYS:
                self.work_of = {key: own for key, own in self.work_of.items() if own.working}
            own = self.work_of[visit.owner] = Admission(self._clock)
        if not own.start(*self._room_of_key(bounds), again):
            if len(self._refused) >= MAX_KEYS:
                self._refused.clear()
            if visit.sent_key:
                self._refused[hash(visit.sent_key)] = visit.owner
            _refuse_key(own.working)
        if not self.work.start(bounds.most, bounds.few, again):
            own.end()
            _refuse_all()
        visit.in_work = True

    def stop(self, visit: Visit) -> None:
        """Work on a request stops, if it has started."""
        if visit.in_work:
            visit.in_work = False
            self.work_of[visit.owner].end()
            self.work.end()

    def enter(self, room: Room, visit: Visit) -> None:
        """A request gets a place in a room, if need be that of another one.

        Uploads of keys are not ended for others, since their clients would only repeat them.
        """
        bounds, owner = visit.bounds, visit.owner
        keep = room is self.uploads
        evicted = None
        if room.number_of(owner) >= (bounds.most_of_key if owner else max(1, bounds.most // PART_OF_STRANGERS)):
            if owner and keep:
                _refuse_key(bounds.most_of_key, "on the way")
            evicted = room.oldest(owner)
        elif room.number >= bounds.most:
            evicted = room.oldest(STRANGERS) or (None if keep else room.oldest_of_most())
            if evicted is None:
                _refuse_all()
        if evicted is not None:
            self._end(evicted)
        room.add(visit)

    def hold(self, visit: Visit, number: int) -> None:
        """A request holds further bytes of a body."""
        if not number:
            return
        bounds, owner = visit.bounds, visit.owner
        share = bounds.held_of_key if owner else bounds.held // PART_OF_STRANGERS
        if owner and self.held_by.get(owner, 0) + number > share:
            raise Overloaded(
                f"The bodies of this API key's requests may have {share} bytes together; try again in 1 s.",
                limit=share,
                retry_after_s=1,
            )
        while self.held + number > bounds.held or self.held_by.get(owner, 0) + number > share:
            oldest = self.uploads.oldest(STRANGERS)
            if oldest is None or oldest is visit:
                raise Overloaded("The bodies of all requests have too many bytes; try again in 1 s.", retry_after_s=1)
            self._end(oldest)
        visit.held += number
        self.held += number
        self.held_by[owner] = self.held_by.get(owner, 0) + number

    def release(self, visit: Visit) -> None:
        """A request gives its place in a room and its bytes back."""
        if visit.room is not None:
            visit.room.remove(visit)
        if visit.held:
            self.held -= visit.held
            left = self.held_by.pop(visit.owner) - visit.held
            if left:
                self.held_by[visit.owner] = left
            visit.held = 0

    def _room_of_key(self, bounds: Bounds) -> tuple[int, int]:
        """The requests of one key that may be in work, and those in an overload by it."""
        share = bounds.key_share_of_few
        return (share, share) if self.work.overloaded else (bounds.most_of_key, bounds.few_of_key)

    def _end(self, visit: Visit) -> None:
        self.release(visit)
        visit.ended = True
        if not visit.timer.expired():
            visit.timer.reschedule(0)


def ended() -> Overloaded:
    """The error of a request whose place was given to another one."""
    return Overloaded("The request waited for its client, and others needed its place; try again.", retry_after_s=1)


def _refuse_all() -> NoReturn:
    raise Overloaded("More requests arrive than can be served; try again in 1 s.", retry_after_s=1)


def _refuse_key(number: int, where: str = "in work") -> NoReturn:
    raise Overloaded(
        f"This API key has {number} requests {where}, which is its share; try again in 1 s.",
        limit=number,
        retry_after_s=1,
    )
