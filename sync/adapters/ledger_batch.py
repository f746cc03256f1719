"""Rows that wait for company: many callers each hand in one row, few requests carry them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Final, Generic, TypeVar

from sync.errors import SyncError, TransientStoreError

Row = TypeVar("Row")
_BATCH: Final = 25


class _Waiting(Generic[Row]):
    __slots__ = ("callers", "row")

    def __init__(self, row: Row, caller: asyncio.Future[None]) -> None:
        self.row = row
        self.callers = [caller]

    def settle(self, error: SyncError | None) -> None:
        for caller in self.callers:
            # A caller that was cancelled wants no answer.
            if caller.done():
                continue
            if error is None:
                caller.set_result(None)
            else:
                caller.set_exception(error)


class RowBatcher(Generic[Row]):
    """Collects rows by key and stores them 25 at a time, at most ``linger`` seconds late.

    ``store`` takes rows by key and returns the errors by key of those it could not store; it
    raises SyncError where none was stored. Of two rows with one key that wait together only
    the newer is stored, and never while the older is still on its way.
    """

    def __init__(
        self,
        *,
        store: Callable[[Mapping[str, Row]], Awaitable[Mapping[str, SyncError]]],
        linger: float = 0.1,
        at_once: int = 8,
    ) -> None:
        self._store = store
        self._linger = linger
        self._at_once = at_once
        self._pending: dict[str, _Waiting[Row]] = {}
        self._under_way: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = False

    async def add(self, key: str, row: Row) -> None:
        """Returns when the row, or a newer one with its key, is stored; raises its error."""
        caller = asyncio.get_running_loop().create_future()
        waiting = self._pending.get(key)
        if waiting is None:
            self._pending[key] = _Waiting(row, caller)
        else:
            waiting.row = row
            waiting.callers.append(caller)
        if self._due or self._timer is None or len(self._pending) >= _BATCH:
            self._pump()
        await caller

    async def flush(self) -> None:
        """Returns when nothing waits. Errors go to those who handed the rows in."""
        while self._pending or self._tasks:
            self._due = True
            self._pump()
            await asyncio.wait(self._tasks)

    def _pump(self) -> None:
        while len(self._tasks) < self._at_once and (batch := self._take()):
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if not self._pending:
            self._due = False
            self._stop_timer()
        elif self._timer is None and not self._due:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self._expire)

    def _take(self) -> dict[str, _Waiting[Row]]:
        free = list(islice((key for key in self._pending if key not in self._under_way), _BATCH))
        if not free or (len(free) < _BATCH and not self._due):
            return {}
        self._under_way.update(free)
        return {key: self._pending.pop(key) for key in free}

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self._due = True
        self._pump()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._pump()

    async def _run(self, batch: dict[str, _Waiting[Row]]) -> None:
        # Stands only where the task itself is broken off: then nothing is known to be stored.
        failed: Mapping[str, SyncError] = dict.fromkeys(
            batch, TransientStoreError("writing to the ledger was broken off")
        )
        try:
            failed = await self._store({key: waiting.row for key, waiting in batch.items()})
        except SyncError as error:
            failed = dict.fromkeys(batch, error)
        finally:
            self._under_way.difference_update(batch)
            for key, waiting in batch.items():
                waiting.settle(failed.get(key))
