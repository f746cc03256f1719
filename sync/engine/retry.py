"""Trying again: full-jitter backoff, one short loop, used by whoever sends bytes."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sync.errors import CredentialsRejected, SyncError, Throttled
from sync.ports import Clock, TransferObserver

T = TypeVar("T")

_BASE: Final = 0.2
_CAP: Final = 20.0
_LONGEST_RETRY_AFTER: Final = 60.0


def backoff(attempt: int, *, base: float = _BASE, cap: float = _CAP) -> float:
    """Full jitter: anything from 0 to ``base * 2**attempt`` seconds, at most ``cap``.

    Source: AWS Architecture Blog, "Exponential Backoff and Jitter".
    """
    return random.uniform(0.0, min(cap, base * 2.0 ** min(attempt, 32)))  # noqa: S311  # nosec B311


class Retry:
    """Repeats an attempt while its error allows it, at most ``retries`` times.

    ``throttled_pause`` is the least number of seconds to wait when a store asks for less and
    does not say for how long: what it allows one object, where that is known. ``throttled`` is
    called whenever a store asks for less.
    """

    def __init__(
        self,
        *,
        retries: int,
        clock: Clock,
        observer: TransferObserver,
        throttled_pause: float = 0.0,
        throttled: Callable[[], None] | None = None,
    ) -> None:
        self._retries = retries
        self._throttled_pause = throttled_pause
        self._throttled = throttled
        self._clock = clock
        self._observer = observer

    async def run(
        self,
        what: object,
        attempt: Callable[[SyncError | None], Awaitable[T]],
        *,
        doing: str = "",
    ) -> T:
        """Call ``attempt`` with the error of the try before (None at first).

        The text of ``doing`` and ``what`` names it to the observer, and is made only then.
        """
        last: SyncError | None = None
        try:
            for number in range(self._retries + 1):
                try:
                    return await attempt(last)
                except SyncError as error:
                    if self._throttled is not None and isinstance(error, Throttled):
                        self._throttled()
                    if not self._again(error, last, number):
                        raise
                    last = error
                await self._pause(f"{doing}{what}", last, number)
        finally:
            del last  # by its traceback it holds this frame: a cycle, which the worker lets lie
        raise AssertionError("unreachable")  # pragma: no cover

    def _again(self, error: SyncError, last: SyncError | None, number: int) -> bool:
        if not error.retry_here or number >= self._retries:
            return False
        # Fresh keys are tried once: keys that are refused twice stay refused.
        return not (isinstance(error, CredentialsRejected) and isinstance(last, type(error)))

    async def _pause(self, what: str, error: SyncError, number: int) -> None:
        delay = backoff(number)
        if isinstance(error, Throttled):
            delay += min(error.retry_after or self._throttled_pause, _LONGEST_RETRY_AFTER)
        self._observer.event(
            "retry", {"what": what, "error": str(error), "attempt": number + 1, "delay": delay}
        )
        await self._clock.sleep(delay)
