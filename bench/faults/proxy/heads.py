"""Heads of requests and replies as they came, and bodies in pieces, framing and all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

PIECE = 64 * 1024
HEAD_LIMIT = 1 << 20
_SIGNER = re.compile(r"Credential=([^/]+)/")
_BODILESS = frozenset({"204", "304"})


@dataclass(frozen=True, slots=True)
class Head:
    """``raw`` ends with the empty line; ``headers`` are by lower-case name, the last one wins."""

    raw: bytes
    start: str
    headers: dict[str, str]

    @property
    def method(self) -> str:
        return self.start.split(" ", 1)[0]

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> str:
        return self.start.split(" ")[1]

    @property
    def operation(self) -> str:
        """Of an AWS JSON service, else ""."""
        return self.headers.get("x-amz-target", "")

    @property
    def line(self) -> str:
        """What rules are matched with: method, target, operation, range, whose key signed it."""
        signer = _SIGNER.search(self.headers.get("authorization", ""))
        words = (
            self.method,
            self.target,
            self.operation,
            self.headers.get("range", ""),
            f"by {signer[1]}" if signer else "",
        )
        return " ".join(filter(None, words))

    @property
    def length(self) -> int | None:
        found = self.headers.get("content-length")
        return int(found) if found is not None else None

    @property
    def chunked(self) -> bool:
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def closes(self) -> bool:
        return "close" in self.headers.get("connection", "").lower()

    def replaced(self, name: str, value: str | None) -> Head:
        """With this header instead (None: without it), in its old place, else at the end."""
        lines = self.raw[:-4].split(b"\r\n")
        kept = [lines[0]] + [
            line for line in lines[1:] if line.partition(b":")[0].lower() != name.lower().encode()
        ]
        if value is not None:
            kept.append(f"{name}: {value}".encode("latin-1"))
        return parse(b"\r\n".join(kept) + b"\r\n\r\n")

    def started(self, start: str) -> Head:
        """With another first line."""
        return parse(start.encode("latin-1") + self.raw[self.raw.index(b"\r\n") :])


def parse(raw: bytes) -> Head:
    first, *rest = raw[:-4].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in rest)
    return Head(raw, first, {name.strip().lower(): value.strip() for name, _, value in pairs})


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None where the other side has ended."""
    try:
        return parse(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError:
        return None


async def request_body(reader: asyncio.StreamReader, head: Head) -> AsyncIterator[bytes]:
    if head.chunked:
        async for piece in _chunks(reader):
            yield piece
    else:
        async for piece in _counted(reader, head.length or 0):
            yield piece


async def reply_body(reader: asyncio.StreamReader, head: Head, method: str) -> AsyncIterator[bytes]:
    if method == "HEAD" or head.status in _BODILESS:
        return
    if head.chunked:
        pieces = _chunks(reader)
    elif head.length is not None:
        pieces = _counted(reader, head.length)
    else:
        pieces = _rest(reader)
    async for piece in pieces:
        yield piece


async def _counted(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        piece = await reader.read(min(PIECE, left))
        if not piece:
            raise ConnectionResetError("the body was cut short")
        left -= len(piece)
        yield piece


async def _rest(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await reader.read(PIECE):
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """A chunked body with its framing, as it comes."""
    while True:
        line = await reader.readuntil(b"\r\n")
        yield line
        size = int(line.split(b";")[0], 16)
        yield await reader.readexactly(size + 2)
        if not size:
            return
