"""TLS between a plain transport and a connection.

The event loops' own TLS keeps a quarter of a MiB for every connection and wants each piece that
goes out as bytes of its own. Here all connections of a client receive into one buffer, which so
stays in the processor's cache, and what goes out is encrypted from where it lies.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

RECEIVE: Final = 128 * 1024
"""Bytes of the buffer that all channels of a client share: no more is read at once."""
_STEP: Final = 32 * 1024
_CUT: Final = "the TLS connection was cut without notice"


class TlsChannel(asyncio.BufferedProtocol, asyncio.Transport):
    """A protocol to the plain transport, a transport to ``inner``.

    Await ``ready`` before use: an `ssl.SSLError` where the handshake fails, an `OSError` where
    the connection ends meanwhile. ``received`` is the shared buffer. ``made``: the connection
    was open before, without TLS. ``takes_copy``: what is written need not be kept after the call.
    """

    takes_copy: Final = True

    def __init__(
        self,
        inner: asyncio.BufferedProtocol,
        *,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        host: str,
        received: memoryview,
        made: bool = False,
    ) -> None:
        asyncio.Transport.__init__(self)
        self._inner = inner
        self._received = received
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._plain: asyncio.Transport
        self._open = self._paused = self._ended = False
        self._made = made
        self.ready: asyncio.Future[None] = loop.create_future()

    # What the connection does.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; the data is the caller's again afterwards."""
        try:
            if len(data) <= _STEP:
                self._tls.write(data)
                self._plain.write(self._outgoing.read())
                return
            sealed, view = [], memoryview(data)
            for at in range(0, len(view), _STEP):
                self._tls.write(view[at : at + _STEP])
                sealed.append(self._outgoing.read())
        except ssl.SSLError as error:
            self._break(error)
        else:
            self._plain.writelines(sealed)

    def is_closing(self) -> bool:
        """True where nothing that is written would arrive."""
        return self._ended or self._plain.is_closing()

    def abort(self) -> None:
        """End the connection at once."""
        self._plain.abort()

    def close(self) -> None:
        """End the connection when what is written has been sent."""
        self._plain.close()

    def pause_reading(self) -> None:
        """Deliver nothing until ``resume_reading``."""
        self._paused = True
        self._plain.pause_reading()

    def resume_reading(self) -> None:
        """Deliver what has been held back, before this returns, and what comes."""
        self._paused = False
        self._plain.resume_reading()
        self._deliver()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As of any transport; the bytes counted are the encrypted ones."""
        self._plain.set_write_buffer_limits(high=high, low=low)

    # What the event loop does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The plain connection is open: begin the handshake."""
        self._plain = transport  # type: ignore[assignment]  # a stream's transport, of either loop
        self._shake_hands()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  asyncio's signature
        """The shared buffer: loops fill it and call ``buffer_updated`` in one go."""
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        """Encrypted bytes have arrived."""
        self._incoming.write(self._received[:nbytes])
        if self._open:
            self._deliver()
        else:
            self._shake_hands()

    def eof_received(self) -> None:
        """Let the transport close; ``connection_lost`` says the rest."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The plain connection has ended."""
        # Without the other side's notice anybody may have cut it.
        self._lose(exc or (None if self._ended else ConnectionError(_CUT)))
        if not self.ready.done():
            broken = ConnectionResetError(
                "the other side ended the TLS handshake; 3GSync speaks TLS 1.2 and later"
            )
            self.ready.set_exception(exc or broken)

    def pause_writing(self) -> None:
        """The transport holds enough."""
        if self._open:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The transport takes more."""
        if self._open:
            self._inner.resume_writing()

    # Within.

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as error:
            self._flush()  # the other side is told why
            if not self.ready.done():
                self.ready.set_exception(error)
            self._plain.close()
            return
        self._flush()
        self._open = self._made = True
        self._inner.connection_made(self)
        if not self.ready.done():
            self.ready.set_result(None)
        self._deliver()

    def _deliver(self) -> None:
        """Decrypt what is there, until the connection asks for a pause."""
        inner, plain, incoming, read = self._inner, self._plain, self._incoming, self._tls.read
        more = True
        try:
            while more and not (self._paused or plain.is_closing()):
                room = memoryview(inner.get_buffer(-1))
                count, size = 0, len(room)
                while count < size:
                    try:
                        got = int(read(size - count, room[count:] if count else room))
                    except ssl.SSLWantReadError:
                        break
                    if not got:  # the other side has said that it ends
                        self._ended = True
                        plain.close()
                        break
                    count += got
                    # A record that fitted leaves nothing behind: no need to ask and be refused.
                    if not incoming.pending:
                        break
                more = 0 < size == count
                if count:
                    inner.buffer_updated(count)
        except ssl.SSLError as error:
            self._break(error)
        if self._outgoing.pending:  # an answer to a change of keys
            self._flush()

    def _flush(self) -> None:
        sealed = self._outgoing.read()
        if sealed:
            self._plain.write(sealed)

    def _break(self, error: ssl.SSLError) -> None:
        """Nothing can be trusted any more: tell the connection why, and end."""
        self._lose(error)
        self._ended = True
        self.abort()

    def _lose(self, error: Exception | None) -> None:
        """Tell the connection of its end, once."""
        if self._made:
            self._made = self._open = False
            self._inner.connection_lost(error)
