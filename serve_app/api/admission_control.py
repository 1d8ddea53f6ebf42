"""How many requests are let in: many as long as they keep their number, few once they do not.

A bounded number of clients that each wait for their answer make a queue that never grows beyond their number, and all
of them are served. Requests that come faster than they can be served fill any queue, and from then on everyone whom it
still takes waits for its whole length. So after a queue has been full it is kept short, until most of those who come
can be let in all the same: as many are served in a second as before, and those soon. Whether the others would be served
too, or fill the queue again, is only seen by letting them in; when that was wrong, it is tried less often.
"""

from __future__ import annotations

import time
from collections.abc import Callable

WINDOW_S = 2.0
"""Of an overload, after which it is asked whether it is over: twice what refused clients are asked to wait."""

FEW_REFUSED = 0.2
"""Share of those who came, up to which it is over. A load of nine tenths of what can be served comes unevenly, so that
a short queue refuses some 15 %; a load of twice of it is refused by half."""

RELAPSE_S = 30.0
"""An overload that begins so soon after another one is the same: its end needs twice as many windows in a row."""

MOST_WINDOWS = 32
"""A minute, before it is tried again."""


class Admission:
    """Counts the requests of one replica, on one event loop.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._present = 0
        self._working = 0
        self._overloaded = False
        self._since = float("-inf")  # the window began, or the last overload ended
        self._came = self._refused = 0
        self._calm = 0
        self._needed = 1

    def enter(self, most: int, few: int) -> bool:
        """Whether one more may come in: fewer than ``most`` are there, and in an overload fewer than ``few`` worked on.

        A request that may is to :meth:`leave`.
        """
        self._look()
        self._came += 1
        if self._present >= most or not self._may_start(few):
            self._refuse()
            return False
        self._present += 1
        return True

    def start(self, few: int) -> bool:
        """Whether a request that came in may be worked on, now that its body is here. It is to :meth:`end` then."""
        if not self._may_start(few):
            self._refuse()
            return False
        self._working += 1
        return True

    def end(self) -> None:
        """A request that was worked on is through."""
        self._working -= 1

    def leave(self) -> None:
        """A request that came in is gone."""
        self._present -= 1

    def _may_start(self, few: int) -> bool:
        return not self._overloaded or self._working < few

    def _refuse(self) -> None:
        if not self._overloaded:
            again = self._clock() - self._since < RELAPSE_S
            self._needed = min(2 * self._needed, MOST_WINDOWS) if again else 1
            self._overloaded, self._calm = True, 0
            self._since, self._came, self._refused = self._clock(), 1, 0
        self._refused += 1

    def _look(self) -> None:
        if self._overloaded and self._clock() - self._since >= WINDOW_S:
            self._calm = self._calm + 1 if self._refused <= FEW_REFUSED * self._came else 0
            self._overloaded = self._calm < self._needed
            self._since, self._came, self._refused = self._clock(), 0, 0
