"""A GET's body as a PUT's: whole, in bounded memory, at the pace of the slower side."""

from __future__ import annotations

import asyncio
import resource
import ssl
import tracemalloc
from collections.abc import AsyncIterator

import pytest
from awscrt import checksums as crt

from support.wire_server import LOOPS, Peer, Scripted, certificates, ok, run_on, scripted, until
from sync.checksums import DigestingStream
from sync.errors import TransientStoreError
from sync.wire.client import Client, Reply
from sync.wire.request import Progress, Request, Response

SERVER_TLS, CLIENT_TLS, _ = certificates()
MIB = 1024 * 1024
BLOCK = bytes(range(256)) * 1024


class Body:
    """A reply's body as a ByteStream."""

    def __init__(self, response: Response) -> None:
        assert response.content_length is not None
        self.response = response
        self.length = response.content_length

    def __aiter__(self) -> AsyncIterator[memoryview]:
        return self.response.chunks()


class Store:
    """Gives BLOCK again and again; takes bodies, and can stop taking."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = self.taken = self.crc = 0
        self.take = asyncio.Event()
        self.take.set()
        self.torn = 0

    async def play(self, peer: Peer) -> None:
        while True:
            head = await peer.head()
            await (self.give(peer) if head.startswith("GET") else self.accept(peer))

    async def give(self, peer: Peer) -> None:
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.size)
        while self.sent < self.size:
            block = BLOCK[: self.size - self.sent]
            await peer.say(block)
            self.sent += len(block)

    async def accept(self, peer: Peer) -> None:
        left = self.size
        while left:
            await self.take.wait()
            data = await peer.reader.read(min(left, len(BLOCK)))
            if not data:
                self.torn += 1
                raise ConnectionResetError
            self.crc = crt.crc32c(data, self.crc)
            left -= len(data)
            self.taken += len(data)
        await peer.say(ok())


async def relay(client: Client, served: Scripted, progress: Progress | None = None) -> int:
    async with client.stream(Request("GET", served.origin, "/from")) as response:
        stream = DigestingStream(Body(response))
        put = Request("PUT", served.origin, "/to", body=stream, progress=progress)
        reply: Reply = await client.send(put)
        assert reply.status == 200
    crc = stream.digester.checksums().crc32c
    assert crc is not None
    return crc


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [None, SERVER_TLS], ids=["plain", "tls"])
def test_a_quarter_gibibyte_passes_in_bounded_memory(loop: str, tls: ssl.SSLContext | None) -> None:
    size = 256 * MIB + 12_345

    async def main() -> None:
        store = Store(size)
        client = Client(tls=CLIENT_TLS)
        async with scripted(store.play, tls=tls) as served:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            crc = await relay(client, served)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert (store.taken, store.crc) == (size, crc)
            assert client.connections_idle == 2
            await client.close()
        assert grown < 24 * 1024  # KiB; both sides of both connections

    run_on(loop, main())


def test_what_a_connection_allocates_is_below_a_mebibyte() -> None:
    width = 4

    async def main() -> None:
        client = Client()

        async def give(peer: Peer) -> None:
            head = await peer.head()
            if head.startswith("GET"):
                await Store(64 * MIB).give(peer)
            await asyncio.sleep(3600)  # the taker is deaf

        async with scripted(give) as served:
            tracemalloc.start()
            tasks = [asyncio.ensure_future(relay(client, served)) for _ in range(width)]
            await until(lambda: sum(c.congested for c in client._open) == width)
            wire_only = [tracemalloc.Filter(inclusive=True, filename_pattern="*/sync/wire/*")]
            held = tracemalloc.take_snapshot().filter_traces(wire_only)
            written = [c.transport.get_write_buffer_size() for c in client._open]
            tracemalloc.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()
        total = sum(written) + sum(line.size for line in held.statistics("filename"))
        assert max(written) > 0
        assert total < 2 * width * MIB

    run_on("asyncio", main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [None, SERVER_TLS], ids=["plain", "tls"])
def test_a_taker_that_stalls_stops_the_giver(loop: str, tls: ssl.SSLContext | None) -> None:
    size = 96 * MIB

    async def main() -> None:
        store = Store(size)
        store.take.clear()
        client = Client(tls=CLIENT_TLS)
        async with scripted(store.play, tls=tls) as served:
            task = asyncio.ensure_future(relay(client, served))
            sent = -1
            while sent != store.sent or store.sent == 0:
                sent = store.sent
                await asyncio.sleep(0.2)
            assert store.sent < 48 * MIB  # kernel buffers on loopback take a good deal
            store.take.set()
            assert await task == store.crc
            assert store.taken == size
            await client.close()

    run_on(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("tls", [None, SERVER_TLS], ids=["plain", "tls"])
def test_a_get_that_breaks_tears_the_put(loop: str, tls: ssl.SSLContext | None) -> None:
    async def main() -> None:
        store = Store(64 * MIB)

        async def play(peer: Peer) -> None:
            head = await peer.head()
            if head.startswith("PUT"):
                await store.accept(peer)
                return
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % store.size)
            await peer.say(*[BLOCK] * 20)

        client = Client(tls=CLIENT_TLS)
        async with scripted(play, tls=tls) as served:
            progress = Progress()
            with pytest.raises(TransientStoreError, match=r"GET .*did not come whole") as caught:
                await relay(client, served, progress)
            assert type(caught.value) is TransientStoreError
            assert not progress.outcome_unknown
            await until(lambda: store.torn == 1)
            assert store.taken < store.size
            await until(lambda: client.connections_open == 0)
            await client.close()

    run_on(loop, main())
