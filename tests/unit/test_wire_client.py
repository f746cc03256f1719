"""The client against a server that plays scripts byte for byte, on both loops, plain and TLS."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from support.wire_server import LOOPS, Peer, Script, Scripted, certificates, ok, run_on, until
from support.wire_server import scripted as serve
from sync.checksums import BytesStream
from sync.errors import IntegrityError, OutcomeUnknown, RequestRefused, TransientStoreError
from sync.wire.client import Client
from sync.wire.connection import Connection
from sync.wire.errors import Broken
from sync.wire.request import Origin, Progress, Request, Timeouts

SERVER_TLS, CLIENT_TLS, _ = certificates()
MIB = 1024 * 1024
Play = Callable[[Client, Scripted], Coroutine[Any, Any, None]]


@pytest.fixture(params=[(loop, tls) for loop in LOOPS for tls in ("plain", "tls")], ids="-".join)
def world(request: pytest.FixtureRequest) -> World:
    loop, tls = request.param
    return World(loop, encrypted=tls == "tls")


class World:
    """A loop, and a way to serve and to speak on it."""

    def __init__(self, loop: str, *, encrypted: bool) -> None:
        self.loop = loop
        self.server_tls: ssl.SSLContext | None = SERVER_TLS if encrypted else None
        self.client_tls = CLIENT_TLS if encrypted else None

    def run(self, test: Play, *scripts: Script, **options: Any) -> None:
        async def main() -> None:
            client = Client(tls=self.client_tls, **options)
            async with self.serve(*scripts) as served:
                try:
                    await test(client, served)
                finally:
                    await client.close()
                assert client.connections_open == 0

        run_on(self.loop, main())

    def serve(self, *scripts: Script) -> AbstractAsyncContextManager[Scripted]:
        return serve(*scripts, tls=self.server_tls)


def says(*pieces: bytes, then: str = "again") -> Script:
    """Read a request, send these pieces; then serve again, close, reset or stay silent."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(*pieces)
            if then == "reset":
                peer.reset()
            if then == "hold":
                await peer.hold()
            if then != "again":
                return

    return script


def get(served: Scripted, target: str = "/b/k", **more: Any) -> Request:
    return Request("GET", served.origin, target, **more)


def put(served: Scripted, body: Any = b"", **more: Any) -> Request:
    return Request("PUT", served.origin, "/b/k", body=body, **more)


class Stream:
    """A body of ``count`` blocks; may raise, or lie about its length."""

    def __init__(self, count: int, *, size: int = 64 * 1024, lie: int = 0) -> None:
        self.count, self.size = count, size
        self.length = count * size + lie
        self.given = 0
        self.error: BaseException | None = None
        self.gate: asyncio.Event | None = None

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for index in range(self.count):
            if self.error is not None and index == self.count - 1:
                raise self.error
            if self.gate is not None and index == self.count - 1:
                await self.gate.wait()
            yield memoryview(bytes([index % 251]) * self.size)
            self.given += 1


# Heads and bodies.


