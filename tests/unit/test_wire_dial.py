"""Getting connected: names, addresses, TLS, proxies."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from support.wire_server import LOOPS, Peer, certificates, ok, run_on, scripted, until
from sync.errors import ConfigError, OutcomeUnknown, TransientStoreError
from sync.wire.addresses import Addresses
from sync.wire.client import Client
from sync.wire.connection import Connection
from sync.wire.proxy import Proxies, Proxy
from sync.wire.request import Origin, Request, Timeouts
from sync.wire.tls import tls_context
from sync.wire.watchdog import Watchdog

SERVER_TLS, CLIENT_TLS, AUTHORITY = certificates()
OTHER_TLS = certificates("elsewhere.example")[0]

pytestmark = pytest.mark.parametrize("loop", LOOPS)


async def answer(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.say(ok(b"hello"))


async def fails(client: Client, origin: Origin) -> str:
    with pytest.raises(TransientStoreError) as caught:
        await client.send(Request("PUT", origin, "/k", body=b"x"))
    assert not isinstance(caught.value, OutcomeUnknown)
    assert client.connections_open == 0
    await client.close()
    return str(caught.value)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def resolving(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> list[str]:
    asked: list[str] = []

    async def resolve(_self: Addresses, host: str, port: int) -> list[tuple[str, int]]:
        asked.append(host)
        return [(address, port) for address in hosts]

    monkeypatch.setattr(Addresses, "_resolve", resolve)
    return asked


def test_an_own_bundle_of_authorities(loop: str, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(AUTHORITY)

    async def main() -> None:
        async with scripted(answer, tls=SERVER_TLS) as served:
            client = Client(tls=tls_context(str(bundle)))
            assert (await client.send(Request("GET", served.origin, "/"))).body == b"hello"
            await client.close()

    run_on(loop, main())


def test_a_bundle_that_cannot_be_used(loop: str, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=r"CA bundle.*PEM"):
            tls_context(str(tmp_path / name))


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_does_not_fit(loop: str, wrong: str) -> None:
    async def main() -> None:
        server = OTHER_TLS if wrong == "name" else SERVER_TLS
        async with scripted(answer, tls=server) as served:
            message = await fails(Client(), served.origin)
            assert "the certificate of localhost was not accepted" in message
            assert "AWS_CA_BUNDLE" in message

    run_on(loop, main())


def test_old_tls_is_not_spoken(loop: str) -> None:
    assert tls_context().minimum_version.name == "TLSv1_2"
    assert tls_context().check_hostname


def test_plain_http_where_tls_is_expected(loop: str) -> None:
    async def refuse(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def main() -> None:
        async with scripted(refuse) as served:
            origin = Origin("https", "localhost", served.origin.port)
            assert "TLS" in await fails(Client(tls=CLIENT_TLS), origin)

    run_on(loop, main())


def test_nobody_listens(loop: str) -> None:
    async def main() -> None:
        origin = Origin("http", "127.0.0.1", unused_port())
        assert "no connection with 127.0.0.1" in await fails(Client(), origin)

    run_on(loop, main())


def test_a_name_without_an_address(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def missing(*_: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(Addresses, "_resolve", missing)

    async def main() -> None:
        message = await fails(Client(), Origin("http", "nowhere.example", 80))
        assert "the name of nowhere.example cannot be resolved" in message

    run_on(loop, main())


def test_a_name_that_is_none(loop: str) -> None:
    async def main() -> None:
        message = await fails(Client(), Origin("http", "a" * 70 + ".example", 80))
        assert "cannot be resolved" in message

    run_on(loop, main())


def test_a_handshake_that_never_ends(loop: str) -> None:
    async def silent(peer: Peer) -> None:
        await peer.hold()

    async def main() -> None:
        async with scripted(silent) as served:
            client = Client(tls=CLIENT_TLS, timeouts=Timeouts(connect=0.2))
            origin = Origin("https", "127.0.0.1", served.origin.port)
            assert "within 0.2 s" in await fails(client, origin)

    run_on(loop, main())


def test_addresses_are_spread_over_and_bad_ones_passed_by(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolving(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.4")

    async def main() -> None:
        async with scripted(answer, host="127.0.0.3") as served:
            port = served.origin.port
            client = Client(max_idle=0)
            origin = Origin("http", "store.example", port)
            for _ in range(6):
                assert (await client.send(Request("GET", origin, "/"))).body == b"hello"
            bad = client._dialer.addresses._bad
            assert {host for host, _ in bad} <= {"127.0.0.2", "127.0.0.4"}
            assert bad
            assert asked == ["store.example"]
            await client.close()

    run_on(loop, main())


def test_every_address_gets_its_turn_within_its_family(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, "::1", "::2", "10.0.0.1", "10.0.0.2")

    async def main() -> None:
        addresses = Addresses(asyncio.get_running_loop())
        orders = [[host for host, _ in await addresses.of("x", 1)] for _ in range(4)]
        assert {order[0] for order in orders} == {"::1", "::2"}
        assert {order[2] for order in orders} == {"10.0.0.1", "10.0.0.2"}
        addresses.failed(("::1", 1))
        assert (await addresses.of("x", 1))[-1] == ("::1", 1)

    run_on(loop, main())


def test_ipv6(loop: str) -> None:
    async def main() -> None:
        async with scripted(answer, host="::1") as served:
            client = Client()
            assert (await client.send(Request("GET", served.origin, "/"))).body == b"hello"
            assert f"Host: [::1]:{served.origin.port}" in served.peers[0].heads[0]
            await client.close()

    run_on(loop, main())


def test_one_cancelled_caller_does_not_end_the_look_up_of_another(
    loop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = asyncio.Event()

    async def slow(_self: Addresses, _host: str, port: int) -> list[tuple[str, int]]:
        await gate.wait()
        return [("127.0.0.1", port)]

    monkeypatch.setattr(Addresses, "_resolve", slow)

    async def main() -> None:
        async with scripted(answer) as served:
            client = Client()
            origin = Origin("http", "store.example", served.origin.port)
            first, second = (
                asyncio.ensure_future(client.send(Request("GET", origin, "/"))) for _ in range(2)
            )
            await asyncio.sleep(0.01)
            first.cancel()
            await asyncio.sleep(0.01)
            gate.set()
            assert (await second).body == b"hello"
            assert first.cancelled()
            await client.close()

    run_on(loop, main())


def test_the_watchdog_looks_at_connections_made_after_it_had_none(loop: str) -> None:
    """A dial that takes longer than the watchdog's period must not go unwatched."""

    class Late:
        deadline = 0.0
        seen = 0

        def overdue(self) -> None:
            self.seen += 1

        def nudge(self) -> None: ...

    async def main() -> None:
        late: Any = Late()
        connections: set[Connection] = set()
        dog = Watchdog(asyncio.get_running_loop(), connections)
        dog.heed(Timeouts(idle=0.04))
        await asyncio.sleep(0.05)
        dog.watch(late)
        await until(lambda: late.seen > 1)
        dog.stop()

    run_on(loop, main())


