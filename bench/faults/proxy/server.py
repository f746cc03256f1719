"""The fault proxy: in front of one server, forwards every byte unchanged but where a rule says."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from faults.proxy.certificates import authority_file, server_context
from faults.proxy.exchange import Cut, Entry, Exchange, Stream
from faults.proxy.heads import HEAD_LIMIT, read_head
from faults.proxy.library import BACKGROUND
from faults.proxy.rules import Fault, Rule

_PATIENCE = 60.0
_QUIET_STEPS = 10


@dataclass
class _Background:
    rate: float
    faults: Sequence[Fault]
    chance: random.Random
    match: re.Pattern[str]

    def draw(self, line: str) -> Fault | None:
        if not self.match.search(line) or self.chance.random() >= self.rate:
            return None
        return self.chance.choice(self.faults)


class FaultProxy:
    """Listens on loopback before ``upstream``, a URL of scheme, host and port.

    ``tls``: whoever asks speaks TLS with it, to ``localhost``, under the authority in
    ``ca_file``. ``keep``: bodies of requests that this is found in stay in the journal.
    ``most_connections`` are served at a time (0: any number), the rest is reset; the next
    ``impostures`` handshakes show another host's certificate. ``close`` names the rules that
    never struck.
    """

    def __init__(
        self, upstream: str, *, tls: bool = False, upstream_ca: str = "", keep: str = r"(?!)"
    ) -> None:
        parts = urlsplit(upstream)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._secure = (
            ssl.create_default_context(cafile=upstream_ca or None)
            if parts.scheme == "https"
            else None
        )
        self._keep = re.compile(keep)
        self._context = server_context("localhost") if tls else None
        if self._context is not None:
            self._impostor = server_context("another.example")
            self._context.sni_callback = self._choose
        self.tls = tls
        self.fired: Counter[str] = Counter()
        self.journal: list[Entry] = []
        self.most_connections = 0
        self.impostures = 0
        self.greeting: Callable[[Stream], Awaitable[None]] | None = None
        self.rules: list[Rule] = []
        self._background: _Background | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._open: set[Stream] = set()
        self._serving: set[asyncio.Task[Any] | None] = set()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self.port = self._call(self._listen())

    # --- what its user calls, from other threads ---------------------------------------

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The authority of all fault proxies of this process."""
        return authority_file()

    def add(self, *rules: Rule) -> Rule:
        """Put rules in place, behind those there are; gives the first back."""
        with self._lock:
            self.rules += rules
        return rules[0]

    def background(
        self,
        rate: float = 0.05,
        kinds: Sequence[str] | None = None,
        seed: int = 0,
        match: str = "",
    ) -> None:
        """Random faults from now on, at this rate, over the requests that no rule takes."""
        faults = [BACKGROUND[kind] for kind in kinds or BACKGROUND]
        self._background = _Background(rate, faults, random.Random(seed), re.compile(match))

    def quiet(self) -> None:
        """No random faults any more."""
        self._background = None

    def down(self) -> None:
        """Refuse connections and end those there are, until ``up``. The port stays ours."""
        self._call(self._go_down())

    def up(self) -> None:
        """Listen again."""
        self._call(self._listen())

    def run(self, what: Coroutine[Any, Any, Any]) -> None:
        """Do this beside, on the proxy's loop; ``close`` waits for it."""
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> bool:
        """True while something goes on beside, such as a write that lands late."""
        return bool(self._tasks)

    def count(self, pattern: str, *, status: str = "") -> int:
        """Requests so far whose line fits, with this status."""
        found = re.compile(pattern)
        return sum(
            bool(found.search(entry.line)) and entry.status.startswith(status)
            for entry in list(self.journal)
        )

    def close(self) -> list[str]:
        """End everything; returns the rules that never struck."""
        if not self._loop.is_closed():
            self._call(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_PATIENCE)
            self._loop.close()
        return [f"{r.kind or r.what.name}: {r.match}" for r in self.rules if not r.fired]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _choose(self, sock: ssl.SSLObject, _name: str | None, _own: ssl.SSLContext) -> None:
        if self.impostures:
            self.impostures -= 1
            sock.context = self._impostor

    # --- on its loop ------------------------------------------------------------------

    def _call(self, what: Coroutine[Any, Any, Any]) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(what, self._loop)
        return done.result(_PATIENCE)

    async def _listen(self) -> int:
        own = self._reserved or _bound(0)
        self._reserved = None
        self._server = await asyncio.start_server(
            self._serve, sock=own, ssl=self._context, limit=HEAD_LIMIT
        )
        port: int = own.getsockname()[1]
        return port

    async def _go_down(self) -> None:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        self._server.close()
        await asyncio.sleep(0)
        for stream in tuple(self._open):
            stream.reset()
        self._reserved = _bound(port)

    async def _end(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
        if self._server is not None:
            self._server.close()
        own = asyncio.current_task()
        quiet = 0
        # What was accepted before becomes a task some steps of the loop later.
        while quiet < _QUIET_STEPS:
            tasks = asyncio.all_tasks() - {own}
            quiet = 0 if tasks else quiet + 1
            for stream in tuple(self._open):
                stream.reset()
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)
        await self._loop.shutdown_asyncgens()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Stream(reader, writer)
        if self.most_connections and len(self._open) >= self.most_connections:
            self.fired["connection-limit"] += 1
            client.reset()
            return
        self._open.add(client)
        # asyncio lets go of a TLS connection that stands still, and of whoever waits for it.
        own = asyncio.current_task()
        self._serving.add(own)
        way = _Way(self)
        reset = False
        try:
            if self.greeting is not None:
                await self.greeting(client)
            while await self._exchange(client, way):
                pass
        except Cut as cut:
            reset = cut.reset
        except (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            reset = True
        finally:
            self._open.discard(client)
            way.drop()
            if reset:
                client.reset()
            else:
                await client.close()
            self._serving.discard(own)

    async def _exchange(self, client: Stream, way: _Way) -> bool:
        """One request and its reply; False where the connection ends with it."""
        head = await read_head(client.reader)
        if head is None:
            return False
        line = head.line
        entry = Entry(line)
        self.journal.append(entry)
        rule, fault = self._judge(line)

        def struck() -> None:
            assert fault is not None
            self.fired[(rule.kind if rule else "") or fault.name] += 1
            if rule:
                rule.fired += 1

        keep = bool(self._keep.search(line))
        exchange = Exchange(client, way, head, entry, keep=keep, beside=self.run, struck=struck)
        if fault is None:
            await exchange.forward()
            await exchange.deliver()
        else:
            entry.fault = fault.name
            await fault.play(exchange)
        return not exchange.ends

    def _judge(self, line: str) -> tuple[Rule | None, Fault | None]:
        with self._lock:
            for rule in self.rules:
                if rule.takes(line):
                    return rule, rule.what
        if self._background is not None:
            return None, self._background.draw(line)
        return None, None

    async def connected(self) -> Stream:
        """A connection to the server."""
        name = self._host if self._secure else None
        return Stream(
            *await asyncio.open_connection(
                self._host, self._port, ssl=self._secure, server_hostname=name, limit=HEAD_LIMIT
            )
        )


@dataclass
class _Way:
    """To the server, for one asker's connection."""

    proxy: FaultProxy
    stream: Stream | None = None
    made: list[Stream] = field(default_factory=list)

    async def kept(self) -> Stream:
        stream = self.stream
        if stream is None or stream.reader.at_eof() or stream.writer.is_closing():
            self.drop()
            stream = self.stream = await self.proxy.connected()
        return stream

    async def fresh(self) -> Stream:
        return await self.proxy.connected()

    def drop(self) -> None:
        if self.stream is not None:
            self.stream.writer.transport.abort()
            self.stream = None


def _bound(port: int) -> socket.socket:
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(("127.0.0.1", port))
    return own
