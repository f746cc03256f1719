"""Names to addresses: looked up once for many connections, spread over, bad ones put last."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
from typing import Final

_KEPT: Final = 30.0
_SHUNNED: Final = 60.0

Address = tuple[str, int]


class Addresses:
    """A short-lived cache of look-ups. Every call begins at another of a name's addresses."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._known: dict[Address, tuple[float, asyncio.Task[list[Address]]]] = {}
        self._bad: dict[Address, float] = {}
        self._turn = itertools.count(random.randrange(1 << 16))  # noqa: S311  load  # nosec B311

    async def of(self, host: str, port: int) -> list[Address]:
        """All addresses in the order to try them; OSError where there are none.

        The resolver's order of families is kept (RFC 6724), the order within one is not.
        """
        found = await self._look_up(host, port)
        turn = next(self._turn)
        ordered: list[Address] = []
        for _, group in itertools.groupby(found, key=lambda address: ":" in address[0]):
            members = list(group)
            start = turn % len(members)
            ordered += members[start:] + members[:start]
        now = self._loop.time()
        return sorted(ordered, key=lambda address: self._bad.get(address, 0.0) > now)

    def failed(self, address: Address) -> None:
        """Try this one last for a while."""
        now = self._loop.time()
        self._bad = {other: until for other, until in self._bad.items() if until > now}
        self._bad[address] = now + _SHUNNED

    async def close(self) -> None:
        """Stop look-ups that are under way."""
        tasks = [task for _, task in self._known.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        key = (host, port)
        until, task = self._known.get(key, (0.0, None))
        if task is None or until <= self._loop.time():
            task = self._loop.create_task(self._resolve(host, port))
            task.add_done_callback(_note)
            self._known[key] = (self._loop.time() + _KEPT, task)
        try:
            # Others wait for the same task: one caller's cancellation must not end it.
            return await asyncio.shield(task)
        except (OSError, UnicodeError):
            self._known.pop(key, None)
            raise

    async def _resolve(self, host: str, port: int) -> list[Address]:
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A scoped IPv6 address keeps its scope in its text, so (host, port) is enough.
        return list(dict.fromkeys((str(info[4][0]), port) for info in found))


def _note(task: asyncio.Task[list[Address]]) -> None:
    """Take an error in, even where every caller has gone, so that asyncio does not complain."""
    if not task.cancelled():
        task.exception()