# Proxies.


async def proxy_plain(peer: Peer) -> None:
    while True:
        head, _ = await peer.request()
        await peer.say(ok(head.split("\r\n")[0].encode()))


def test_http_through_a_proxy_is_asked_in_absolute_form(loop: str) -> None:
    async def main() -> None:
        async with scripted(proxy_plain) as proxy:
            port = proxy.origin.port
            proxies = Proxies.from_environment({"http_proxy": f"http://me:p%40ss@127.0.0.1:{port}"})
            client = Client(proxies=proxies)
            origin = Origin("http", "store.example", 8080)
            reply = await client.send(Request("GET", origin, "/b/a//b?x=1"))
            assert reply.body == b"GET http://store.example:8080/b/a//b?x=1 HTTP/1.1"
            assert "Proxy-Authorization: Basic bWU6cEBzcw==" in proxy.peers[0].heads[0]
            assert "p@ss" not in repr(proxies)
            await client.close()

    run_on(loop, main())


def test_https_through_a_proxy_is_a_tunnel(loop: str) -> None:
    async def main() -> None:
        async with scripted(answer, tls=SERVER_TLS) as served:
            port = served.origin.port

            async def tunnel(peer: Peer) -> None:
                await peer.head()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

                async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                    while data := await source.read(65536):
                        sink.write(data)
                    sink.close()

                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(pump(peer.reader, writer))
                        group.create_task(pump(reader, peer.writer))
                finally:
                    writer.transport.abort()
                    await asyncio.sleep(0)

            async with scripted(tunnel) as proxy:
                way = Proxy("127.0.0.1", proxy.origin.port)
                client = Client(tls=CLIENT_TLS, proxies=Proxies(https=way))
                for _ in range(2):
                    reply = await client.send(Request("GET", served.origin, "/", repeatable=False))
                    assert reply.body == b"hello"
                assert len(proxy.peers) == 1
                assert proxy.peers[0].heads[0].startswith(f"CONNECT localhost:{port} HTTP/1.1\r\n")
                assert served.peers[0].heads[0].startswith("GET / HTTP/1.1\r\n")
                await client.close()

    run_on(loop, main())


