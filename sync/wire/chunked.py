"""Chunked bodies, decoded by llhttp."""

from __future__ import annotations

import httptools

from sync.wire.errors import Broken
from sync.wire.head import MAX_HEAD


class ChunkedBody:
    """Decodes one body. ``ended`` tells when it is over, ``extra`` that more bytes followed it.

    ``head`` is the reply's, which the parser must have seen before. Trailers are dropped.
    """

    __slots__ = ("_no_bytes", "_parser", "_pieces", "ended", "extra")

    def __init__(self, head: bytes) -> None:
        self._pieces: list[bytes] = []
        self._no_bytes = 0
        self.ended = False
        self.extra = False
        self._parser = httptools.HttpResponseParser(self)
        _feed(self._parser, head)

    def decode(self, data: memoryview) -> bytes:
        """The content among the next bytes; Broken where they are no chunks."""
        _feed(self._parser, data)
        content = b"".join(self._pieces)
        self._pieces.clear()
        # Extensions and trailers carry no content; without end they are an attack.
        self._no_bytes = 0 if content else self._no_bytes + len(data)
        if self._no_bytes > MAX_HEAD:
            raise Broken(f"more than {MAX_HEAD} bytes of a chunked reply without content")
        return content

    # httptools calls these by name.

    def on_body(self, piece: bytes) -> None:
        """Take a piece of content."""
        self._pieces.append(piece)

    def on_message_begin(self) -> None:
        """Note bytes that follow the reply."""
        self.extra = self.ended

    def on_message_complete(self) -> None:
        """Note the end."""
        self.ended = True


def _feed(parser: httptools.HttpResponseParser, data: bytes | memoryview) -> None:
    """Parse; Broken where it is not HTTP."""
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
        raise Broken(f"the reply is not HTTP ({str(error.__context__ or error)[:200]})") from error
