"""Stops the taking of messages when every job fails for the same credential or permission reason.

CLOSED -> (such errors of one kind for ``failures`` different objects, no success between;
one forbidden object that comes back again and again is no reason) -> OPEN for
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
        self._objects: set[str] = set()
        self._kind = ""
        self._pause = pause
        self._until = 0.0
        self.state = State.CLOSED
        self.reason = ""

    def succeeded(self) -> None:
        """A job got through."""
        if self.state is State.CLOSED and not self._kind:
            return  # nothing has failed since the last time
        if self.state is not State.CLOSED:
            self._observer.event("breaker-closed", {"after": self.reason})
        self._objects, self._kind = set(), ""
        self._pause = self._first_pause
        self.state, self.reason = State.CLOSED, ""

    def failed(self, error: SyncError, subject: str) -> None:
        """The job of an object failed; only errors of the breaker's kind count."""
        if not error.breaker:
            return
        kind = type(error).__name__
        if kind != self._kind:
            self._objects, self._kind = set(), kind
        self._objects.add(subject)
        if self.state is State.HALF_OPEN or (
            self.state is State.CLOSED and len(self._objects) >= self._limit
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
