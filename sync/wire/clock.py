"""A clock that can be set right by what a server says, for signing on machines that are off."""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

# A Date header has whole seconds and has travelled; less than this says nothing.
_TOLERANCE: Final = 2.0


class ClockOffset:
    """The time for signatures.

    Until it has learned, it is this machine's clock. Afterwards it counts from the server's
    time with the monotonic clock, so that setting the machine's clock later does no harm.
    """

    __slots__ = ("_base", "_monotonic", "_time")

    def __init__(
        self,
        *,
        time: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._time = time
        self._monotonic = monotonic
        self._base: float | None = None

    def now(self) -> float:
        """POSIX timestamp as the server would give it."""
        return self._time() if self._base is None else self._base + self._monotonic()

    @property
    def offset(self) -> float:
        """Seconds by which the machine's clock is behind; 0.0 before anything was learned."""
        return 0.0 if self._base is None else self.now() - self._time()

    def learn(self, date: str) -> bool:
        """Take a reply's Date header; True where the clock was moved by it.

        Meant for replies that complain of the clock (RequestTimeTooSkewed). A date that
        cannot be read changes nothing.
        """
        try:
            server = parsedate_to_datetime(date).timestamp()
        except (TypeError, ValueError, OverflowError):
            return False
        if abs(server - self.now()) < _TOLERANCE:
            return False
        self._base = server - self._monotonic()
        return True