@pytest.mark.parametrize("size", [0, 1, 4096, 32 * 1024, 256 * 1024, 3 * MIB + 17])
def test_a_body_with_a_length_comes_whole_and_the_connection_serves_again(
    world: World, size: int
) -> None:
    body = bytes(index * 7 % 251 for index in range(1021)) * (size // 1021 + 1)
    body = body[:size]

    async def test(client: Client, served: Scripted) -> None:
        for _ in range(3):
            reply = await client.send(get(served))
            assert (reply.status, reply.body, reply.resent) == (200, body, False)
            assert reply.headers["x-a"] == "1"
            async with client.stream(get(served)) as response:
                assert response.content_length == size
                assert b"".join([bytes(chunk) async for chunk in response.chunks()]) == body
        assert (len(served.peers), client.connections_idle) == (1, 1)

    world.run(test, says(ok(body, b"X-A: 1\r\n")))


def test_a_head_in_single_bytes(world: World) -> None:
    raw = ok(b"hello", b"X-Long: " + b"v" * 40 + b"\r\n")

    async def test(client: Client, served: Scripted) -> None:
        assert (await client.send(get(served))).body == b"hello"

    world.run(test, says(*[raw[at : at + 1] for at in range(len(raw))]))


@pytest.mark.parametrize(
    "pieces",
    [
        [b"5\r\nhello\r\n0\r\n\r\n"],
        [b"5\r", b"\nhel", b"lo\r\n0\r\n\r", b"\n"],
        [b'5;a=b;c="d"\r\nhello\r\n', b"0;last\r\nX-Trailer: 1\r\nETag: no\r\n\r\n"],
        [b"1\r\nh\r\n", b"1\r\ne\r\n1\r\nl\r\n", b"2\r\nlo\r\n000\r\n\r\n"],
    ],
)
def test_chunked_bodies_however_they_are_cut(world: World, pieces: list[bytes]) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: yes\r\n\r\n"

    async def test(client: Client, served: Scripted) -> None:
        for _ in range(2):
            reply = await client.send(get(served))
            assert (reply.body, reply.headers["etag"]) == (b"hello", "yes")
            async with client.stream(get(served)) as response:
                assert response.content_length is None
                assert b"".join([bytes(chunk) async for chunk in response.chunks()]) == b"hello"
        assert len(served.peers) == 1

    world.run(test, says(head + pieces[0], *pieces[1:]))


def test_a_large_chunked_body_keeps_little_in_memory_and_loses_nothing(world: World) -> None:
    block = bytes(range(256)) * 512
    chunk = b"%x\r\n%s\r\n" % (len(block), block)

    async def test(client: Client, served: Scripted) -> None:
        total = 0
        async with client.stream(get(served)) as response:
            async for piece in response.chunks():
                assert len(piece) < MIB
                total += len(piece)
                await asyncio.sleep(0.1 if total < MIB else 0)  # time to pile up, if it could
        assert total == 40 * len(block)

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    world.run(test, says(head + chunk * 40 + b"0\r\n\r\n"))


def test_a_body_that_ends_with_the_connection(world: World) -> None:
    body = b"x" * 300_000

    async def test(client: Client, served: Scripted) -> None:
        assert (await client.send(get(served))).body == body
        assert client.connections_idle == 0

    world.run(test, says(b"HTTP/1.1 200 OK\r\n\r\n" + body, then="close"))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_body_that_ends_with_a_reset_connection_is_not_whole(loop: str) -> None:
    async def rude(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        await peer.reader.read(1)
        linger = struct.pack("ii", 1, 0)
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.reset()

    async def test(client: Client, served: Scripted) -> None:
        async with client.stream(get(served)) as response:
            response.connection.write(b"x")  # type: ignore[attr-defined]  # now the reset comes
            with pytest.raises(TransientStoreError, match="did not come whole"):
                await response.read()

    World(loop, encrypted=False).run(test, rude)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_no_body_where_the_status_has_none(world: World, status: bytes) -> None:
    async def test(client: Client, served: Scripted) -> None:
        for _ in range(2):
            assert (await client.send(get(served))).body == b""
        assert len(served.peers) == 1

    world.run(test, says(b"HTTP/1.1 " + status + b"\r\nContent-Length: 10\r\n\r\n"))


def test_head_has_no_body_but_its_headers(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        for _ in range(2):
            async with client.stream(Request("HEAD", served.origin, "/k")) as response:
                assert response.content_length == 0
                assert response.headers["content-length"] == "12345"
        assert len(served.peers) == 1

    world.run(test, says(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"))


def test_interim_replies_are_skipped(world: World) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    async def test(client: Client, served: Scripted) -> None:
        for _ in range(2):
            reply = await client.send(put(served, b"data"))
            assert (reply.status, reply.body) == (200, b"done")
            assert "link" not in reply.headers

    world.run(test, says(early, b"HTTP/1.1 102 Processing\r\n\r\n" + ok(b"done")))


def test_repeated_headers_are_joined_and_latin_1_passes(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        request = get(served, headers=(("x-amz-meta-name", "gr\xfc\xdfe"),))
        reply = await client.send(request)
        assert reply.headers["x-amz-meta-a"] == "1, 2"
        assert reply.headers["x-amz-meta-u"] == "caf\xe9"
        assert "x-amz-meta-name: gr\xfc\xdfe" in served.peers[0].heads[0]

    world.run(
        test, says(ok(b"", b"X-Amz-Meta-A: 1\r\nx-amz-meta-a: 2\r\nX-Amz-Meta-U: caf\xe9\r\n"))
    )


def test_what_goes_out_is_what_was_asked(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        await client.send(get(served, "/b/a//b/../%2B?x=1", headers=(("Range", "bytes=0-1"),)))
        await client.send(put(served, b"abc"))
        await client.send(Request("POST", served.origin, "/q"))
        first, second, third = served.peers[0].heads
        assert first.startswith("GET /b/a//b/../%2B?x=1 HTTP/1.1\r\n")
        assert f"\r\nHost: {served.origin.authority}\r\n" in first
        assert "\r\nRange: bytes=0-1" in first
        assert "\r\nUser-Agent: 3gsync/" in first
        assert "Content-Length" not in first
        assert "\r\nContent-Length: 3" in second
        assert "\r\nContent-Length: 0" in third

    world.run(test, says(ok()))


# Replies that are wrong.


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "did not come whole"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "did not come whole"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "framing"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            "not HTTP|Content-Length",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "not HTTP|Content-Length"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "not HTTP|Content-Length",
        ),
        (b"HTTP/1.1 200 OK\r\nX: ", "closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not HTTP"),
        (
            b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
            "not HTTP|another protocol",
        ),
        (b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 201 + b"\r\n", "more than 200 headers"),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 70_000 + b"\r\n\r\n", "longer than 65536"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: bcdefgh\r\n" * 20_000, "longer than 65536"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"e" * 400_000,
            "without content",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: u\r\n" * 60_000,
            "without content",
        ),
    ],
)
def test_broken_replies_are_transient_errors(world: World, raw: bytes, complaint: str) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match=complaint):
            await client.send(get(served, "/b/k?X-Amz-Signature=secret"))
        assert client.connections_idle == 0

    world.run(test, says(raw, then="close"))


def test_no_query_is_shown_in_an_error(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError) as caught:
            await client.send(get(served, "/b/k?X-Amz-Signature=topsecret"))
        assert "topsecret" not in f"{caught.value} {caught.value.operation}"
        assert caught.value.operation == f"GET {served.origin.authority}/b/k"

    world.run(test, says(then="close"))


def test_a_reply_above_the_limit(world: World) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + b"x" * 64

    async def test(client: Client, served: Scripted) -> None:
        for script in (0, 1):
            with pytest.raises(TransientStoreError, match="longer than 50 bytes"):
                await client.send(get(served), limit=50)
            await until(lambda: client.connections_open == 0)
            assert len(served.peers) == script + 1

    world.run(test, says(ok(b"x" * 51)), says(chunked + b"\r\n0\r\n\r\n"))


def test_bytes_after_the_reply_end_the_connection(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        for count in (1, 2, 3):
            assert (await client.send(get(served))).body == b"hi"
            assert len(served.peers) == count

    world.run(test, says(ok(b"hi") + b"garbage"))


def test_unasked_bytes_on_an_idle_connection_end_it(world: World) -> None:
    async def unasked(peer: Peer) -> None:
        await peer.request()
        await peer.say(ok(b"hi"), b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await peer.hold()

    async def test(client: Client, served: Scripted) -> None:
        assert (await client.send(get(served))).body == b"hi"
        await until(lambda: client.connections_open == 0)
        assert (await client.send(get(served))).body == b"hi"

    world.run(test, unasked)


# Keeping alive.


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_a_connection_the_server_will_close_is_not_kept(world: World, raw: bytes) -> None:
    async def test(client: Client, served: Scripted) -> None:
        for count in (1, 2):
            assert (await client.send(get(served))).body == b"hi"
            assert client.connections_idle == 0
            assert len(served.peers) == count

    world.run(test, says(raw))


async def _dies_on_the_second(peer: Peer) -> None:
    await peer.request()
    await peer.say(ok(b"first"))
    await peer.request()
    peer.reset()


def test_a_stale_connection_is_replaced_once_and_said(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        assert (await client.send(get(served))).body == b"first"
        reply = await client.send(put(served, BytesStream(b"x" * 5000)))
        assert (reply.body, reply.resent) == (b"first", True)
        assert served.peers[1].number == 1

    world.run(test, _dies_on_the_second)


def test_a_request_that_must_not_be_repeated_is_not(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        await client.send(get(served))
        with pytest.raises(OutcomeUnknown):
            await client.send(put(served, b"x", repeatable=False))
        assert len(served.peers) == 1

    world.run(test, _dies_on_the_second)


def test_a_second_death_is_an_error_and_the_first_copy_not_forgotten(world: World) -> None:
    async def dies(peer: Peer) -> None:
        await peer.head()
        peer.reset()

    async def test(client: Client, served: Scripted) -> None:
        await client.send(get(served))
        with pytest.raises(OutcomeUnknown):
            await client.send(put(served, b"x"))
        assert len(served.peers) == 2

    world.run(test, _dies_on_the_second, dies)


def test_a_second_try_that_finds_no_connection_does_not_forget_the_first(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        async def no_way(*_: object) -> None:
            raise Broken("no way")

        await client.send(get(served))
        client._dialer.dial = no_way  # type: ignore[assignment, method-assign]
        with pytest.raises(OutcomeUnknown, match="no way"):
            await client.send(put(served, b"x"))

    world.run(test, _dies_on_the_second)


def test_a_reply_cut_after_its_first_byte_is_not_asked_for_again(world: World) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(ok(b"first"))
        await peer.request()
        await peer.say(b"HTT")
        peer.reset()

    async def test(client: Client, served: Scripted) -> None:
        await client.send(get(served))
        with pytest.raises(TransientStoreError):
            await client.send(get(served))
        assert len(served.peers) == 1

    world.run(test, script)


def test_idle_connections_are_bounded_in_number_and_the_latest_is_used_first(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        await asyncio.gather(*[client.send(get(served)) for _ in range(6)])
        assert client.connections_idle == 2
        await until(lambda: client.connections_open == 2)
        for _ in range(3):
            await client.send(get(served))
        counts = sorted(len(peer.heads) for peer in served.peers)
        assert counts == [1, 1, 1, 1, 1, 4]

    world.run(test, says(ok()), max_idle=2)


def test_idle_connections_grow_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.wire.client.MAX_IDLE_SECONDS", 0.0)

    async def test(client: Client, served: Scripted) -> None:
        await client.send(get(served))
        assert client.connections_idle == 1
        await until(lambda: client.connections_open == 0)
        assert client.connections_idle == 0

    world.run(test, says(ok()), timeouts=Timeouts(idle=0.05))


def test_leaving_a_body_half_read_closes_the_connection(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        async with client.stream(get(served)) as response:
            async for _ in response.chunks():
                break
        assert client.connections_idle == 0
        await until(lambda: served.open == 0)

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n"
    world.run(test, says(head + b"x" * 500_000, then="hold"))


# Sending.


@pytest.mark.parametrize("blocks", [1, 3, 40])
def test_streams_and_bytes_arrive_as_they_are(world: World, blocks: int) -> None:
    async def echo_length(peer: Peer) -> None:
        while True:
            _, body = await peer.request()
            await peer.say(ok(b"%d %d" % (len(body), sum(body))))

    async def test(client: Client, served: Scripted) -> None:
        expected = b"".join([bytes(chunk) async for chunk in Stream(blocks)])
        said = b"%d %d" % (len(expected), sum(expected))
        for body in (Stream(blocks), expected, BytesStream(expected)):
            assert (await client.send(put(served, body))).body == said
        assert len(served.peers) == 1

    world.run(test, echo_length)


def test_an_early_error_ends_the_sending_and_is_read(world: World) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.head()
        await peer.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied")
        await asyncio.sleep(3600)  # never reads the body: only the reply can end the sending

    async def test(client: Client, served: Scripted) -> None:
        body = Stream(4000)
        progress = Progress()
        reply = await client.send(put(served, body, progress=progress))
        assert (reply.status, reply.body) == (403, b"denied")
        assert body.given < 4000
        assert (progress.sent_in_full, progress.replied) == (False, True)
        assert client.connections_idle == 0

    world.run(test, refuse)


def test_success_before_the_body_was_sent_is_no_success(world: World) -> None:
    async def rash(peer: Peer) -> None:
        await peer.head()
        await peer.say(ok(b"thanks"))
        await peer.hold()

    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match="before the body"):
            await client.send(put(served, Stream(4000)))

    world.run(test, rash)


def test_a_body_that_raises_cuts_the_request_and_its_error_goes_on(world: World) -> None:
    seen: list[int] = []

    async def count(peer: Peer) -> None:
        await peer.head()
        seen.append(len(await peer.reader.read(-1)))

    async def test(client: Client, served: Scripted) -> None:
        body = Stream(30)
        body.error = KeyError("mine")
        with pytest.raises(KeyError) as caught:
            await client.send(put(served, body))
        assert caught.value is body.error
        await until(lambda: served.open == 0)
        assert sum(seen) < body.length
        await until(lambda: client.connections_open == 0)

    world.run(test, count)


def test_a_small_body_that_raises_is_never_begun(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        body = Stream(2, size=10)
        body.error = KeyError("mine")
        with pytest.raises(KeyError):
            await client.send(put(served, body))
        assert served.peers == []

    world.run(test, says(ok()))


@pytest.mark.parametrize(("count", "size"), [(30, 64 * 1024), (2, 10)])
@pytest.mark.parametrize("lie", [5, -5])
def test_a_body_of_another_length_than_announced(
    world: World, count: int, size: int, lie: int
) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(IntegrityError, match="announced"):
            await client.send(put(served, Stream(count, size=size, lie=lie)))
        assert client.connections_idle == 0

    world.run(test, says(ok()))


def test_no_reply_to_a_write_sent_in_full_is_an_unknown_outcome(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        for body in (b"x", Stream(30)):
            progress = Progress()
            with pytest.raises(OutcomeUnknown):
                await client.send(put(served, body, progress=progress))
            assert progress.outcome_unknown
        with pytest.raises(TransientStoreError) as caught:
            await client.send(get(served))
        assert type(caught.value) is TransientStoreError

    world.run(test, says(then="close"))


def test_a_write_cut_half_way_is_not_an_unknown_outcome(world: World) -> None:
    async def cut(peer: Peer) -> None:
        await peer.head()
        await peer.reader.readexactly(100_000)
        peer.reset()

    async def test(client: Client, served: Scripted) -> None:
        progress = Progress()
        with pytest.raises(TransientStoreError) as caught:
            await client.send(put(served, Stream(400), progress=progress))
        assert type(caught.value) is TransientStoreError
        assert not progress.outcome_unknown

    world.run(test, cut)


@pytest.mark.parametrize(
    "header",
    [
        ("x-a: b, x-c", "1"),
        ("x a", "1"),
        ("", "1"),
        ("x-a", "b\r\nEvil: 1"),
        ("x-a\n", "b"),
        ("x-a", "\0"),
        ("x-a", "\u2603"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(world: World, header: tuple[str, str]) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(RequestRefused):
            await client.send(get(served, headers=(header,)))
        with pytest.raises(RequestRefused):
            await client.send(get(served, "/a b"))
        assert served.peers == []

    world.run(test, says(ok()))


# Time limits and cancelling.


QUICK = Timeouts(connect=5.0, first_byte=0.15, idle=0.15, whole=5.0)


async def _drips(peer: Peer) -> None:
    await peer.request()
    while True:
        await peer.say(b"HTTP/1.1 200 OK\r\n" if len(peer.heads) == 0 else b"X-A: b\r\n")
        await asyncio.sleep(0.01)


def test_no_head_in_time(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match=r"no reply within 0\.15 s"):
            await client.send(get(served))
        with pytest.raises(OutcomeUnknown, match=r"no reply within 0\.15 s"):
            await client.send(put(served, b"x"))
        await until(lambda: client.connections_open == 0)

    world.run(test, says(then="hold"), timeouts=QUICK)


def test_a_head_that_drips_is_not_waited_for(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match="no reply within"):
            await client.send(get(served))

    world.run(test, _drips, timeouts=QUICK)


def test_interim_replies_without_end_are_not_waited_for(world: World) -> None:
    async def chatter(peer: Peer) -> None:
        await peer.request()
        while True:
            await peer.say(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
            await asyncio.sleep(0.005)

    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match="no reply within"):
            await client.send(get(served))

    world.run(test, chatter, timeouts=QUICK)


def test_a_body_that_stops(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match="no byte of the reply"):
            await client.send(get(served))

    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome"
    world.run(test, says(raw, then="hold"), timeouts=QUICK)


def _slowly(piece: bytes) -> Script:
    async def slow(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            await peer.say(piece)
            await asyncio.sleep(0.02)

    return slow


def test_a_body_that_drips_is_not_waited_for(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match=r"only \d+ bytes of the reply's body"):
            await client.send(get(served))

    limits = Timeouts(connect=5.0, first_byte=5.0, idle=0.2, whole=60.0)
    world.run(test, _slowly(b"x"), timeouts=limits)


def test_a_body_that_comes_slowly_is_waited_for_until_the_whole_is_too_long(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        got = 0
        with pytest.raises(TransientStoreError, match="as a whole"):
            async with client.stream(get(served)) as response:
                async for chunk in response.chunks():
                    got += len(chunk)
        assert got > 10_000  # far longer than ``idle``, and handed on before the end

    limits = Timeouts(connect=5.0, first_byte=0.2, idle=0.2, whole=1.0)
    world.run(test, _slowly(b"x" * 1000), timeouts=limits)


def test_a_body_nobody_takes(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        with pytest.raises(TransientStoreError, match="no byte of the body was taken") as caught:
            await client.send(put(served, Stream(4000)))
        assert type(caught.value) is TransientStoreError

    async def deaf(peer: Peer) -> None:
        await peer.head()
        await asyncio.sleep(3600)

    world.run(test, deaf, timeouts=QUICK)


@pytest.mark.parametrize("where", ["head", "body", "sending"])
def test_a_cancelled_task_closes_its_connection(world: World, where: str) -> None:
    async def script(peer: Peer) -> None:
        await (peer.head() if where == "sending" else peer.request())
        if where == "body":
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await peer.hold()

    async def test(client: Client, served: Scripted) -> None:
        progress = Progress()
        body = Stream(3)
        if where == "sending":
            body.gate = asyncio.Event()
        task = asyncio.ensure_future(client.send(put(served, body, progress=progress)))
        await until(lambda: bool(served.peers and served.peers[0].heads))
        await until(
            lambda: (
                progress.replied if where == "body" else where == "sending" or progress.sent_in_full
            )
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.connections_idle == 0
        assert progress.outcome_unknown == (where == "head")
        await until(lambda: served.open == 0)

    world.run(test, script)


def test_a_request_shows_no_secret() -> None:
    origin = Origin("https", "bucket.example", 443)
    headers = (("x-amz-security-token", "hidden"),)
    request = Request("PUT", origin, "/k?X-Amz-Signature=hidden", headers, b"hidden")
    assert repr(request) == "Request(PUT https://bucket.example/k)"


def test_a_closed_client_says_so(world: World) -> None:
    async def test(client: Client, served: Scripted) -> None:
        waiting = asyncio.ensure_future(client.send(get(served)))
        await until(lambda: bool(served.peers and served.peers[0].heads))
        await client.close()
        with pytest.raises(TransientStoreError, match="client was closed"):
            await waiting
        with pytest.raises(RuntimeError, match="closed"):
            await client.send(get(served))

    world.run(test, says(then="hold"))


def test_lost_connections_need_no_garbage_collector(world: World) -> None:
    """Their buffers would else be kept until it comes round."""

    async def test(client: Client, served: Scripted) -> None:
        for _ in range(3):
            with pytest.raises(TransientStoreError):
                await client.send(get(served))
        await until(lambda: client.connections_open == 0)
        await asyncio.sleep(0)
        left = [found for found in gc.get_objects() if isinstance(found, Connection)]
        assert not left

    broken = says(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", then="close")
    gc.collect()
    gc.disable()
    try:
        world.run(test, broken, broken, broken)
    finally:
        gc.enable()
