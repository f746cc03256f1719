"""One key at a time within a worker, and one copy for all events that wait for it.

Events that arrive for a key while it is being copied wait together: a single run that begins
after all of them arrived copies the version that satisfies them all. Between two writes of
one key at least ``interval`` seconds pass (GCS takes about one write a second per object).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sync.errors import Draining
from sync.ports import Clock

T = TypeVar("T")
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Turn(Generic[T]):
    """A key under way. ``done`` fires when the run ends; ``waiting`` is the run after it."""

    done: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Future[T] | None = None


class KeyTurns(Generic[T]):
    """Serialises runs by key and shares them between those who wait."""

    def __init__(self, *, interval: float, clock: Clock) -> None:
        self._interval = interval
        self._clock = clock
        self._turns: dict[str, _Turn[T]] = {}
        self._last: OrderedDict[str, float] = OrderedDict()

    def busy(self, key: str) -> bool:
        """True while a run for the key is under way."""
        return key in self._turns

    async def take(self, key: str, run: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """The result of a run for ``key`` that began after this call, and whether it was
        somebody else's.
        """
        turn = self._turns.get(key)
        if turn is None:
            return await self._lead(key, run), False
        if turn.waiting is not None:
            return await asyncio.shield(turn.waiting), True
        turn.waiting = asyncio.get_running_loop().create_future()
        return await self._follow(key, turn, turn.waiting, run), False

    async def _lead(self, key: str, run: Callable[[], Awaitable[T]]) -> T:
        turn: _Turn[T] = _Turn()
        self._turns[key] = turn
        try:
            await self._pace(key)
            return await run()
        finally:
            self._note(key)
            if turn.waiting is None:  # else the place is kept for the one who leads next
                self._leave(key, turn)
            turn.done.set()

    async def _follow(
        self, key: str, turn: _Turn[T], shared: asyncio.Future[T], run: Callable[[], Awaitable[T]]
    ) -> T:
        """Wait for the run under way, then run once for all who wait in ``shared``."""
        try:
            await turn.done.wait()
            result = await self._lead(key, run)
        except BaseException as error:
            turn.waiting = None
            if turn.done.is_set():
                self._leave(key, turn)
            self._fail(shared, error)
            raise
        shared.set_result(result)
        return result

    def _leave(self, key: str, turn: _Turn[T]) -> None:
        if self._turns.get(key) is turn:
            del self._turns[key]

    @staticmethod
    def _fail(shared: asyncio.Future[T], error: BaseException) -> None:
        cut = isinstance(error, asyncio.CancelledError)
        shared.set_exception(Draining("the run for this key was cut short") if cut else error)
        shared.exception()  # seen: nobody may be waiting

    async def _pace(self, key: str) -> None:
        last = self._last.get(key)
        if last is None or not self._interval:
            return
        left = last + self._interval - self._clock.monotonic()
        if left > 0:
            await self._clock.sleep(left)

    def _note(self, key: str) -> None:
        if not self._interval:
            return
        now = self._clock.monotonic()
        self._last[key] = now
        self._last.move_to_end(key)
        while self._last and (
            len(self._last) > _REMEMBERED or now - next(iter(self._last.values())) > self._interval
        ):
            self._last.popitem(last=False)
