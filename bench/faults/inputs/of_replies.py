"""Raw replies of an HTTP server, through real connections over a transport of bytes in memory."""

# ruff: noqa: ARG002, E501, PLR2004  signatures of asyncio's; tables; HTTP

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Sequence
from typing import Any, Final

from faults.inputs.target import Disagreement, Target, wait_for
from sync.adapters.dialects import AWS, GCS
from sync.adapters.s3 import S3Store
from sync.errors import SyncError
from sync.model import ObjectHeaders, ObjectRef, Upload
from sync.ports import Credentials
from sync.wire.client import Client
from sync.wire.connection import Connection
from sync.wire.request import Origin, Request

_ORIGIN: Final = Origin("http", "store.example", 80)
_LIMIT: Final = 256 * 1024


class _Wire(asyncio.Transport):
    """Once something was written, the reply arrives in pieces; then the other side closes."""

    def __init__(self, inner: Connection, pieces: Sequence[bytes]) -> None:
        super().__init__()
        self._inner = inner
        self._left = list(pieces)
        self._paused = self._closed = self._going = False
        self._loop = asyncio.get_running_loop()

    def write(self, data: object) -> None:
        if not self._going:
            self._going = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        while self._left and not (self._paused or self._closed):
            view = memoryview(self._left.pop(0))
            room = memoryview(self._inner.get_buffer(-1))
            if room.nbytes == 0:
                raise Disagreement("a connection without room for bytes is asked to take some")
            count = min(len(room), len(view))
            room[:count] = view[:count]
            if count < len(view):
                self._left.insert(0, bytes(view[count:]))
            self._inner.buffer_updated(count)
        if not self._left and not self._closed:
            self.abort()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self._closed

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._inner.connection_lost, None)

    close = abort

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self._loop.call_soon(self._feed)


class Replying(Client):
    """A client whose every connection answers its first request with the pieces at hand."""

    pieces: Sequence[bytes] = ()

    async def _dial(self, site: Any, request: Request, limits: Any) -> Connection:
        connection = self._make()
        connection.connection_made(_Wire(connection, self.pieces))
        return connection


class _Keys:
    async def credentials(self) -> Credentials:
        return Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG", region="us-east-1")

    def invalidate(self) -> None:
        pass


def _cut(data: bytes) -> list[bytes]:
    """The last byte says where the arrivals are cut."""
    step = data[-1] if data else 1
    if step < 128:
        return [data]
    step = 1 + (step - 128) ** 2
    return [data[at : at + step] for at in range(0, len(data), step)]


_CLIENT: Final = Replying()
_METHODS: Final = ("GET", "HEAD", "PUT")


def _head(data: bytes) -> None:
    _CLIENT.pieces = _cut(data)
    for method in _METHODS:
        body = b"x" if method == "PUT" else None
        request = Request(method, _ORIGIN, "/b/k", body=body, repeatable=False)
        try:
            reply = wait_for(_CLIENT.send(request, limit=_LIMIT))
        except SyncError:
            continue
        finally:
            wait_for(asyncio.sleep(0))
        if not 200 <= reply.status <= 599 or len(reply.body) > len(data):
            raise Disagreement(f"{method}: {reply!a:.300}")
        if method == "HEAD" and reply.body:
            raise Disagreement(f"a HEAD with a body: {reply!a:.300}")
    if _CLIENT.connections_open - _CLIENT.connections_idle:
        raise Disagreement(f"{_CLIENT.connections_open} connections are left open")


_STORES: Final = tuple(
    S3Store(client=_CLIENT, credentials=_Keys(), endpoint="http://store.example", dialect=dialect)
    for dialect in (AWS, GCS)
)
_REF: Final = ObjectRef("bucket", "key")
_UPLOAD: Final = Upload(_REF, "u", 0.0)


async def _read(store: S3Store, byte_range: tuple[int, int] | None) -> None:
    async with store.open(_REF, byte_range=byte_range) as read:
        async for _chunk in read.body:
            pass


