"""Collects single queue requests (delete, give back) into the batches of ten that SQS takes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from sync.errors import SyncError

T = TypeVar("T")
BATCH: Final = 10


class Batcher(Generic[T]):
    """Sends items ten at a time, or what there is after ``linger`` seconds."""

    def __init__(
        self,
        send: Callable[[Sequence[T]], Awaitable[list[T]]],
        *,
        linger: float = 0.1,
        failed: Callable[[Sequence[T], str], None],
    ) -> None:
        self._send = send
        self._linger = linger
        self._failed = failed
        self._items: list[T] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: T) -> None:
        """Queue an item; it is sent soon."""
        self._items.append(item)
        if len(self._items) >= BATCH:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._start)

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._items = self._items[:BATCH], self._items[BATCH:]
        if batch:
            task = asyncio.get_running_loop().create_task(self._deliver(batch))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _deliver(self, batch: list[T]) -> None:
        try:
            refused = await self._send(batch)
        except SyncError as error:
            self._failed(batch, str(error))
        else:
            if refused:
                self._failed(refused, "refused by the queue")

    async def flush(self) -> None:
        """Send everything queued and wait until it is answered."""
        while self._items:
            self._start()
        while self._sending:
            await asyncio.gather(*self._sending, return_exceptions=True)
