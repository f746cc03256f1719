"""A raw server that plays scripts byte for byte, and ways to run a coroutine on both loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trustme
import uvloop

from sync.wire.request import Origin

Script = Callable[["Peer"], Awaitable[None]]
LOOPS = ("asyncio", "uvloop")


def run_on(loop: str, main: Coroutine[Any, Any, None]) -> None:
    """Run to the end on the named loop; whatever the loop complains of fails the test."""
    complaints: list[str] = []

    async def watched() -> None:
        def complain(_loop: object, context: dict[str, Any]) -> None:
            complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

        asyncio.get_running_loop().set_exception_handler(complain)
        await asyncio.wait_for(main, 60)

    if loop == "uvloop":
        uvloop.run(watched())
    else:
        asyncio.run(watched())
    assert complaints == []


async def until(condition: Callable[[], bool]) -> None:
    """Poll until it holds; the test's own time limit is the end of patience."""
    while not condition():
        await asyncio.sleep(0.002)


@dataclass
class Peer:
    """The server's side of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    heads: list[str] = field(default_factory=list)

    async def head(self) -> str:
        """The next request's head, without the empty line."""
        raw = await self.reader.readuntil(b"\r\n\r\n")
        text = raw.decode("latin-1")[:-4]
        self.heads.append(text)
        return text

    async def request(self) -> tuple[str, bytes]:
        """The next request's head, and its body by Content-Length."""
        head = await self.head()
        for line in head.lower().split("\r\n"):
            if line.startswith("content-length:"):
                return head, await self.reader.readexactly(int(line.partition(":")[2]))
        return head, b""

    async def say(self, *pieces: bytes) -> None:
        """Send each piece as an arrival of its own, as far as that can be arranged."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.001)

    async def hold(self) -> None:
        """Stay silent until the other side goes away."""
        await self.reader.read()

    def reset(self) -> None:
        """Go away rudely."""
        self.writer.transport.abort()


class Scripted:
    """Where the server listens, and whom it has seen."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.peers: list[Peer] = []
        self.errors: list[BaseException] = []
        self.open = 0


@asynccontextmanager
async def scripted(
    *scripts: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Scripted]:
    """Serve: the nth connection plays the nth script, later ones the last.

    A script's failed assertion fails the test; its connection ends when it returns.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, len(served.peers))
        served.peers.append(peer)
        served.open += 1
        try:
            await scripts[min(peer.number, len(scripts) - 1)](peer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001  handed to the test below
            served.errors.append(error)
        finally:
            served.open -= 1
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(play(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, 0, ssl=tls, limit=1 << 20)
    port = server.sockets[0].getsockname()[1]
    name = "localhost" if tls else host
    served = Scripted(Origin("https" if tls else "http", name, port))
    try:
        yield served
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for peer in served.peers:
            peer.writer.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    for error in served.errors:
        raise error


def certificates(name: str = "localhost") -> tuple[ssl.SSLContext, ssl.SSLContext, bytes]:
    """A server's context for this name, a client's that trusts it, and the authority's PEM."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client, authority.cert_pem.bytes()


def ok(body: bytes = b"", extra: bytes = b"") -> bytes:
    """A plain 200 with this body."""
    return b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (extra, len(body), body)
