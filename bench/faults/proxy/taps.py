"""What can happen to a body on its way, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from faults.proxy.exchange import Cut, Exchange, Tap


def cut_after(exchange: Exchange, count: int, *, reset: bool) -> Tap:
    """Only ``count`` bytes pass, then both connections end."""

    async def tap(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in _split(pieces, count):
            if piece is None:
                exchange.strike()
                raise Cut(reset=reset)
            yield piece

    return tap


def wait_after(exchange: Exchange, count: int, pause: Callable[[], Awaitable[None]]) -> Tap:
    """``pause`` is awaited once ``count`` bytes have passed."""

    async def tap(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in _split(pieces, count):
            if piece is None:
                exchange.strike()
                await pause()
            else:
                yield piece

    return tap


def flipped(exchange: Exchange, offset: int) -> Tap:
    """One bit of the byte at ``offset`` (negative: from the front of the last piece) differs."""

    async def tap(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        done = 0
        async for piece in pieces:
            at = offset - done
            done += len(piece)
            if 0 <= at < len(piece):
                exchange.strike()
                yield piece[:at] + bytes([piece[at] ^ 0x10]) + piece[at + 1 :]
            else:
                yield piece

    return tap


def paced(exchange: Exchange, size: int, pause: float, *, until: int) -> Tap:
    """``size`` bytes at a time with ``pause`` seconds between them, for the first ``until``."""

    async def tap(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        done = 0
        async for piece in pieces:
            at = 0
            while at < len(piece):
                step = size if done < until else len(piece) - at
                yield piece[at : at + step]
                at += step
                done += step
                if done < until:
                    exchange.strike()
                    await asyncio.sleep(pause)

    return tap


async def _split(pieces: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes | None]:
    """The pieces, with a None where ``count`` bytes have passed and more is to come."""
    left: int | None = count
    async for piece in pieces:
        if left is not None and len(piece) > left:
            if left:
                yield piece[:left]
            yield None
            yield piece[left:]
            left = None
        else:
            left = left - len(piece) if left is not None else None
            yield piece
