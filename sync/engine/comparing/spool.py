"""Findings that wait, first in first out: a bounded number in memory, the rest in a file."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, NamedTuple, Self

from sync.engine.comparing.compare import Difference, Finding
from sync.model import ListedObject

IN_MEMORY: Final = 10_000


class Waiting(NamedTuple):
    """A finding, and when it was found (monotonic clock)."""

    finding: Finding
    found_at: float


class Spool:
    """``put`` never waits; ``get`` gives them in their order, None once it is closed and empty.

    At most ``in_memory`` findings are held at each end; what lies between is in a temporary
    file in ``folder``, gone with the context. Checksums of listings are not kept.
    """

    def __init__(self, *, in_memory: int = IN_MEMORY, folder: Path | None = None) -> None:
        self._most = in_memory
        self._folder = folder
        self._head: deque[Waiting] = deque()
        self._tail: list[Waiting] = []
        self._file: IO[bytes] | None = None
        self._chunks: deque[tuple[int, int]] = deque()
        self._end = 0
        self._news = asyncio.Event()
        self._closed = False
        self.waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def put(self, finding: Finding, found_at: float) -> None:
        """Add one at the end."""
        self._tail.append(Waiting(finding, found_at))
        self.waiting += 1
        if len(self._tail) >= self._most:
            self._spill()
        self._news.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._news.set()

    async def get(self) -> Waiting | None:
        """The first one, once there is one."""
        while not self.waiting:
            if self._closed:
                return None
            self._news.clear()
            await self._news.wait()
        if not self._head:
            self._head.extend(self._next())
        self.waiting -= 1
        return self._head.popleft()

    def _next(self) -> list[Waiting]:
        if self._chunks:
            return self._unspilled(*self._chunks.popleft())
        tail, self._tail = self._tail, []
        return tail

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115  see __exit__
        text = "\n".join(json.dumps(_row(one)) for one in self._tail).encode("ascii")
        self._file.seek(self._end)
        self._file.write(text)
        self._chunks.append((self._end, len(text)))
        self._end += len(text)
        self._tail = []

    def _unspilled(self, start: int, length: int) -> list[Waiting]:
        assert self._file is not None
        self._file.seek(start)
        lines = self._file.read(length).split(b"\n")
        if not self._chunks:  # all that lies in the file has been read: begin it anew
            self._end = 0
        return [_waiting(json.loads(line)) for line in lines]


def _row(waiting: Waiting) -> list[Any]:
    kind, key, source, destination, detail = waiting.finding
    sides = [None if one is None else one[:6] for one in (source, destination)]
    return [waiting.found_at, kind.value, key, *sides, detail]


def _waiting(row: list[Any]) -> Waiting:
    found_at, kind, key, source, destination, detail = row
    return Waiting(
        Finding(Difference(kind), key, _listed(source), _listed(destination), detail), found_at
    )


def _listed(row: list[Any] | None) -> ListedObject | None:
    return None if row is None else ListedObject(*row)
