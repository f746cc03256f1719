"""One timer for all connections of a client, instead of one for every wait."""

from __future__ import annotations

import asyncio
from typing import Final

from sync.wire.connection import Connection
from sync.wire.request import Timeouts

_SLOWEST: Final = 1.0
_FASTEST: Final = 0.005
_SHARE: Final = 8


class Watchdog:
    """Looks at every connection about once a second; an overdue one is ended.

    A time limit is therefore kept to within an eighth of the shortest limit in use, and to
    within a second at most.
    """

    __slots__ = ("_connections", "_handle", "_loop", "_period", "_seen")

    def __init__(self, loop: asyncio.AbstractEventLoop, connections: set[Connection]) -> None:
        self._loop = loop
        self._connections = connections
        self._handle: asyncio.TimerHandle | None = None
        self._period = _SLOWEST
        self._seen: Timeouts | None = None

    def heed(self, limits: Timeouts) -> None:
        """Look often enough for these limits."""
        if limits is not self._seen:
            self._seen = limits
            self._quicken(min(limits.first_byte, limits.idle, limits.whole) / _SHARE)

    def watch(self, connection: Connection) -> None:
        """Look at this one too, for as long as it is in the set."""
        self._connections.add(connection)
        self._go_on()

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _quicken(self, period: float) -> None:
        if period < self._period:
            self._period = max(period, _FASTEST)
            self.stop()
            self._go_on()

    def _go_on(self) -> None:
        if self._handle is None and self._connections:
            self._handle = self._loop.call_later(self._period, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in tuple(self._connections):
            if connection.deadline <= now:
                connection.overdue()
            else:
                connection.nudge()
        self._handle = None
        self._go_on()