@pytest.mark.parametrize("server", ["wrong certificate", "refused"])
def test_a_tunnel_that_fails(loop: str, server: str) -> None:
    async def main() -> None:
        async def refuse(peer: Peer) -> None:
            await peer.head()
            await peer.say(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

        async def lie(peer: Peer) -> None:
            await peer.head()
            await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
            await peer.reader.read(100)
            await peer.say(b"this is no TLS at all, not in the least")

        async with scripted(refuse if server == "refused" else lie) as proxy:
            way = Proxy("127.0.0.1", proxy.origin.port)
            client = Client(tls=CLIENT_TLS, proxies=Proxies(https=way))
            with pytest.raises(TransientStoreError) as caught:
                await client.send(Request("GET", Origin("https", "store.example", 443), "/"))
            assert ("407" if server == "refused" else "TLS") in str(caught.value)
            await until(lambda: client.connections_open == 0)
            await client.close()

    run_on(loop, main())


PROXY = Proxy("proxy.example", 3128)


@pytest.mark.parametrize(
    ("entry", "host", "covered"),
    [
        ("*", "anything.example", True),
        ("example.com", "example.com", True),
        ("example.com", "a.example.com", True),
        (".example.com", "a.example.com", True),
        ("*.example.com", "a.example.com", True),
        ("example.com", "badexample.com", False),
        ("example.com:443", "example.com", True),
        ("example.com:80", "example.com", False),
        ("EXAMPLE.com", "Example.COM", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("::1", "::1", True),
        ("[::1]:443", "::1", True),
        ("fd00::/8", "fd00::5", True),
        ("localhost", "127.0.0.1", False),
        ("a.example, b.example c.example", "c.example", True),
    ],
)
def test_no_proxy(loop: str, entry: str, host: str, covered: bool) -> None:
    environ = {"HTTPS_PROXY": "proxy.example:3128", "NO_PROXY": entry}
    proxies = Proxies.from_environment(environ)
    assert (proxies.for_origin(Origin("https", host, 443)) is None) == covered


def test_which_variable_counts(loop: str) -> None:
    read = Proxies.from_environment
    assert read({}) == Proxies()
    assert read({"ALL_PROXY": "http://proxy.example:3128"}) == Proxies(PROXY, PROXY)
    assert read({"https_proxy": "proxy.example:3128", "HTTPS_PROXY": "other:1"}).https == PROXY
    cgi = {"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil:1"}
    assert read(cgi).http is None
    for wrong in ("socks5://user:secret@proxy:1080", "https://proxy", "http://proxy:port"):
        with pytest.raises(ConfigError, match="HTTPS_PROXY: only proxies") as caught:
            read({"HTTPS_PROXY": wrong})
        assert "secret" not in str(caught.value)
