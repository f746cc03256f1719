"""Opening connections: address after address, through a proxy where one is set, over TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import partial

from sync.wire.addresses import Addresses
from sync.wire.connection import Connection
from sync.wire.errors import Broken
from sync.wire.proxy import Proxy
from sync.wire.request import Origin
from sync.wire.tls import explain, tls_context
from sync.wire.tls_channel import RECEIVE, TlsChannel


class Dialer:
    """Opens connections to origins. ``make`` builds the protocol object of each."""

    def __init__(
        self,
        *,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[], Connection],
        tls: ssl.SSLContext | None,
    ) -> None:
        self._loop = loop
        self._make = make
        self._tls = tls
        self._received = memoryview(bytearray(RECEIVE))
        self.addresses = Addresses(loop)

    async def dial(self, origin: Origin, proxy: Proxy | None, limit: float) -> Connection:
        """An open connection within ``limit`` seconds; Broken says why there is none."""
        where = f"the proxy {proxy.host}" if proxy is not None else origin.host
        try:
            async with asyncio.timeout(limit):
                return await self._dial(origin, proxy, limit)
        except TimeoutError as error:
            raise Broken(f"no connection with {where} within {limit:g} s") from error
        except ssl.SSLError as error:
            raise Broken(explain(error, origin.host)) from error
        except (socket.gaierror, UnicodeError) as error:
            raise Broken(f"the name of {where} cannot be resolved ({error})") from error
        except OSError as error:
            raise Broken(f"no connection with {where} ({error.strerror or error})") from error

    async def _dial(self, origin: Origin, proxy: Proxy | None, limit: float) -> Connection:
        if origin.scheme == "https" and proxy is not None:
            return await self._dial_through(origin, proxy, limit)
        host, port = (origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)
        open_one = self._open_tls if origin.scheme == "https" else self._open_plain
        return await self._first_open(partial(open_one, origin), host, port, limit)

    async def _open_plain(self, _origin: Origin, host: str, port: int) -> Connection:
        return (await self._loop.create_connection(self._make, host, port))[1]

    async def _open_tls(self, origin: Origin, host: str, port: int) -> Connection:
        connection = self._make()
        channel = self._channel(connection, origin)
        await self._loop.create_connection(lambda: channel, host, port)
        await _opened(channel)
        return connection

    def _channel(self, connection: Connection, origin: Origin, *, made: bool = False) -> TlsChannel:
        return TlsChannel(
            connection,
            loop=self._loop,
            context=self._context(),
            host=origin.host,
            received=self._received,
            made=made,
        )

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
        return self._tls

    async def _first_open(
        self,
        open_one: Callable[[str, int], Awaitable[Connection]],
        host: str,
        port: int,
        limit: float,
    ) -> Connection:
        """Try one address after the other; each but the last gets half of the time left."""
        end = self._loop.time() + limit
        addresses = await self.addresses.of(host, port)
        for address in addresses:
            left = end - self._loop.time()
            try:
                async with asyncio.timeout(left if address is addresses[-1] else left / 2):
                    return await open_one(*address)
            except ssl.SSLCertVerificationError:
                raise
            except OSError:
                self.addresses.failed(address)
                if address is addresses[-1]:
                    raise
        raise OSError(f"{host} has no address")

    async def _dial_through(self, origin: Origin, proxy: Proxy, limit: float) -> Connection:
        open_one = partial(self._open_plain, origin)
        connection = await self._first_open(open_one, proxy.host, proxy.port, limit)
        try:
            await self._tunnel(connection, origin, proxy, limit)
            plain = connection.transport
            channel = self._channel(connection, origin, made=True)
            plain.set_protocol(channel)
            channel.connection_made(plain)
            await _opened(channel)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _tunnel(
        self, connection: Connection, origin: Origin, proxy: Proxy, limit: float
    ) -> None:
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        target = f"{host}:{origin.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if proxy.authorization:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        data = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        connection.begin("CONNECT", data, whole=limit)
        reply = await connection.reply(limit)
        if reply.status >= 300:  # noqa: PLR2004  only 2xx opens the tunnel
            raise Broken(f"the proxy {proxy.host} refused the way with status {reply.status}")
        if not connection.park(self._loop.time() + limit):
            raise Broken(f"the proxy {proxy.host} closed the way it had opened")
        connection.exchanges = 0


async def _opened(channel: TlsChannel) -> None:
    try:
        await channel.ready
    except BaseException:
        channel.abort()
        await asyncio.sleep(0)  # the loop closes the socket meanwhile
        raise
