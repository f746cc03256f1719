"""Stops the taking of messages when every job fails for the same credential or permission reason.

CLOSED -> (``failures`` such errors in a row, of one kind, no success between) -> OPEN for
``pause`` seconds, doubled each time up to ten minutes -> HALF_OPEN: one job is tried -> CLOSED
if it gets past the reason, else OPEN again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sync.errors import SyncError
from sync.ports import Clock, TransferObserver

_LONGEST: Final = 600.0


class State(StrEnum):
    """Of the breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """Counts failures that would hit every job alike."""

    def __init__(
        self, *, failures: int, pause: float, clock: Clock, observer: TransferObserver
    ) -> None:
        self._limit = failures
        self._first_pause = pause
        self._clock = clock
        self._observer = observer
        self._count = 0
        self._kind = ""
        self._pause = pause
        self._until = 0.0
        self.state = State.CLOSED
        self.reason = ""

    def succeeded(self) -> None:
        """A job got through."""
        if self.state is not State.CLOSED:
            self._observer.event("breaker-closed", {"after": self.reason})
        self._count, self._kind = 0, ""
        self._pause = self._first_pause
        self.state, self.reason = State.CLOSED, ""

    def failed(self, error: SyncError) -> None:
        """A job failed; errors that are not of the breaker's kind do not count."""
        if not error.breaker:
            return
        kind = type(error).__name__
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind
        if self.state is State.HALF_OPEN or (
            self.state is State.CLOSED and self._count >= self._limit
        ):
            self._open(error)

    def _open(self, error: SyncError) -> None:
        if self.state is State.HALF_OPEN:
            self._pause = min(self._pause * 2, _LONGEST)
        self.state, self.reason = State.OPEN, str(error)
        self._until = self._clock.monotonic() + self._pause
        self._observer.event("breaker-open", {"reason": self.reason, "pause": self._pause})

    async def allowed(self) -> int | None:
        """How many messages may be taken: None for any number, 1 while half-open.

        Waits while the breaker is open.
        """
        if self.state is State.OPEN:
            await self._clock.sleep(max(0.0, self._until - self._clock.monotonic()))
            if self.state is State.OPEN:
                self.state = State.HALF_OPEN
        return 1 if self.state is State.HALF_OPEN else None