class _Body:
    length = 3

    async def __aiter__(self) -> Any:
        yield memoryview(b"abc")


def _store(data: bytes) -> None:
    """Two calls of each store get this reply to each request of theirs."""
    _CLIENT.pieces = _cut(data)
    headers = ObjectHeaders()
    turn = zlib.crc32(data)
    for store in _STORES:
        calls = (
            lambda s: s.head(_REF),
            lambda s: s.described(_REF),
            lambda s: _read(s, None),
            lambda s: _read(s, (2, 4)),
            lambda s: s.tagging(_REF),
            lambda s: s.put(_REF, _Body(), headers),
            lambda s: s.create_upload(_REF, headers),
            lambda s: s.put_part(_UPLOAD, 1, _Body()),
            lambda s: s.complete(_UPLOAD, []),
            lambda s: s.delete(_REF),
            lambda s: s.parts(_UPLOAD),
            lambda s: s.uploads(_REF),
            lambda s: s.list_page("bucket"),
        )
        for make in (calls[turn % len(calls)], calls[turn // 16 % len(calls)]):
            try:
                wait_for(asyncio.wait_for(make(store), 5))
            except SyncError:
                continue
            finally:
                wait_for(asyncio.sleep(0))


def _reply(status: str, *lines: str, body: bytes = b"") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""])
    return head.encode("latin-1") + body


_CHUNKED: Final = b"3\r\nabc\r\n5;ext=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"
_OBJECT: Final = (
    'ETag: "0123456789abcdef0123456789abcdef"', "Last-Modified: Mon, 05 Jan 2026 10:00:00 GMT",
    "x-amz-version-id: v", "x-goog-hash: crc32c=AAAAAA==,md5=1B2M2Y8AsgTpgAmY7PhCfg==",
    "x-goog-stored-content-length: 3", "x-amz-meta-a: \xfc", "x-goog-generation: 17",
)  # fmt: skip
_HEADS: Final = (
    _reply("200 OK", "Content-Length: 3", body=b"abc"),
    _reply("200 OK", "Transfer-Encoding: chunked", body=_CHUNKED),
    _reply("100 Continue") + _reply("204 No Content", "Connection: close"),
    _reply("200", "Connection: keep-alive", body=b"until the end"),
    b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nab",
    _reply("503 Slow", "Retry-After: 1", "Content-Length: 0") + b"\xff",
)
_XML: Final = b"<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>"
_DATE: Final = "Date: Mon, 05 Jan 2026 10:00:00 GMT"
_REPLIES: Final = (
    _reply("200 OK", *_OBJECT, "Content-Length: 3", body=b"abc"),
    _reply("206 Partial", *_OBJECT, "Content-Range: bytes 2-4/9", "Content-Length: 3", body=b"abc"),
    _reply("200 OK", "x-amz-checksum-crc32c: AAAAAA==", "x-amz-checksum-type: COMPOSITE",
           f"Content-Length: {len(_XML)}", body=_XML),
    _reply("403 Forbidden", _DATE, "Content-Length: 46",
           body=b"<Error><Code>RequestTimeTooSkewed</Code></Error>"[:46]),
    _reply("301 Moved", "x-amz-bucket-region: eu-west-1", "Location: http://evil/",
           "Content-Length: 0"),
    _reply("200 OK", "Transfer-Encoding: chunked", body=_CHUNKED),
)  # fmt: skip
_WORDS: Final = (
    b"\r\n", b"\r\n\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1 ", b"HTTP/1.1 100 x\r\n\r\n",
    b"Connection: close\r\n", b"ffffffffffffffff\r\n", b"0\r\n\r\n", b"bytes 2-4/", b"Date: ", b"-0000",
)  # fmt: skip

TARGETS: Final = {
    target.name: target
    for target in (
        Target(name="http-heads", probe=_head, allowed=(), seeds=_HEADS, words=_WORDS,
               longest=96 * 1024),
        Target(name="store-replies", probe=_store, allowed=(), seeds=_REPLIES, words=_WORDS),
    )
}  # fmt: skip
