"""One request and its reply on one connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from sync.checksums import joined
from sync.errors import IntegrityError, TransientStoreError
from sync.ports import ByteStream
from sync.wire.connection import Connection
from sync.wire.errors import Broken, as_store_error, operation_of
from sync.wire.head import ReplyHead
from sync.wire.request import Request, Timeouts

SMALL_BODY: Final = 64 * 1024
_STEP: Final = 256 * 1024
_MIB: Final = 1024 * 1024


async def joinable(body: ByteStream) -> bytes | ByteStream:
    """A short stream as bytes: it can then go out with the head, and a second time.

    What the stream raises is raised here, before anything was sent.
    """
    length = body.length
    if length > SMALL_BODY:
        return body
    read = getattr(body, "read", None)
    data: bytes = await (joined(body) if read is None else read())
    if len(data) != length:
        raise IntegrityError(f"the body has {len(data)} bytes where {length} were announced")
    return data


class Stale(Exception):
    """A kept-alive connection was dead; nothing was heard and the request can go out again.

    ``in_full`` tells whether the first copy was sent to its end.
    """

    def __init__(self, *, in_full: bool) -> None:
        super().__init__()
        self.in_full = in_full


class Exchange:
    """A reply whose head has been read (``Response``).

    ``headers`` are by lower-case name. ``content_length`` is the bytes of body to come (0 for
    HEAD), None where only the end will tell. ``connection`` is the client's business.
    ``resent`` is True where the request went out a second time because a kept-alive connection
    was found dead.
    """

    __slots__ = ("_idle", "_request", "connection", "content_length", "headers", "resent", "status")

    def __init__(
        self, connection: Connection, request: Request, head: ReplyHead, idle: float
    ) -> None:
        self.connection = connection
        self.status = head.status
        self.headers: Mapping[str, str] = head.headers
        self.content_length = head.length
        self.resent = False
        self._request = request
        self._idle = idle

    def chunks(self) -> AsyncIterator[memoryview]:
        """The body. A chunk is valid until the next is asked for. TransientStoreError where
        the connection ends before the body does.
        """
        return _Chunks(self)

    async def chunk(self) -> memoryview | None:
        """The next chunk, or None at the end."""
        try:
            return await self.connection.chunk(self._idle)
        except Broken as broken:
            self.connection.abort()
            raise self._error(broken) from broken
        except BaseException:
            self.connection.abort()
            raise

    async def read(self, limit: int = 8 * _MIB) -> bytes:
        """The whole body; TransientStoreError above ``limit`` bytes."""
        if (self.content_length or 0) > limit:
            raise self._too_long(limit)
        if self.connection.complete:
            rest = self.connection.rest()
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
        self.connection.abort()
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
    progress, in_full = request.progress, False
    try:
        if body is None:
            connection.begin(request.method, head, whole=limits.whole)
            in_full = True
        elif isinstance(body, bytes) and len(body) <= SMALL_BODY:
            connection.begin(request.method, head + body, whole=limits.whole)
            in_full = True
        else:
            connection.begin(request.method, head, whole=limits.whole)
            in_full = await _send_body(connection, body, limits.idle)
        if progress is not None:
            progress.sent_in_full = in_full
        reply = await connection.reply(limits.first_byte)
    except Broken as broken:
        connection.abort()
        raise _failure(connection, request, broken, body, in_full=in_full) from broken
    except BaseException:
        connection.abort()
        raise
    if progress is not None:
        progress.replied = True
    if not in_full:
        _check_early(connection, request, reply)
    return Exchange(connection, request, reply, limits.idle)


def _failure(
    connection: Connection,
    request: Request,
    broken: Broken,
    body: bytes | ByteStream | None,
    *,
    in_full: bool,
) -> Exception:
    """What the caller is told of a connection that failed before the reply's head."""
    untouched = not connection.heard and connection.exchanges > 1 and broken.dead
    if untouched and request.repeatable and (body is None or isinstance(body, bytes)):
        return Stale(in_full=in_full)
    return as_store_error(request, broken, in_full=in_full)


def _check_early(connection: Connection, request: Request, reply: ReplyHead) -> None:
    """A reply to a request that was not sent in full must be a refusal."""
    connection.reusable = False
    if reply.status < 300:  # noqa: PLR2004  success without having seen the body
        connection.abort()
        how = f"status {reply.status} came before the body had been sent"
        raise as_store_error(request, how, in_full=False)


async def _send_body(connection: Connection, body: bytes | ByteStream, idle: float) -> bool:
    """True where it was sent to its end, False where a reply came before."""
    if isinstance(body, bytes):
        return await _send_chunk(connection, memoryview(body), idle)
    left = body.length
    chunks = aiter(body)
    try:
        async for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            if not await _send_chunk(connection, chunk, idle):
                return False
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    if left:
        raise IntegrityError(_wrong_length(body.length, left))
    return True


async def _send_chunk(connection: Connection, chunk: memoryview, idle: float) -> bool:
    for at in range(0, len(chunk), _STEP):
        if connection.answered:
            return False
        connection.write(chunk[at : at + _STEP])
        if connection.congested:
            await connection.drained(idle)
    return True


def _wrong_length(announced: int, left: int) -> str:
    if left < 0:
        return f"the body holds more than the {announced} bytes that were announced"
    return f"the body ended {left} bytes short of the {announced} that were announced"
