"""The client: a pool of kept-alive connections by origin, and requests over them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from types import TracebackType
from typing import Final, NamedTuple

import sync
from sync.errors import OutcomeUnknown, TransientStoreError
from sync.wire.buffers import BufferPool
from sync.wire.connection import Connection
from sync.wire.dial import Dialer
from sync.wire.errors import Broken, as_store_error
from sync.wire.exchange import Exchange, Stale, exchange, joinable
from sync.wire.head import MAX_HEAD, request_head
from sync.wire.proxy import Proxies, Proxy
from sync.wire.request import Origin, Request, Response, Timeouts
from sync.wire.watchdog import Watchdog

USER_AGENT: Final = f"3gsync/{sync.__version__}"
# S3 and GCS close idle connections after a minute or more; being first avoids the race.
MAX_IDLE_SECONDS: Final = 55.0
_LEAST_BUFFER: Final = 2 * MAX_HEAD
_CLOSING: Final = 5.0


class Reply(NamedTuple):
    """A whole reply. ``headers`` are by lower-case name. ``resent`` is True where the request
    went out twice because a kept-alive connection was found dead: the first copy might, very
    seldom, still take effect.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    resent: bool = False


class _Site:
    """What is known of one origin."""

    __slots__ = ("idle", "origin", "prefix", "proxy", "target_prefix")

    def __init__(self, origin: Origin, proxy: Proxy | None, user_agent: str) -> None:
        self.origin = origin
        self.proxy = proxy
        self.idle: list[Connection] = []
        self.prefix = f"Host: {origin.authority}\r\nUser-Agent: {user_agent}\r\n"
        self.target_prefix = ""
        if proxy is not None and origin.scheme == "http":
            self.target_prefix = f"http://{origin.authority}"
            if proxy.authorization:
                self.prefix += f"Proxy-Authorization: {proxy.authorization}\r\n"

    def take(self) -> Connection | None:
        """The idle connection used last, or None."""
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                return connection
            connection.abort()
        return None

    def forget(self, connection: Connection) -> None:
        """A connection has ended; it may have been idle."""
        if connection in self.idle:
            self.idle.remove(connection)


