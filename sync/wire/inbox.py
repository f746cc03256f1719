"""What arrives on a connection: finds the head, frames the body, keeps bytes until they are read.

Knows no transport and never waits. Bodies of known length and those that end with the
connection stay where they were received; chunked ones are decoded on arrival.
"""

from __future__ import annotations

import sys
from typing import Final

from sync.wire.buffers import SMALL, BufferPool
from sync.wire.chunked import ChunkedBody
from sync.wire.errors import Broken
from sync.wire.head import MAX_HEAD, ReplyHead

_IDLE: Final = 0
_HEAD: Final = 1
_BODY: Final = 2
_CHUNKED: Final = 3
_ENDLESS: Final = sys.maxsize
_MAX_PENDING: Final = 128 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"


class Inbox:
    """The receiving half of a connection.

    ``head`` is the reply's, once it is there; ``heard`` tells whether any byte of a reply has
    come; ``clean`` turns False when bytes came that belong to no reply; ``full`` asks for a
    pause until something was taken.
    """

    __slots__ = (
        "_buffer",
        "_chunked",
        "_decoded",
        "_end",
        "_left",
        "_method",
        "_pending",
        "_pool",
        "_scanned",
        "_small",
        "_start",
        "_state",
        "_view",
        "clean",
        "full",
        "head",
        "heard",
    )

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._small = self._buffer = bytearray(SMALL)
        self._view = memoryview(self._buffer)
        self._start = self._end = self._scanned = self._left = self._pending = 0
        self._chunked: ChunkedBody | None = None
        self._decoded: list[bytes] = []
        self._state = _IDLE
        self._method = ""
        self.head: ReplyHead | None = None
        self.heard = self.full = False
        self.clean = True

    def expect(self, method: str) -> None:
        """The next bytes are the reply to a request of this method."""
        self._method = method
        self._state = _HEAD
        self._start = self._end = self._scanned = 0
        self.head = None
        self.heard = False

    def rest_idle(self) -> None:
        """The reply is done with: no bytes are expected, and a big buffer is given back."""
        self._state = _IDLE
        self._start = self._end = self._pending = 0
        self._decoded.clear()
        self._chunked = None
        self.full = False
        if self._buffer is not self._small:
            self._pool.give_back(self._buffer)
            self._buffer, self._view = self._small, memoryview(self._small)

    @property
    def idle(self) -> bool:
        """True while no reply is expected."""
        return self._state == _IDLE

    @property
    def complete(self) -> bool:
        """True once the last byte of the body has arrived (it may still be unread)."""
        return self._left == 0 and self._state in (_BODY, _CHUNKED)

    @property
    def some(self) -> bool:
        """True where a part of a body waits to be read."""
        return self._pending > 0 or (self._state == _BODY and self._end > self._start)

    def room(self, sizehint: int = -1) -> memoryview:  # noqa: ARG002  asyncio's signature
        """Where the next bytes go."""
        return self._view[self._end :] if self._end else self._view

    def arrived(self, count: int) -> bool:
        """Take note of bytes put into ``room``; True where a reader should look now.

        Broken where they are not a reply.
        """
        self._end += count
        state = self._state
        if state == _HEAD:
            return self._look_for_head()
        if state == _BODY:
            return self._body_arrived(count)
        if state == _CHUNKED:
            return self._chunks_arrived()
        self.clean = False
        raise Broken("bytes came that no request had asked for")

    def take(self) -> memoryview | None:
        """What is there of the body, valid until the next call; None where nothing is."""
        self.full = False
        if self._state == _CHUNKED:
            return memoryview(self.rest()) if self._pending else None
        start, end = self._start, self._end
        if end > start:
            self._start = end
            self.full = end == len(self._buffer)
            return self._view[start:end]
        self._start = self._end = 0
        return None

    def rest(self) -> bytes:
        """All of the body that is there, as bytes."""
        if self._state == _CHUNKED:
            data = b"".join(self._decoded)
            self._decoded.clear()
            self._pending = 0
            return data
        start, self._start = self._start, self._end
        return bytes(self._view[start : self._end])

    def closed_in_order(self) -> None:
        """The other side ended the connection as it should: some bodies end so."""
        if self._left == _ENDLESS:
            self._left = 0

    def _look_for_head(self) -> bool:
        self.heard = True
        while True:
            at = self._buffer.find(_END_OF_HEAD, self._scanned, self._end)
            if (self._end if at < 0 else at) > MAX_HEAD:
                raise Broken(f"the reply's head is longer than {MAX_HEAD} bytes")
            if at < 0:
                self._scanned = max(0, self._end - len(_END_OF_HEAD) + 1)
                if self._end == len(self._buffer):
                    self._enlarge()
                return False
            after = at + len(_END_OF_HEAD)
            head = ReplyHead(bytes(self._view[:after]), self._method)
            if head.status >= 200:  # noqa: PLR2004  1xx are news, not the reply
                return self._begin_body(head, after)
            if head.status == 101:  # noqa: PLR2004  nobody asked for another protocol
                raise Broken("the reply switches to another protocol")
            self._drop(after)

    def _drop(self, count: int) -> None:
        rest = self._end - count
        self._buffer[:rest] = self._buffer[count : self._end]
        self._end, self._scanned = rest, 0

    def _begin_body(self, head: ReplyHead, after: int) -> bool:
        self._start = after
        self.head = head
        if head.chunked:
            self._chunked = ChunkedBody(bytes(self._view[:after]))
            self._left, self._state = 1, _CHUNKED
            self._chunks_arrived()
            return True
        self._state = _BODY
        length, here = head.length, self._end - after
        if length == here:  # all of a short reply has come at once
            self._left = 0
            self.full = self._end == len(self._buffer)
            return True
        self._left = _ENDLESS if length is None else length
        if self._left > len(self._buffer) - after:
            self._enlarge()
        self._body_arrived(here)
        return True

    def _body_arrived(self, count: int) -> bool:
        if self._left != _ENDLESS:
            self._left -= count
        if self._left < 0:
            self._end += self._left
            self._left = 0
            self.clean = False
        size = len(self._buffer)
        # Also at the body's very end: asyncio must never be given an empty buffer.
        self.full = self._end == size
        # A reader is woken for half a buffer: fewer, larger steps. The watchdog sees to it
        # that bytes which come slowly are not held back for long.
        return self._left == 0 or self._end - self._start >= size >> 1 or self.full

    def _chunks_arrived(self) -> bool:
        if self._left:
            assert self._chunked is not None
            data = self._chunked.decode(self._view[self._start : self._end])
            self._decoded.append(data)
            self._pending += len(data)
            self._left = 0 if self._chunked.ended else 1
            self.clean = self.clean and not self._chunked.extra
        elif self._end > self._start:
            self.clean = False
        self._start = self._end = 0
        self.full = self._pending >= _MAX_PENDING
        return self._left == 0 or self.full

    def _enlarge(self) -> None:
        if self._buffer is not self._small:
            return
        big = self._pool.borrow()
        big[: self._end] = self._buffer[: self._end]
        self._buffer, self._view = big, memoryview(big)
