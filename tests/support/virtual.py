"""An event loop whose time passes only when nothing else is to do: hours in milliseconds.

It has no selector, no threads and no signals, and handles of its own: most of the time of a
simulation goes into the turns of its loop.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Handle:
    """A call to come: as asyncio's own handles as far as asyncio and its users ask."""

    __slots__ = ("args", "call", "context", "dead", "due")

    def __init__(
        self, call: Any, args: Any, context: contextvars.Context | None, due: float
    ) -> None:
        self.call = call
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.dead = False
        self.due = due

    def cancel(self) -> None:
        self.dead = True
        self.call = self.args = None

    def cancelled(self) -> bool:
        return self.dead

    def when(self) -> float:
        return self.due


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop itself; ``time()`` starts at 1000."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self._soon: deque[_Handle] = deque()
        self._timers: list[tuple[float, int, _Handle]] = []
        self._numbers = itertools.count()
        self._halted = False

    def time(self) -> float:
        return self.now

    def call_soon(  # type: ignore[override]  # a handle of our own
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> _Handle:
        handle = _Handle(callback, args, context, 0.0)
        self._soon.append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there are no threads

    def call_later(  # type: ignore[override]  # a handle of our own
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> _Handle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # a handle of our own
        self,
        when: float,
        callback: Callable[..., Any],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> _Handle:
        handle = _Handle(callback, args, context, when)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def create_task(self, coro: Any, **options: Any) -> Any:
        return asyncio.Task(coro, loop=self, **options)

    def stop(self) -> None:
        self._halted = True
        super().stop()

    def _asyncgen_firstiter_hook(self, _generator: Any) -> None:
        """Nothing is kept of them: those that are left end when they are collected."""

    def _process_events(self, _events: Any) -> None:
        """There are none."""

    def _run_once(self) -> None:
        """Turns of the loop until it is stopped."""
        self._halted = False
        soon, timers = self._soon, self._timers
        while True:
            if not soon:
                self._move_on()
            while timers and timers[0][0] <= self.now:
                handle = heapq.heappop(timers)[2]
                if not handle.dead:
                    soon.append(handle)
            for _ in range(len(soon)):
                handle = soon.popleft()
                if not handle.dead:
                    self._run(handle)
            if self._halted:
                return

    def _move_on(self) -> None:
        """Nothing is to do now: let time pass."""
        timers = self._timers
        while timers and timers[0][2].dead:
            heapq.heappop(timers)
        if not timers:
            raise RuntimeError("every task waits for something that will never happen")
        self.now = max(self.now, timers[0][0])

    def _run(self, handle: _Handle) -> None:
        try:
            handle.context.run(handle.call, *handle.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001  as every event loop: it is told, and on
            context = {"message": f"Exception in {handle.call!r}", "exception": error}
            self.call_exception_handler(context)


def run(main: Coroutine[Any, Any, T]) -> T:
    """``asyncio.run`` on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualClock:
    """The running virtual loop as a ``sync.ports.Clock``."""

    def time(self) -> float:
        return 1_700_000_000.0 + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
