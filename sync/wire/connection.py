"""One HTTP/1.1 connection: the transport, and the waits of the one task that uses it.

Reading pauses while the inbox is full, so that memory stays bounded by its buffer; writing is
paused by the transport, and the sender waits.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

from sync.wire.buffers import BufferPool
from sync.wire.errors import Broken
from sync.wire.head import ReplyHead
from sync.wire.inbox import Inbox

WRITE_HIGH: Final = 256 * 1024
_UNCLAIMED: Final = 60.0
_SLOWEST: Final = 1024
"""Bytes of a reply's body for each second of waiting for them, on the average of ``idle`` seconds
of that: less is a server that drips, and would keep the work for as long as it likes.
"""
# Why a wait ended, followed by the seconds it had.
_NO_REPLY: Final = "no reply within"
_NO_BYTE: Final = "no byte of the reply's body for"
_NOT_TAKEN: Final = "no byte of the body was taken for"


class Connection(asyncio.BufferedProtocol):
    """The protocol object. ``on_made`` and ``on_lost`` are told once, when it opens and ends.

    ``deadline`` (loop time) is read by the watchdog, which calls ``overdue`` after it.
    ``exchanges`` counts the requests it has carried.
    """

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        buffers: BufferPool,
        on_made: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._on_made = on_made
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._inbox = inbox = Inbox(buffers)
        self._takes_copy = False
        self.get_buffer = inbox.room  # type: ignore[method-assign]  # saves a call for each read
        self._waiter: asyncio.Future[None] | None = None
        self._otherwise, self._patience = "", 0.0
        self._idle_limit = math.inf
        self._whole = self.deadline = math.inf
        self._waited, self._taken = 0.0, 0
        self._failure: Broken | None = None
        self._reading_paused = False
        self.congested = False
        self.reusable = False
        self.exchanges = 0

    # What the caller does.

    def begin(self, method: str, data: bytes, *, whole: float) -> None:
        """Start an exchange that may last ``whole`` seconds, and send its first bytes; Broken
        where the connection has ended (whoever hands it out has looked whether it is closing).
        """
        transport = self._transport
        if self._failure is not None or transport is None:
            raise self._broken()
        self._inbox.expect(method)
        self._waited, self._taken = 0.0, 0
        self._whole = self.deadline = self._loop.time() + whole
        self.reusable = True
        self.exchanges += 1
        transport.write(data)

    def write(self, data: bytes | memoryview) -> None:
        """Hand bytes to the transport; Broken where the connection has ended.

        While ``congested``, wait for ``drained`` before the next.
        """
        transport = self._transport
        if self._failure is not None or transport is None:
            raise self._broken()
        if transport.is_closing():
            # It failed, but ``connection_lost`` is yet to come: it would drop the bytes silently.
            raise Broken("the connection broke", dead=True)
        # The view's bytes are overwritten next; a plain transport may have kept them.
        transport.write(data if self._takes_copy or isinstance(data, bytes) else bytes(data))

    async def drained(self, limit: float) -> None:
        """Wait until the transport takes more, or a reply's head is there."""
        end = self._loop.time() + limit
        while self.congested and self._inbox.head is None:
            await self._change(end, _NOT_TAKEN, limit)

    async def reply(self, limit: float) -> ReplyHead:
        """Wait for the reply's head."""
        inbox, end = self._inbox, 0.0
        while inbox.head is None:
            end = end or self._loop.time() + limit
            await self._change(end, _NO_REPLY, limit)
        return inbox.head

    @property
    def answered(self) -> bool:
        """True once the reply's head is there."""
        return self._inbox.head is not None

    @property
    def heard(self) -> bool:
        """True once any byte of a reply has come."""
        return self._inbox.heard

    @property
    def complete(self) -> bool:
        """True once the whole reply has arrived."""
        return self._inbox.complete

    def rest(self) -> bytes:
        """All of the body that has arrived and is unread."""
        return self._inbox.rest()

    async def chunk(self, limit: float) -> memoryview | None:
        """The next bytes of the body, valid until the next call; None at its end.

        ``limit`` bounds the wait between two arrivals; in so long a time of waiting at least
        `_SLOWEST` bytes a second have to come.
        """
        inbox = self._inbox
        self._idle_limit = limit
        while True:
            view = inbox.take()
            if view is not None:
                self._taken += len(view)
                return view
            if inbox.complete:
                return None
            if self._reading_paused:
                self._resume_reading()  # may bring bytes at once
                continue
            now = self._loop.time()
            await self._change(now + limit, _NO_BYTE, limit)
            self._waited += self._loop.time() - now
            if self._waited >= limit and self._failure is None:
                self._look_at_the_pace(limit)

    def park(self, until: float) -> bool:
        """Make ready for the next exchange; False where the connection cannot serve another."""
        inbox = self._inbox
        head = inbox.head
        if head is None or not (head.keep_alive and inbox.complete and inbox.clean):
            return False
        if not self.reusable or self._failure is not None:
            return False
        inbox.rest_idle()
        if self._reading_paused:
            self._resume_reading()
        self.deadline = self._whole = until
        return True

    @property
    def usable(self) -> bool:
        """True where nothing is known against using it."""
        transport = self._transport
        return self._failure is None and transport is not None and not transport.is_closing()

    def abort(self, how: str = "the connection was given up") -> None:
        """End the connection at once; whoever waits on it gets Broken."""
        if self._failure is None:
            self._failure = Broken(how)
        self.reusable = False
        self.deadline = math.inf
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    @property
    def transport(self) -> asyncio.Transport:
        """What carries the bytes."""
        assert self._transport is not None
        return self._transport

    def adopt(self, transport: asyncio.Transport) -> None:
        """Use this transport: a new one, or the encrypted one laid over the first."""
        self._transport = transport
        self._takes_copy = bool(getattr(transport, "takes_copy", False))
        transport.set_write_buffer_limits(high=WRITE_HIGH)

    # What the watchdog does.

    def overdue(self) -> None:
        """The deadline has passed."""
        if self._inbox.idle:
            how = "idle for too long"
        elif self._otherwise:
            how = f"{self._otherwise} {self._patience:g} s"
        else:
            how = "the exchange took longer than it may as a whole"
        self.abort(how)

    def nudge(self) -> None:
        """Let a reader have a few bytes rather than wait for many that come slowly."""
        if self._waiter is not None and self._inbox.some:
            self._wake()

    # What the event loop does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        # Lest a dial that was given up at this very moment leaves it open for ever.
        self.deadline = self._loop.time() + _UNCLAIMED
        self.adopt(transport)  # type: ignore[arg-type]  # a stream's transport, of either loop
        self._on_made(self)

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes have arrived."""
        inbox = self._inbox
        try:
            look = inbox.arrived(nbytes)
        except Broken as broken:
            self.abort(str(broken))
            return
        if inbox.full:
            self._pause_reading()
        if look:
            self._wake()
        elif self._waiter is not None and inbox.some:
            self.deadline = min(self._loop.time() + self._idle_limit, self._whole)

    def eof_received(self) -> None:
        """Let the transport close; ``connection_lost`` says the rest."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        if self._failure is None:
            if exc is None:
                self._inbox.closed_in_order()
            how = f"the connection broke ({exc})" if exc else "the other side closed the connection"
            self._failure = Broken(how, dead=True)
        self.reusable = False
        self._transport = None
        self._wake()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The transport holds enough."""
        self.congested = True

    def resume_writing(self) -> None:
        """The transport takes more."""
        self.congested = False
        self._wake()

    # Within.

    def _look_at_the_pace(self, limit: float) -> None:
        if self._taken < self._waited * _SLOWEST and not self._inbox.complete:
            raise Broken(f"only {self._taken} bytes of the reply's body in {limit:g} s of waiting")
        self._waited, self._taken = 0.0, 0

    def _change(self, end: float, otherwise: str, patience: float) -> asyncio.Future[None]:
        """To be awaited: the next arrival, room to write, or the end of the connection.

        After ``end`` (loop time) it is the end, because ``otherwise`` (no …) ``patience`` s.
        """
        if self._failure is not None:
            raise self._broken()
        assert self._waiter is None, "a connection serves one task at a time"
        self.deadline = min(end, self._whole)
        self._otherwise, self._patience = otherwise if end <= self._whole else "", patience
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def _broken(self) -> Broken:
        failure = self._failure
        assert failure is not None
        # An exception holds the frames it went through, and so this connection: a copy is
        # raised, lest each lost connection wait with its buffers for the garbage collector.
        return Broken(str(failure), dead=failure.dead)

    def _wake(self) -> None:
        # A cancelled waiter stays: its connection is given up by whoever was cancelled.
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            self._waiter = None
            self._otherwise = ""
            self.deadline = self._whole
            waiter.set_result(None)

    def _pause_reading(self) -> None:
        if not self._reading_paused and self.usable:
            self.transport.pause_reading()
            self._reading_paused = True

    def _resume_reading(self) -> None:
        self._reading_paused = False
        if self.usable:
            self.transport.resume_reading()
