from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from sync.adapters.ledger_batch import RowBatcher
from sync.errors import SyncError, Throttled, TransientStoreError

NEVER = 3600.0
Rows = Mapping[str, Any]


class Table:
    """Stores rows when told to, and may refuse some."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.batches: list[list[str]] = []
        self.refuses: dict[str, SyncError] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def store(self, rows: Rows) -> Mapping[str, SyncError]:
        self.batches.append(list(rows))
        await self.open.wait()
        self.rows |= {key: row for key, row in rows.items() if key not in self.refuses}
        return {key: self.refuses[key] for key in rows if key in self.refuses}


def run(body: Callable[[Table], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(30):
            await body(Table())

    asyncio.run(whole())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_rows_go_by_25_and_callers_wait_for_the_store() -> None:
    async def body(table: Table) -> None:
        table.open.clear()
        batcher = RowBatcher(store=table.store, linger=NEVER)
        callers = [asyncio.create_task(batcher.add(str(n), {})) for n in range(60)]
        await settle()
        assert [len(batch) for batch in table.batches] == [25, 25]
        assert not any(caller.done() for caller in callers)
        table.open.set()
        await batcher.flush()
        await asyncio.gather(*callers)
        assert [len(batch) for batch in table.batches] == [25, 25, 10]

    run(body)


def test_a_lone_row_does_not_wait_for_company_for_ever() -> None:
    async def body(table: Table) -> None:
        await RowBatcher(store=table.store, linger=0.01).add("a", {"v": 1})
        assert table.rows == {"a": {"v": 1}}

    run(body)


def test_of_two_waiting_rows_with_one_key_the_newer_is_stored() -> None:
    async def body(table: Table) -> None:
        batcher = RowBatcher(store=table.store, linger=NEVER)
        callers = [asyncio.create_task(batcher.add("a", {"v": n})) for n in range(3)]
        await settle()
        await batcher.flush()
        await asyncio.gather(*callers)
        assert table.batches == [["a"]]
        assert table.rows == {"a": {"v": 2}}

    run(body)


def test_a_newer_row_waits_while_the_older_is_on_its_way() -> None:
    async def body(table: Table) -> None:
        table.open.clear()
        batcher = RowBatcher(store=table.store, linger=0)
        first = asyncio.create_task(batcher.add("a", {"v": 1}))
        while not table.batches:
            await asyncio.sleep(0)
        second = asyncio.create_task(batcher.add("a", {"v": 2}))
        flushing = asyncio.create_task(batcher.flush())
        await settle()
        assert table.batches == [["a"]]
        table.open.set()
        await asyncio.gather(first, second, flushing)
        assert table.batches == [["a"], ["a"]]
        assert table.rows == {"a": {"v": 2}}

    run(body)


def test_an_error_reaches_its_own_callers_only() -> None:
    async def body(table: Table) -> None:
        table.refuses["b"] = Throttled("no")
        batcher = RowBatcher(store=table.store, linger=NEVER)
        callers = [asyncio.create_task(batcher.add(key, {})) for key in "abc"]
        await settle()
        await batcher.flush()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(end) for end in ends] == [type(None), Throttled, type(None)]

    run(body)


def test_a_store_that_fails_whole_fails_every_caller() -> None:
    async def store(_: Rows) -> Mapping[str, SyncError]:
        raise TransientStoreError("down")

    async def body(_: Table) -> None:
        batcher = RowBatcher(store=store, linger=0)
        ends = await asyncio.gather(
            batcher.add("a", {}), batcher.add("b", {}), return_exceptions=True
        )
        assert [type(end) for end in ends] == [TransientStoreError] * 2

    run(body)


def test_a_store_that_breaks_off_never_looks_like_success() -> None:
    async def store(_: Rows) -> Mapping[str, SyncError]:
        raise asyncio.CancelledError

    async def body(_: Table) -> None:
        with pytest.raises(TransientStoreError, match="broken off"):
            await RowBatcher(store=store, linger=0).add("a", {})

    run(body)


def test_a_cancelled_caller_does_not_take_the_row_with_it() -> None:
    async def body(table: Table) -> None:
        batcher = RowBatcher(store=table.store, linger=NEVER)
        caller = asyncio.create_task(batcher.add("a", {"v": 1}))
        await settle()
        caller.cancel()
        await batcher.flush()
        assert table.rows == {"a": {"v": 1}}

    run(body)


def test_so_many_requests_at_once_and_no_more() -> None:
    async def body(table: Table) -> None:
        table.open.clear()
        batcher = RowBatcher(store=table.store, linger=0, at_once=2)
        callers = [asyncio.create_task(batcher.add(str(n), {})) for n in range(200)]
        await settle()
        assert len(table.batches) == 2
        table.open.set()
        await asyncio.gather(*callers)
        assert len(table.batches) == 8

    run(body)


def test_flush_with_nothing_waiting_returns() -> None:
    run(lambda table: RowBatcher(store=table.store).flush())
