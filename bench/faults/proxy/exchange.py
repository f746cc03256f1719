"""One request on its way through the proxy, and what a fault can do to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Protocol

from faults.proxy.heads import Head, read_head, reply_body, request_body

Tap = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
"""What happens to a body on its way: pieces in, pieces out. May raise `Cut`, or wait."""
_RESET = struct.pack("ii", 1, 0)


class Cut(Exception):
    """The exchange ends here. ``reset``: by a reset of the connection, else by a plain end."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__()
        self.reset = reset


@dataclass(slots=True, eq=False)
class Stream:
    """Both directions of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """RST, at once."""
        raw = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.writer.transport.abort()

    def half_close(self) -> None:
        """FIN without a word of TLS; what comes is still read."""
        with contextlib.suppress(OSError):
            self.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                await self.writer.wait_closed()


@dataclass(slots=True)
class Entry:
    """One request in the proxy's journal.

    ``status`` is the reply's, "" where none was sent; ``answered``: all of it went to whoever
    asked; ``fault`` names what struck. Bodies are kept where `FaultProxy.keep` says so.
    """

    line: str
    status: str = ""
    answered: bool = False
    fault: str = ""
    asked: bytes = b""
    told: bytes = b""


class Upstream(Protocol):
    """Ways to the server."""

    async def kept(self) -> Stream:
        """The connection that belongs to the asker's."""
        ...

    async def fresh(self) -> Stream:
        """A new one, the caller's to close."""
        ...


class Exchange:
    """What faults play on. Without one: ``forward`` and then ``deliver``."""

    def __init__(
        self,
        client: Stream,
        upstream: Upstream,
        head: Head,
        entry: Entry,
        *,
        keep: bool,
        beside: Callable[[Coroutine[Any, Any, None]], None],
        struck: Callable[[], None],
    ) -> None:
        self.client = client
        self.head = head
        self.entry = entry
        self.ends = False
        self.beside = beside
        self._upstream = upstream
        self._server: Stream | None = None
        self._reply: Head | None = None
        self._keep = keep
        self._taken = False
        self._struck: Callable[[], None] | None = struck

    def strike(self) -> None:
        """The fault does what it is for. Counts once."""
        if self._struck is not None:
            self._struck()
            self._struck = None

    # --- towards the server -----------------------------------------------------------

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body, as it comes."""
        self._taken = True
        async for piece in request_body(self.client.reader, self.head):
            if self._keep:
                self.entry.asked += piece
            yield piece

    async def take(self) -> bytes:
        """All of the request's body; the server is told nothing."""
        return b"".join([piece async for piece in self.body()])

    async def forward(self, tap: Tap | None = None, *, data: bytes | None = None) -> None:
        """Send the request on, its body through ``tap``, or with ``data`` in its place."""
        server = self._server = await self._upstream.kept()
        head = self.head if data is None else self.head.replaced("Content-Length", str(len(data)))
        if data is not None:
            await server.send(head.raw + data)
            return
        pieces = self.body()
        try:
            await server.send(head.raw)
            async for piece in tap(pieces) if tap else pieces:
                await server.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            # It may answer before the body's end and close: then the answer is still there.
            self.ends = True

    async def reply(self) -> Head:
        """The head of the server's reply; 1xx are sent on before."""
        assert self._server is not None
        while self._reply is None:
            head = await read_head(self._server.reader)
            if head is None:
                raise Cut(reset=False)
            if head.status.startswith("1"):
                await self.client.send(head.raw)
            else:
                self._reply = head
        return self._reply

    async def reply_pieces(self) -> AsyncIterator[bytes]:
        """The body of the server's reply, as it comes."""
        assert self._server is not None
        head = await self.reply()
        self.ends = self.ends or head.closes or (head.length is None and not head.chunked)
        async for piece in reply_body(self._server.reader, head, self.head.method):
            yield piece

    async def swallow(self) -> tuple[Head, bytes]:
        """All of the server's reply: the request has had its effect."""
        return await self.reply(), b"".join([piece async for piece in self.reply_pieces()])

    # --- towards whoever asked --------------------------------------------------------

    async def deliver(self, tap: Tap | None = None, *, head: Head | None = None) -> None:
        """Send the server's reply on, its body through ``tap``, with ``head`` in place of its."""
        told = head or await self.reply()
        await self.say(told.raw, told.status)
        pieces = self.reply_pieces()
        async for piece in tap(pieces) if tap else pieces:
            await self.say(piece, told.status)
        self.entry.answered = True

    async def say(self, data: bytes, status: str) -> None:
        """Send bytes of a reply with this status."""
        self.entry.status = status
        if self._keep:
            self.entry.told += data
        await self.client.send(data)

    async def answer(self, head: Head, body: bytes = b"") -> None:
        """A reply of the proxy's own. The request's body is read first, unless it has been."""
        if not self._taken:
            await self.take()
        await self.say(head.raw + (b"" if self.head.method == "HEAD" else body), head.status)
        self.entry.answered = True
        self.ends = self.ends or head.closes

    def reset(self) -> Cut:
        """To be raised: both connections end, the asker's with a reset."""
        return Cut(reset=True)

    def end(self) -> Cut:
        """To be raised: both connections end, the asker's in good order."""
        return Cut(reset=False)

    async def replay(self, body: bytes) -> None:
        """Send the request with this body to the server over a connection of its own."""
        server = await self._upstream.fresh()
        try:
            await server.send(self.head.raw + body)
            head = await read_head(server.reader)
            if head is not None:
                async for _ in reply_body(server.reader, head, self.head.method):
                    pass
        finally:
            await server.close()


def head_of(status: int, reason: str, headers: dict[str, str], length: int | None) -> Head:
    """A reply's head as servers write it."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    raw = "\r\n".join([*lines, "", ""]).encode("latin-1")
    names = {name.lower(): value for name, value in headers.items()}
    if length is not None:
        names["content-length"] = str(length)
    return Head(raw, lines[0], names)
