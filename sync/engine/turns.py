"""One key at a time within a worker, and one copy for all events that wait for it.

Events that arrive for a key while it is being copied wait together: a single run that begins
after all of them arrived copies the version that satisfies them all. Between two writes of
one key at least ``interval`` seconds pass (GCS takes about one write a second per object).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sync.errors import Draining
from sync.ports import Clock

T = TypeVar("T")
_REMEMBERED: Final = 10_000


@dataclass(slots=True)
class _Turn(Generic[T]):
    """A key under way. ``waiting`` is the run after it, and ``done`` fires when that may begin;
    both are None until somebody comes to wait.
    """

    done: asyncio.Event | None = None
    waiting: asyncio.Future[T] | None = None


class KeyTurns(Generic[T]):
    """Serialises runs by key and shares them between those who wait."""

    def __init__(self, *, interval: float, clock: Clock) -> None:
        self._interval = interval
        self._clock = clock
        self._turns: dict[Hashable, _Turn[T]] = {}
        # When runs ended: those since ``_since``, and those of the time before. What is older
        # than the interval is dropped by the set: cheaper than to look at each.
        self._recent: dict[Hashable, float] = {}
        self._earlier: dict[Hashable, float] = {}
        self._since = 0.0

    def busy(self, key: Hashable) -> bool:
        """True while a run for the key is under way."""
        return key in self._turns

    def take(self, key: Hashable, run: Callable[[], Awaitable[T]]) -> Awaitable[tuple[T, bool]]:
        """The result of a run for ``key`` that began after this call, and whether it was
        somebody else's. To be awaited at once.
        """
        turn = self._turns.get(key)
        if turn is None:
            return self._lead(key, run)
        if turn.waiting is not None:
            return self._share(turn.waiting)
        turn.waiting = asyncio.get_running_loop().create_future()
        turn.done = turn.done or asyncio.Event()
        return self._follow(key, turn, turn.done, turn.waiting, run)

    @staticmethod
    async def _share(waiting: asyncio.Future[T]) -> tuple[T, bool]:
        return await asyncio.shield(waiting), True

    async def _lead(self, key: Hashable, run: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        turn: _Turn[T] = _Turn()
        self._turns[key] = turn
        try:
            wait = self._left(key) if self._interval else 0.0
            if wait > 0.0:
                await self._clock.sleep(wait)
            return await run(), False
        finally:
            if self._interval:
                self._note(key)
            if turn.waiting is None:  # else the place is kept for the one who leads next
                self._leave(key, turn)
            if turn.done is not None:
                turn.done.set()

    async def _follow(
        self,
        key: Hashable,
        turn: _Turn[T],
        done: asyncio.Event,
        shared: asyncio.Future[T],
        run: Callable[[], Awaitable[T]],
    ) -> tuple[T, bool]:
        """Wait for the run under way, then run once for all who wait in ``shared``."""
        try:
            await done.wait()
            result, _shared = await self._lead(key, run)
        except BaseException as error:
            turn.waiting = None
            if done.is_set():
                self._leave(key, turn)
            self._fail(shared, error)
            raise
        shared.set_result(result)
        return result, False

    def _leave(self, key: Hashable, turn: _Turn[T]) -> None:
        if self._turns.get(key) is turn:
            del self._turns[key]

    @staticmethod
    def _fail(shared: asyncio.Future[T], error: BaseException) -> None:
        cut = isinstance(error, asyncio.CancelledError)
        shared.set_exception(Draining("the run for this key was cut short") if cut else error)
        shared.exception()  # seen: nobody may be waiting

    def _left(self, key: Hashable) -> float:
        """Seconds until the key may be written again."""
        last = self._recent.get(key) or self._earlier.get(key)
        return 0.0 if last is None else last + self._interval - self._clock.monotonic()

    def _note(self, key: Hashable) -> None:
        now = self._clock.monotonic()
        if now - self._since > self._interval or len(self._recent) >= _REMEMBERED:
            self._earlier, self._recent, self._since = self._recent, {}, now
        self._recent[key] = now
