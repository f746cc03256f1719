"""One request and its reply on one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from sync.errors import IntegrityError, TransientStoreError
from sync.ports import ByteStream
from sync.wire.connection import Connection
from sync.wire.errors import Broken, as_store_error, operation_of
from sync.wire.head import ReplyHead
from sync.wire.request import Progress, Request, Timeouts

SMALL_BODY: Final = 64 * 1024
_STEP: Final = 256 * 1024
_MIB: Final = 1024 * 1024


async def joinable(body: ByteStream) -> bytes | ByteStream:
    """A short stream as bytes: it can then go out with the head, and a second time.

    What the stream raises is raised here, before anything was sent.
    """
    if body.length > SMALL_BODY:
        return body
    pieces = [bytes(piece) async for piece in body]
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(data) != body.length:
        raise IntegrityError(f"the body has {len(data)} bytes where {body.length} were announced")
    return data


class Stale(Exception):
    """A kept-alive connection was dead; nothing was heard and the request can go out again.

    ``in_full`` tells whether the first copy was sent to its end.
    """

    def __init__(self, *, in_full: bool) -> None:
        super().__init__()
        self.in_full = in_full


class Exchange:
    """A reply whose head has been read (``Response``). ``resent`` is True where the request
    went out a second time because a kept-alive connection was found dead.
    """

    __slots__ = ("_connection", "_head", "_idle", "_request", "resent")

    def __init__(
        self, connection: Connection, request: Request, head: ReplyHead, idle: float
    ) -> None:
        self._connection = connection
        self._request = request
        self._head = head
        self._idle = idle
        self.resent = False

    @property
    def status(self) -> int:
        """HTTP status; never 1xx."""
        return self._head.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name; values are latin-1 text; repeated ones joined by ``, ``."""
        return self._head.headers

    @property
    def content_length(self) -> int | None:
        """Bytes of body to come (0 for HEAD); None where only the end will tell."""
        return self._head.length

    @property
    def connection(self) -> Connection:
        """What it runs on; the client's business."""
        return self._connection

    def chunks(self) -> AsyncIterator[memoryview]:
        """The body. A chunk is valid until the next is asked for. TransientStoreError where
        the connection ends before the body does.
        """
        return _Chunks(self)

    async def chunk(self) -> memoryview | None:
        """The next chunk, or None at the end."""
        try:
            return await self._connection.chunk(self._idle)
        except Broken as broken:
            self._connection.abort()
            raise self._error(broken) from broken
        except BaseException:
            self._connection.abort()
            raise

    async def read(self, limit: int = 8 * _MIB) -> bytes:
        """The whole body; TransientStoreError above ``limit`` bytes."""
        if (self._head.length or 0) > limit:
            raise self._too_long(limit)
        if self._connection.complete:
            rest = self._connection.rest()
            if len(rest) > limit:
                raise self._too_long(limit)
            return rest
        pieces: list[bytes] = []
        size = 0
        while (chunk := await self.chunk()) is not None:
            size += len(chunk)
            if size > limit:
                raise self._too_long(limit)
            pieces.append(bytes(chunk))
        return b"".join(pieces)

    def _too_long(self, limit: int) -> TransientStoreError:
        self._connection.abort()
        operation = operation_of(self._request)
        text = f"{operation}: the reply is longer than {limit} bytes"
        return TransientStoreError(text, operation=operation, status=self.status)

    def _error(self, broken: Broken) -> TransientStoreError:
        how = f"the reply's body did not come whole: {broken}"
        return as_store_error(self._request, how, in_full=True)


class _Chunks:
    """A plain iterator: a generator left half way would need closing."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> memoryview:
        chunk = await self._exchange.chunk()
        if chunk is None:
            raise StopAsyncIteration
        return chunk


async def exchange(
    connection: Connection,
    request: Request,
    *,
    head: bytes,
    body: bytes | ByteStream | None,
    limits: Timeouts,
) -> Exchange:
    """Send the request and wait for the reply's head.

    Whatever ends it early closes the connection: a body that raises (its own exception goes
    on to the caller), a cancelled task, a time limit. Stale where it may be tried again.
    """
    sender = _Sender(connection, request, limits)
    connection.begin(request.method, whole=limits.whole)
    try:
        await sender.send(head, body)
        reply = await connection.reply(limits.first_byte)
    except Broken as broken:
        connection.abort()
        raise sender.error(broken, body) from broken
    except BaseException:
        connection.abort()
        raise
    if request.progress is not None:
        request.progress.replied = True
    sender.check_early(reply)
    return Exchange(connection, request, reply, limits.idle)


class _Sender:
    """Sends one request and knows how far it got."""

    __slots__ = ("_connection", "_idle", "_request", "in_full")

    def __init__(self, connection: Connection, request: Request, limits: Timeouts) -> None:
        self._connection = connection
        self._request = request
        self._idle = limits.idle
        self.in_full = False

    async def send(self, head: bytes, body: bytes | ByteStream | None) -> None:
        """Send head and body; returns early when a reply comes before the end."""
        if body is None:
            self._connection.write(head)
        elif not isinstance(body, bytes):
            self._connection.write(head)
            await self._send_stream(body)
            return
        elif len(body) <= SMALL_BODY:
            self._connection.write(head + body)
        else:
            self._connection.write(head)
            if not await self._send_chunk(memoryview(body)):
                return
        self._done()

    def error(self, broken: Broken, body: bytes | ByteStream | None) -> Exception:
        """What the caller is told of a connection that failed before the reply's head."""
        connection = self._connection
        untouched = not connection.heard and connection.exchanges > 1 and broken.dead
        if untouched and self._request.repeatable and (body is None or isinstance(body, bytes)):
            return Stale(in_full=self.in_full)
        return as_store_error(self._request, broken, in_full=self.in_full)

    def check_early(self, reply: ReplyHead) -> None:
        """A reply to a request that was not sent in full must be a refusal."""
        if self.in_full:
            return
        self._connection.reusable = False
        if reply.status < 300:  # noqa: PLR2004  success without having seen the body
            self._connection.abort()
            how = f"status {reply.status} came before the body had been sent"
            raise as_store_error(self._request, how, in_full=False)

    async def _send_stream(self, body: ByteStream) -> None:
        left = body.length
        chunks = aiter(body)
        try:
            async for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    break
                if not await self._send_chunk(chunk):
                    return
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()
        if left:
            raise IntegrityError(_wrong_length(body.length, left))
        self._done()

    async def _send_chunk(self, chunk: memoryview) -> bool:
        connection = self._connection
        for at in range(0, len(chunk), _STEP):
            if connection.answered:
                return False
            connection.write(bytes(chunk[at : at + _STEP]))
            if connection.congested:
                await connection.drained(self._idle)
        return True

    def _done(self) -> None:
        self.in_full = True
        progress: Progress | None = self._request.progress
        if progress is not None:
            progress.sent_in_full = True


def _wrong_length(announced: int, left: int) -> str:
    if left < 0:
        return f"the body holds more than the {announced} bytes that were announced"
    return f"the body ended {left} bytes short of the {announced} that were announced"
