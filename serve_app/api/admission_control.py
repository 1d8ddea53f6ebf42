"""Admission control: how many requests may be in work, in normal operation and in an overload.

A fixed number of clients that each wait for their answer makes a queue that never grows beyond their number, and all of
them are served. Requests that arrive faster than they can be served fill any queue, and from then on every admitted
request waits for the whole length of the queue. So once the queue has been full (an overload), it is kept short until
most of the arriving requests can be admitted anyway: the throughput stays the same, and the admitted requests are
answered soon. Whether the overload is over can only be found out by admitting everything again; if that fills the queue
again, it is tried less often.
"""

from __future__ import annotations

import time
from collections.abc import Callable

ALWAYS_ADMITTED = frozenset({"/healthz", "/readyz"})
"""Paths that are exempt: the health checks, because an overloaded service is not a dead one."""

WINDOW_S = 2.0
"""Length of the windows in which refusals are counted during an overload: twice the time that refused clients are asked
to wait."""

FEW_REFUSED = 0.2
"""Share of refused requests up to which a window counts as calm. Arrivals are uneven: at nine tenths of the capacity a
short queue refuses some 15 %. At twice the capacity it refuses half."""

RELAPSE_S = 30.0
"""An overload that begins within this time after another one continues it: its end needs twice as many calm windows in
a row."""

MOST_WINDOWS = 32
"""Upper bound of the calm windows in a row that end an overload: a minute."""


class Admission:
    """Counts requests in work, those of one key or all of one replica, and decides which are admitted.

    In an overload fewer than ``few`` may be in work, otherwise fewer than ``most``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.working = 0
        self.overloaded = False
        self._since = float("-inf")  # when the window began, or when the last overload ended
        self._arrived = self._refused = 0
        self._calm = 0
        self._needed = 1

    def turns_away(self, most: int, few: int) -> bool:
        """Whether a request that has arrived finds no room; then it counts as refused."""
        if self.overloaded:
            self._close_window()
        if self._has_room(most, few):
            return False
        self._arrived += 1
        self._refuse()
        return True

    def start(self, most: int, few: int, again: bool = False) -> bool:
        """Whether work on a request may start. Started work must :meth:`end`; it may start ``again`` after that."""
        if self.overloaded:
            self._close_window()
        if not again:
            self._arrived += 1
        if not self._has_room(most, few):
            self._refuse()
            return False
        self.working += 1
        return True

    def end(self) -> None:
        """Work on a request has ended."""
        self.working -= 1

    def _has_room(self, most: int, few: int) -> bool:
        return self.working < (few if self.overloaded else most)

    def _refuse(self) -> None:
        if not self.overloaded:
            again = self._clock() - self._since < RELAPSE_S
            self._needed = min(2 * self._needed, MOST_WINDOWS) if again else 1
            self.overloaded, self._calm = True, 0
            self._since, self._arrived, self._refused = self._clock(), 1, 0
        self._refused += 1

    def _close_window(self) -> None:
        if self._clock() - self._since >= WINDOW_S:
            self._calm = self._calm + 1 if self._refused <= FEW_REFUSED * self._arrived else 0
            self.overloaded = self._calm < self._needed
            self._since, self._arrived, self._refused = self._clock(), 0, 0
