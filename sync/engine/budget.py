"""The budget of transfers at a time: a semaphore whose size can move while it is in use."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from math import ceil
from types import TracebackType
from typing import Final

from sync.engine.pacing import Bounds, Pace, Window, decide, start
from sync.model import MIB

_BYTES_PER_UNIT: Final = MIB // 8
"""Moving so many bytes costs about as much as one more small object does."""
_SHORTEST: Final = 0.5
_SHORTEST_THROTTLED: Final = 1.0
"""Stores count requests by the second."""
_FEWEST: Final = 20
_FOR_PARTS: Final = 0.75
_LULL: Final = 0.5


class _Nothing:
    """To be awaited where there is nothing to wait for; a coroutine each time costs more."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return iter(())  # type: ignore[return-value]  # any iterator will do


_NOTHING: Final = _Nothing()


class Budget:
    """``async with budget``: take a place for a whole object; ``async with budget.parts``: for a
    part of a large one. Each may have all places while the other wants none. While both wait,
    parts get three quarters, so that neither stands behind a long row of the other.

    ``limit`` may be set at any time: a higher one lets waiters in at once, a lower one holds
    as places become free.
    """

    __slots__ = ("_limit", "_parts_used", "_parts_waiting", "_used", "_waiting", "parts")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("a budget has one place at least")
        self._limit = limit
        self._used = self._parts_used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._parts_waiting: deque[asyncio.Future[None]] = deque()
        self.parts = _Parts(self)

    @property
    def limit(self) -> int:
        """Places there are."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        while self._used < limit and self._hand_over():
            self._used += 1

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self._used

    # Whenever a place is free nobody waits: both `limit` and `_leave` see to it.

    def __aenter__(self) -> Awaitable[None]:
        if self._used < self._limit:
            self._used += 1
            return _NOTHING
        return self._queue(self._waiting)

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Awaitable[None]:
        self._leave()
        return _NOTHING

    def enter_part(self) -> Awaitable[None]:
        """See ``parts``."""
        if self._used >= self._limit:
            return self._queue(self._parts_waiting)
        self._parts_used += 1
        return self.__aenter__()

    def leave_part(self, kind: type[BaseException] | None) -> Awaitable[None]:
        """See ``parts``."""
        self._parts_used -= 1
        return self.__aexit__(kind, None, None)

    async def _queue(self, waiting: deque[asyncio.Future[None]]) -> None:
        place = asyncio.get_running_loop().create_future()
        waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                if place in waiting:
                    waiting.remove(place)
            else:  # it had been given the place already
                self._parts_used -= waiting is self._parts_waiting
                self._leave()
            raise

    def _leave(self) -> bool:
        """Give the place on, or back; True where somebody waited for it."""
        if self._used <= self._limit and self._hand_over():
            return True
        self._used -= 1
        return False

    def _hand_over(self) -> bool:
        """Wake the first that still waits."""
        while self._waiting or self._parts_waiting:
            part = self._parts_waiting and (
                not self._waiting or self._parts_used < self._limit * _FOR_PARTS
            )
            place = (self._parts_waiting if part else self._waiting).popleft()
            if not place.done():
                self._parts_used += bool(part)
                place.set_result(None)
                return True
        return False

    def moved(self, size: int) -> None:
        """A transfer that is about to end has moved ``size`` bytes."""

    def throttled(self) -> None:
        """A store asked for less (429, 503)."""


class _Parts:
    """The budget as parts of large objects see it."""

    __slots__ = ("_budget",)

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __aenter__(self) -> Awaitable[None]:
        return self._budget.enter_part()

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Awaitable[None]:
        return self._budget.leave_part(kind)


class AutoBudget(Budget):
    """A budget that finds its own size.

    What has been finished (one unit for a transfer, and one for each 128 KiB it moved) is
    counted in windows of half a second and of whole turns of all places; at each window's
    end `sync.engine.pacing.decide` is asked. After a change one turn is left out. ``clock``
    gives seconds; ``changed`` is told each pace whose base is a new one.
    """

    __slots__ = (
        "_begun",
        "_bounds",
        "_bytes",
        "_changed",
        "_clock",
        "_done",
        "_left",
        "_most",
        "_pace",
        "_settled",
        "_settling",
        "_slack",
        "_slack_since",
        "_throttled",
    )

    def __init__(
        self,
        bounds: Bounds,
        *,
        clock: Callable[[], float],
        changed: Callable[[Pace], None] | None = None,
        first: Pace | None = None,
    ) -> None:
        self._pace = first or start(bounds)
        super().__init__(self._pace.limit)
        self._bounds = bounds
        self._clock = clock
        self._changed = changed
        self._settling = True
        self._settled = 0.0
        self._most = 0
        self._slack_since: float | None = clock()
        self._begin(clock())

    def __aenter__(self) -> Awaitable[None]:
        if self._used >= self._limit:
            return self._queue(self._waiting)
        self._used += 1
        if self._used == self._limit:
            self._filled()
        return _NOTHING

    def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Awaitable[None]:
        if not self._leave() and self._slack_since is None and self._used < self._limit:
            self._most = max(self._most, self._used + 1)
            self._slack_since = self._clock()
        if kind is None:
            self._done += 1
            self._answered()
        return _NOTHING

    def moved(self, size: int) -> None:
        """See `Budget.moved`."""
        self._bytes += size

    def throttled(self) -> None:
        """See `Budget.throttled`."""
        self._throttled += 1
        self._answered()

    def _answered(self) -> None:
        # The clock is read once a window or so, not for every transfer.
        self._left -= 1
        if self._left <= 0:
            self._look(self._clock())

    def _filled(self) -> None:
        """The last free place was taken. A lull before it is no part of any measurement."""
        if self._slack_since is None:
            return
        now = self._clock()
        lull, self._slack_since = now - self._slack_since, None
        self._slack += lull
        if lull > _LULL and not self._throttled:
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._begun = now
        self._done = self._bytes = self._throttled = 0
        self._most = self._used
        self._slack = 0.0
        # Whole turns: places that were taken together become free together.
        self._left = self._limit * ceil(_FEWEST / self._limit)
        if self._slack_since is not None:
            self._slack_since = now

    def _look(self, now: float) -> None:
        if self._settling:
            self._settling = now < self._settled
            self._begin(now)
            return
        elapsed = now - self._begun
        missing = (_SHORTEST_THROTTLED if self._throttled else _SHORTEST) - elapsed
        if missing > 0.0:
            turns = (self._done + self._throttled) / self._limit
            self._left = self._limit * ceil(turns * min(missing / max(elapsed, 1e-3), 1.0))
            return
        self._move(decide(self._pace, self._window(now, elapsed), self._bounds))
        self._begin(now)

    def _window(self, now: float, elapsed: float) -> Window:
        slack = self._slack + (now - self._slack_since if self._slack_since is not None else 0.0)
        return Window(
            now=now,
            rate=(self._done + self._bytes / _BYTES_PER_UNIT) / elapsed,
            done=self._done,
            throttled=self._throttled,
            full=1.0 - slack / elapsed,
            used=max(self._most, self._used),
        )

    def _move(self, pace: Pace) -> None:
        known, self._pace = self._pace.base, pace
        if pace.base != known and self._changed is not None:
            self._changed(pace)
        if pace.limit == self._limit:
            return
        self._settling = True
        # What a store had allowed for this second may be used up already.
        self._settled = self._clock() + (_SHORTEST_THROTTLED if self._throttled else 0.0)
        self.limit = pace.limit
        if self._used < self._limit:
            if self._slack_since is None:
                self._slack_since = self._clock()
        else:
            self._filled()
