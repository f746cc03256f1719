"""What the wire must never let pass, each piece by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.wire_server import certificates
from sync.wire.buffers import BufferPool
from sync.wire.connection import Connection
from sync.wire.errors import Broken
from sync.wire.head import ReplyHead
from sync.wire.tls_channel import TlsChannel

CLIENT_TLS = certificates()[1]


class Inner(asyncio.BufferedProtocol):
    """Notes how it ended."""

    def __init__(self) -> None:
        self.ends: list[Exception | None] = []

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)


def test_tls_that_is_cut_without_notice_is_no_end_in_order() -> None:
    """Else anybody on the way could shorten a body that ends with its connection."""

    async def main() -> None:
        inner = Inner()
        channel = TlsChannel(
            inner,
            loop=asyncio.get_running_loop(),
            context=CLIENT_TLS,
            host="localhost",
            received=memoryview(bytearray(16)),
            made=True,
        )
        channel.connection_lost(None)
        assert isinstance(channel.ready.exception(), ConnectionResetError)
        assert len(inner.ends) == 1
        assert isinstance(inner.ends[0], ConnectionError)

    asyncio.run(main())


class Keeping(asyncio.Transport):
    """A plain transport that cannot send now."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def write(self, data: Any) -> None:
        self.kept.append(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def test_what_a_plain_transport_keeps_does_not_change_under_it() -> None:
    async def main() -> None:
        loop, transport = asyncio.get_running_loop(), Keeping()
        connection = Connection(
            loop=loop,
            buffers=BufferPool(1 << 18),
            on_made=lambda _: None,
            on_lost=lambda _: None,
        )
        connection.connection_made(transport)
        buffer = bytearray(b"first")
        connection.write(memoryview(buffer))
        buffer[:] = b"later"
        assert b"".join(transport.kept) == b"first"

    asyncio.run(main())


@pytest.mark.parametrize("odd", [b"b\nc: d", b"b\rc: d", b"b\0"])
def test_a_line_break_or_a_nul_within_a_line_of_a_reply_is_refused(odd: bytes) -> None:
    with pytest.raises(Broken, match="not HTTP"):
        ReplyHead(b"HTTP/1.1 200 OK\r\nA: " + odd + b"\r\n\r\n", "GET")
