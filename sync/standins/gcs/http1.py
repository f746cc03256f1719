"""HTTP/1.1 for the stand-in: one connection, its requests one after the other, backpressure."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, cast

import httptools

from sync.standins.gcs.refusals import ClientGone, CutConnection

_HEAD_LIMIT: Final = 256 * 1024
_BUFFER: Final = 1024 * 1024
_LINGER_SECONDS: Final = 1.0
_BODILESS: Final = frozenset({204, 304})


class Body:
    """The bytes of a request, read once. ``length`` is None where they come chunked."""

    def __init__(self, connection: Connection, length: int | None, *, expects: bool) -> None:
        self._connection = connection
        self._queue: deque[bytes] = deque()
        self._buffered = 0
        self.length = length
        self.expects_continue = expects
        self.complete = False
        self.taken = 0
        self.cut_after: int | None = None
        """Fault: so many bytes of body end the connection."""
        self.corrupt_at: int | None = None
        """Fault: the byte at this offset arrives damaged."""

    def feed(self, data: bytes) -> None:
        """Take bytes from the parser; stops reading from the socket where they pile up."""
        self._queue.append(data)
        self._buffered += len(data)
        if self._buffered > _BUFFER:
            self._connection.pause()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces; ClientGone where the connection ends before the body does."""
        self._invite()
        while True:
            while self._queue:
                piece = self._queue.popleft()
                self._buffered -= len(piece)
                piece = self._tampered(piece)
                self.taken += len(piece)
                yield piece
            self._connection.resume()
            if self.complete:
                return
            await self._connection.more()

    def _tampered(self, piece: bytes) -> bytes:
        end = self.taken + len(piece)
        if self.cut_after is not None and end >= self.cut_after:
            raise CutConnection
        if self.corrupt_at is None or not self.taken <= self.corrupt_at < end:
            return piece
        damaged = bytearray(piece)
        damaged[self.corrupt_at - self.taken] ^= 0xFF
        return bytes(damaged)

    def _invite(self) -> None:
        if self.expects_continue and not self.complete and not self._queue:
            self._connection.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.expects_continue = False


@dataclass(slots=True)
class Request:
    """A request's head and its body. Header names are lower case, values latin-1 text."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: Body
    keep_alive: bool = True

    def header(self, name: str) -> str:
        """All values of a header joined by commas, or ""."""
        return ",".join(value for key, value in self.headers if key == name)

    def has(self, name: str) -> bool:
        """True where the header was sent, even empty."""
        return any(key == name for key, _ in self.headers)


@dataclass(slots=True)
class Reply:
    """What goes back. ``length`` None with a stream means chunked; ``cut_after`` is a fault:
    the connection ends after so many bytes of body.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterator[bytes] = b""
    length: int | None = None
    cut_after: int | None = None
    sent: int = 0


Serve = Callable[[Request], Awaitable[Reply]]