class Client:
    """Sends requests. Belongs to the event loop it is first used in.

    At most ``max_idle`` connections of each origin are kept open for later, for at most 55 s;
    the number of busy ones is the caller's business. Redirects are not followed. Errors:
    TransientStoreError (no connection, no TLS, broken or late reply), OutcomeUnknown (sent in
    full, not a GET or HEAD, no whole reply), RequestRefused (a header that cannot be sent),
    IntegrityError (a body of another length than announced), and whatever the body raises.
    A cancelled task's connection is closed; ``Request.progress`` then tells how far it got.
    """

    def __init__(
        self,
        *,
        max_idle: int = 64,
        tls: ssl.SSLContext | None = None,
        timeouts: Timeouts = Timeouts(),  # noqa: B008  frozen
        proxies: Proxies | None = None,
        buffer_size: int = 256 * 1024,
        user_agent: str = USER_AGENT,
    ) -> None:
        if buffer_size < _LEAST_BUFFER:
            raise ValueError(f"buffer_size must be {_LEAST_BUFFER} at least")
        self._max_idle = max_idle
        self._tls = tls
        self._timeouts = timeouts
        self._proxies = proxies or Proxies()
        self._user_agent = user_agent
        self._buffers = BufferPool(buffer_size)
        self._sites: dict[Origin, _Site] = {}
        self._open: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._emptied: asyncio.Event | None = None

    @property
    def connections_open(self) -> int:
        """Connections that are open, busy or idle."""
        return len(self._open)

    @property
    def connections_idle(self) -> int:
        """Connections that wait for a request."""
        return sum(len(site.idle) for site in self._sites.values())

    def stream(self, request: Request) -> AbstractAsyncContextManager[Response]:
        """Send the request and give its reply as soon as the head is there.

        Leaving the context before the body has ended closes the connection.
        """
        return _Stream(self, request)

    async def send(self, request: Request, *, limit: int = 8 * 1024 * 1024) -> Reply:
        """Send the request and read the whole reply; TransientStoreError above ``limit``."""
        reply = await self.open(request)
        if reply.content_length == 0:
            body = b""
        else:
            try:
                body = await reply.read(limit)
            except BaseException:
                reply.connection.abort()
                raise
        self.release(request, reply)
        return Reply(reply.status, reply.headers, body, reply.resent)

    async def close(self) -> None:
        """Close every connection, the busy ones too."""
        self._closed = True
        if self._loop is None:
            return
        await self._dialer.addresses.close()
        self._emptied = asyncio.Event()
        for connection in tuple(self._open):
            connection.abort("the client was closed")
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await self._emptied.wait()
        self._watchdog.stop()

    async def open(self, request: Request) -> Exchange:
        """Send the request; ``release`` must follow."""
        if self._loop is None:
            self._start()
        if self._closed:
            raise RuntimeError("the client is closed")
        limits = request.timeouts or self._timeouts
        site = self._sites.get(request.origin) or self._new_site(request.origin)
        body, length = request.body, None
        if body is not None:
            if not isinstance(body, bytes):
                body = await joinable(body)
            length = len(body) if isinstance(body, bytes) else body.length
        target = f"{site.target_prefix}{request.target}" if site.target_prefix else request.target
        head = request_head(request, prefix=site.prefix, target=target, length=length)
        self._watchdog.heed(limits)
        connection = site.take()
        if connection is None:
            connection = await self._dial(site, request, limits)
            return await exchange(connection, request, head=head, body=body, limits=limits)
        try:
            return await exchange(connection, request, head=head, body=body, limits=limits)
        except Stale as stale:
            in_full = stale.in_full
        try:
            connection = await self._dial(site, request, limits)
            reply = await exchange(connection, request, head=head, body=body, limits=limits)
        except OutcomeUnknown:
            raise
        except TransientStoreError as error:
            # Seen with the first try, which may have been sent in full.
            how = f"sent again, and {error}"
            raise as_store_error(request, how, in_full=in_full) from error
        reply.resent = True
        return reply

    def release(self, request: Request, reply: Exchange) -> None:
        """The reply is done with: keep the connection if it can serve again, else close it."""
        connection = reply.connection
        site = self._sites[request.origin]
        assert self._loop is not None
        if (
            not self._closed
            and len(site.idle) < self._max_idle
            and connection.park(self._loop.time() + MAX_IDLE_SECONDS)
        ):
            site.idle.append(connection)
        else:
            connection.abort()

    def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watchdog = Watchdog(self._loop, self._open)
        self._dialer = Dialer(loop=self._loop, make=self._make, tls=self._tls)

    def _make(self) -> Connection:
        assert self._loop is not None
        return Connection(
            loop=self._loop,
            buffers=self._buffers,
            on_made=self._watchdog.watch,
            on_lost=self._lost,
        )

    async def _dial(self, site: _Site, request: Request, limits: Timeouts) -> Connection:
        try:
            return await self._dialer.dial(site.origin, site.proxy, limits.connect)
        except Broken as broken:
            raise as_store_error(request, broken, in_full=False) from broken

    def _new_site(self, origin: Origin) -> _Site:
        site = _Site(origin, self._proxies.for_origin(origin), self._user_agent)
        self._sites[origin] = site
        return site

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        for site in self._sites.values():
            site.forget(connection)
        if not self._open and self._emptied is not None:
            self._emptied.set()


class _Stream(AbstractAsyncContextManager[Response]):
    """One reply, for as long as its context lasts."""

    __slots__ = ("_client", "_reply", "_request")

    def __init__(self, client: Client, request: Request) -> None:
        self._client = client
        self._request = request
        self._reply: Exchange | None = None

    async def __aenter__(self) -> Exchange:
        self._reply = await self._client.open(self._request)
        return self._reply

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._reply is not None
        self._client.release(self._request, self._reply)