class Connection(asyncio.Protocol):
    """One client connection. ``serve`` answers each request; it may raise CutConnection."""

    def __init__(self, serve: Serve, live: set[Connection]) -> None:
        self._serve = serve
        self._live = live
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[Request] = deque()
        self._wake = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost = False
        self._broken = False
        self._discard = False
        self._reading = True
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._head_size = 0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start answering."""
        self._transport = cast("asyncio.Transport", transport)
        self._live.add(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def data_received(self, data: bytes) -> None:
        """Parse; what is not HTTP is answered with 400."""
        if self._discard or self._broken:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._broken = True
        self._wake.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        del exc
        self._lost = True
        self._live.discard(self)
        self._wake.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._writable.set()

    # httptools

    def on_url(self, url: bytes) -> None:
        """A piece of the request target, exactly as sent."""
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line."""
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """The head is whole: the request may be answered."""
        known = dict(self._headers)
        length = known.get("content-length")
        chunked = "chunked" in known.get("transfer-encoding", "").lower()
        body = Body(
            self,
            None if chunked or length is None else int(length),
            expects="100-continue" in known.get("expect", "").lower(),
        )
        self._requests.append(
            Request(
                self._parser.get_method().decode("ascii"),
                self._target.decode("latin-1"),
                tuple(self._headers),
                body,
                keep_alive=self._parser.should_keep_alive(),
            )
        )

    def on_body(self, data: bytes) -> None:
        """Bytes of the newest request's body."""
        self._requests[-1].body.feed(data)

    def on_message_complete(self) -> None:
        """The newest request is whole."""
        self._requests[-1].body.complete = True
        self._begin()

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > _HEAD_LIMIT:
            raise httptools.HttpParserError("the request's head is too large")

    # for Body

    def pause(self) -> None:
        """Read no more from the socket for now."""
        if self._reading and self._transport:
            self._reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the socket again."""
        if not self._reading and self._transport and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    async def more(self) -> None:
        """Wait until something came in; ClientGone where nothing can come any more."""
        if self._lost or self._broken:
            raise ClientGone
        self._wake.clear()
        await self._wake.wait()

    def say(self, data: bytes) -> None:
        """Write at once."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    # answering

    def close(self) -> None:
        """Cut the connection and stop answering."""
        if self._task:
            self._task.cancel()
        if self._transport:
            self._transport.abort()

    async def _run(self) -> None:
        try:
            while await self._one():
                pass
        except (CutConnection, ClientGone):
            pass  # closing flushes what was written so far and no more
        except Exception as error:  # noqa: BLE001  a bug here must be seen, not only felt
            context = {"message": "a bug in the stand-in", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
        finally:
            if self._transport and not self._transport.is_closing():
                self._transport.close()

    async def _one(self) -> bool:
        with contextlib.suppress(ClientGone):
            while not self._requests:
                await self.more()
        if not self._requests:
            if self._broken and not self._lost:
                self.say(
                    b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
            return False
        request = self._requests[0]
        reply = await self._serve(request)
        # A client that waits for 100 Continue may or may not send its body now: nobody can tell
        # the next request from it, so the connection ends.
        unread = not request.body.complete
        keep = request.keep_alive and not unread
        await self._send(request, reply, keep=keep)
        self._requests.popleft()
        if unread:
            await self._linger()
        return keep

    async def _linger(self) -> None:
        """Let a client that is still sending read the refusal before the connection closes."""
        self._discard = True
        self.resume()
        with contextlib.suppress(TimeoutError, ClientGone):
            async with asyncio.timeout(_LINGER_SECONDS):
                while True:
                    await self.more()

    async def _send(self, request: Request, reply: Reply, *, keep: bool) -> None:
        streamed = not isinstance(reply.body, bytes)
        if isinstance(reply.body, bytes) and reply.length is None:
            reply.length = len(reply.body)
        bodiless = request.method == "HEAD" or reply.status in _BODILESS
        chunked = streamed and reply.length is None and not bodiless
        head = _head(reply, keep=keep, chunked=chunked, hide_length=streamed)
        if bodiless:
            self.say(head)
            return
        if isinstance(reply.body, bytes):
            body = reply.body if reply.cut_after is None else reply.body[: reply.cut_after]
            self.say(head + body)
            reply.sent = len(body)
        else:
            self.say(head)
            await self._stream(reply, reply.body, chunked=chunked)
        if reply.cut_after is not None:
            raise CutConnection

    async def _stream(self, reply: Reply, pieces: Iterator[bytes], *, chunked: bool) -> None:
        left = reply.cut_after
        for piece in pieces:
            cut = piece if left is None else piece[:left]
            self.say(b"%x\r\n%b\r\n" % (len(cut), cut) if chunked and cut else cut)
            reply.sent += len(cut)
            if left is not None:
                left -= len(cut)
                if not left:
                    return
            await asyncio.sleep(0)
            await self._writable.wait()
            if self._lost:
                raise ClientGone
        if chunked:
            self.say(b"0\r\n\r\n")


def _head(reply: Reply, *, keep: bool, chunked: bool, hide_length: bool) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers]
    lines.append(f"date: {formatdate(usegmt=True)}")
    if chunked:
        lines.append("transfer-encoding: chunked")
    elif reply.length is not None and reply.status not in _BODILESS:
        lines.append(f"content-length: {reply.length}")
    elif not hide_length and reply.status not in _BODILESS:
        lines.append("content-length: 0")
    if not keep:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
